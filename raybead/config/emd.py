"""``[emd]``: pairs of jets with their exact energy mover's distance, and who learns it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from raybead.config.section import Section
from raybead.config.train import Train

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Emd(Section):
    """A network for the energy mover's distance, trained by ``raybead train-emd`` on background.

    Jets of a pair lie about one place, as a jet and its reconstruction do. Truth isn't looked at.
    """

    pairs: Annotated[int, Field(ge=100)] = 10_000
    """Pairs of jets whose exact distance is computed: for training, validation and test."""
    nodes: PositiveInt = 30
    """Constituents of a jet, leading in pT."""
    radius: PositiveFloat = 1.0
    """R that angular distances are divided by. A loss with another R scales by their ratio."""

    copies: Share = 0.45
    """Share of pairs of a jet with a perturbed copy of itself. A loss compares a jet with its
    reconstruction, and a distance that has never seen small ones can't tell good from better."""
    equal: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    """Share of pairs of a jet with itself in another order. All others are of two jets drawn at
    random, moved about one place: what a bad reconstruction is like."""
    smear: NonNegativeFloat = 0.2
    """Angular spread of the strongest copy's constituents, and of the shift between two jets."""
    momentum_noise: NonNegativeFloat = 1.0
    """Spread of the logarithm of the strongest copy's pT. A copy's strength is drawn anew for
    each of its faults, evenly in the logarithm from 1/100 of these to the whole."""
    lost: Share = 0.5
    """Share of constituents that the strongest copy lacks."""
    merged: Share = 0.5
    """Share of constituents that the strongest copy merges with their nearest."""

    neighbours: PositiveInt = 16
    """k of the DynamicEdgeConv layers; a node counts as its own nearest."""
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64, 128)
    """Of the DynamicEdgeConv layers."""
    edge_layers: PositiveInt = 1
    """Linear layers of each of their MLPs, all of its width, with ReLU."""
    head: PositiveInt = 256
    """Width of the MLP that follows the mean over constituents."""
    output: Literal["free", "softplus", "relu"] = "softplus"
    """free may be negative; see :class:`raybead.models.emd_network.EmdNetwork`."""
    total_pt: bool = False
    """Whether both jets' total pT, in 100 GeV, go into the head, as the published study has it.
    The distance is of shares of pT, which totals say nothing of: with them it depends on the
    scale of energy, so they stay out unless asked for."""

    epochs: PositiveInt = 20
    """At most."""
    batch_pairs: PositiveInt = 64
    """Pairs a step over all workers together."""
    learning_rate: PositiveFloat = 2e-3
    """At the start."""
    plateau_patience: NonNegativeInt = 2
    """Epochs without a better validation loss before the learning rate is halved."""
    patience: PositiveInt = 6
    """Epochs without a better validation loss before training stops."""
    validation: Annotated[float, Field(gt=0.0, le=0.4)] = 0.1
    """Share of events, and of pairs, held out to choose the epoch."""
    test: Annotated[float, Field(gt=0.0, le=0.4)] = 0.1
    """Share of events, and of pairs, that figures are made of."""
    workers: PositiveInt | Literal["auto"] = "auto"
    """Of the training, as of ``[train]``."""
    use_gpu: bool | Literal["auto"] = "auto"
    """As of ``[train]``."""
    max_failures: NonNegativeInt = 3
    """Lost workers that are replaced before the training gives up."""

    @model_validator(mode="after")
    def _shares(self) -> Emd:
        if self.copies + self.equal > 1.0:
            raise ValueError("copies and equal are shares of one whole: at most 1 together")
        return self

    @property
    def train(self) -> Train:
        """The same as the training loop takes it."""
        return Train(
            epochs=self.epochs,
            batch_items=self.batch_pairs,
            learning_rate=self.learning_rate,
            plateau_patience=self.plateau_patience,
            patience=self.patience,
            validation=self.validation,
            test=self.test,
            workers=self.workers,
            use_gpu=self.use_gpu,
            max_failures=self.max_failures,
        )

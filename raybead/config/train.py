"""``[train]``: how a model is trained."""

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

from raybead.config.anneal import Annealings
from raybead.config.section import Section

MOMENTUM = 0.9


class Train(Section):
    """Optimizer, plateau schedule and early stopping on the validation loss."""

    epochs: PositiveInt = 50
    """At most; early stopping may end it before."""
    max_events: PositiveInt | None = None
    """Background events that training looks at, taken evenly from all; all if not given."""
    batch_items: PositiveInt = 512
    """Items a step over all workers together, so the result doesn't depend on their number."""
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "radam", "adagrad"] = "adam"
    """torch's; sgd with Nesterov's momentum where ``momentum`` is above 0."""
    learning_rate: PositiveFloat = 1e-3
    """At the start."""
    weight_decay: NonNegativeFloat = 0.0
    """Of the optimizer."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = MOMENTUM
    """Of sgd and rmsprop."""
    plateau_patience: NonNegativeInt = 4
    """Epochs without a better validation loss before the learning rate is cut."""
    plateau_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """What the learning rate is multiplied by then."""
    patience: PositiveInt = 10
    """Epochs without a better validation loss before training stops."""
    min_delta: NonNegativeFloat = 0.0
    """How much better a validation loss has to be to count as better."""
    validation: Annotated[float, Field(gt=0.0, le=0.5)] = 0.1
    """Share of background events held out to choose the epoch."""
    test: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1
    """Share of background events held out besides, that nothing is chosen by."""
    clip_norm: PositiveFloat | None = None
    """Norm of the gradient beyond which it is scaled down; none if not given."""
    anneal: Annealings = ()
    """Settings that change while a model is trained."""
    start_from: str | None = None
    """Folder of a bundle, ``OUTPUT/NAME/model`` of another run, whose weights training begins
    with; its ``[model]`` and ``[graph]`` have to be the job's. What its scaling was fitted to
    stays, too: weights know features by it."""
    keep_every: PositiveInt | None = None
    """Epochs between bundles that are kept as ``model/epochs/<epoch>``, besides the best one;
    epochs count from 1 and have four digits."""
    deterministic: bool = False
    """Whether torch takes operations alone that give the same bits every time, slower ones on
    GPUs, and stops where there is none."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """What the model computes in where that is safe; weights stay fp32."""
    workers: PositiveInt | Literal["auto"] = "auto"
    """One a GPU; without GPUs one a CPU as far as the batch makes that worth while."""
    use_gpu: bool | Literal["auto"] = "auto"
    """auto: where the cluster has one. Of a cluster that grows from nothing, say it."""
    max_failures: NonNegativeInt = 3
    """Lost workers that are replaced before the job gives up."""

    @model_validator(mode="after")
    def _momentum_of_some(self) -> Train:
        if self.momentum != MOMENTUM and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"momentum goes with sgd and rmsprop, not {self.optimizer}")
        return self

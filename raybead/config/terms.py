"""Terms of ``[loss]``: one section each, and a file of its kind's name in ``raybead/losses``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from raybead.config.section import Section

Need = Literal["posterior", "flow", "momenta", "generators", "views", "weights"]


class Term(Section):
    """One term of the loss."""

    weight: PositiveFloat = 1.0
    """What the term counts in the sum."""
    needs: ClassVar[frozenset[Need]] = frozenset()
    """posterior: a model that has one; flow: in its latent; momenta: features that lead back to
    momenta; generators: labels of them; views: each item seen twice, altered; weights: the
    model's."""
    compares: ClassVar[bool] = True
    """Whether it compares a reconstruction with what it aims at."""
    contrasts: ClassVar[bool] = False
    """Whether an item's value depends on the others of its batch."""
    scores: ClassVar[bool] = True
    """Whether an item by itself has a value of the term, so that it is part of the score."""
    signed: ClassVar[bool] = False
    """Whether it is a log-likelihood, or may be negative for another reason."""


class MseLoss(Term):
    """Mean squared error over a jet's nodes and features."""

    kind: Literal["mse"]


class MaeLoss(Term):
    """Mean absolute error over a jet's nodes and features."""

    kind: Literal["l1"]


class BceLoss(Term):
    """Binary cross entropy of features scaled to [0, 1], the reconstruction taken as logits."""

    kind: Literal["bce"]


class WassersteinLoss(Term):
    """Wasserstein distance between a jet's and its reconstruction's values, feature by feature;
    blind to which values belong together."""

    kind: Literal["wasserstein"]


class DistanceLoss(Term):
    """Mean over a jet's nodes of the length of the residual: to the first power, where mse has
    the second."""

    kind: Literal["distance"]
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Features that count, by the names they have after scaling; all if not given."""


class ChamferLoss(Term):
    """Squared distance of every particle to the nearest of the other jet, both ways."""

    kind: Literal["chamfer"]


class KlLoss(Term):
    """Divergence of a model's posterior from the prior: the standard normal distribution, or a
    symmetric Dirichlet distribution."""

    kind: Literal["kl"]
    needs = frozenset({"posterior"})
    compares = False
    concentration: PositiveFloat = 5.0
    """Of the Dirichlet prior."""


class LogDetLoss(Term):
    """Minus the log-determinant of the flow: what it stretches, beside ``kl`` of its start."""

    kind: Literal["log-det"]
    needs = frozenset({"posterior", "flow"})
    compares = False
    signed = True


class FlowKlLoss(Term):
    """Divergence of what a flow makes of a posterior from the standard normal distribution, by
    the sample at hand (arXiv:1505.05770, eq. 15): ``kl`` and ``log-det`` as one."""

    kind: Literal["flow-kl"]
    needs = frozenset({"posterior", "flow"})
    compares = False
    signed = True


class _Contrast(Term):
    compares = False
    contrasts = True
    scores = False
    temperature: PositiveFloat = 0.07
    """That cosines of latents are divided by."""


class SupConLoss(_Contrast):
    """Supervised contrastive loss over generators (arXiv:2004.11362): latents of one generator
    closer to one another than to others'."""

    kind: Literal["supcon"]
    needs = frozenset({"generators"})


class NtXentLoss(_Contrast):
    """NT-Xent (arXiv:2002.05709): latents of two altered views of an item closer to one another
    than to all others'."""

    kind: Literal["ntxent"]
    needs = frozenset({"views"})
    views: Annotated[
        tuple[Literal["noise", "rotation", "shift", "splitting"], ...], Field(min_length=1)
    ] = ("noise",)
    """What alters a view, one after another. noise: of ``noise`` on every scaled feature;
    rotation: of jets about their axes; shift: of all in eta and phi; splitting: constituents into
    two collinear ones."""
    noise: PositiveFloat = 0.1
    """Standard deviation, of scaled features."""
    shift: PositiveFloat = 0.5
    """Largest shift in eta; in phi any is taken."""
    splitting: Annotated[PositiveFloat, Field(le=1.0)] = 0.1
    """Share of constituents that split."""

    @field_validator("views")
    @classmethod
    def _once_each(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(views)) < len(views):
            raise ValueError("says one thing twice")
        return views


class WeightsL1Loss(Term):
    """Sum of the magnitudes of the model's weights."""

    kind: Literal["weights-l1"]
    needs = frozenset({"weights"})
    compares = False
    scores = False


class WeightsL2Loss(Term):
    """Sum of the squares of the model's weights."""

    kind: Literal["weights-l2"]
    needs = frozenset({"weights"})
    compares = False
    scores = False


class _Transport(Term):
    needs = frozenset({"momenta"})
    radius: PositiveFloat = 1.0
    """R that angular distances are divided by."""
    power: PositiveFloat = 1.0
    """Of the angular distances: the beta of arXiv:1902.02346, which ``vae`` has another of."""


class EmdLoss(_Transport):
    """Exact energy mover's distance; slow, on CPUs."""

    kind: Literal["emd"]


class SinkhornLoss(_Transport):
    """Debiased Sinkhorn divergence: a smooth energy mover's distance."""

    kind: Literal["sinkhorn"]
    epsilon: PositiveFloat = 0.01
    """Entropic regularisation, in units of the distance."""
    iterations: PositiveInt = 50
    """Of the scaling; the first half anneals epsilon."""


class DeepEmdLoss(_Transport):
    """Energy mover's distance as a regularised programme that can be differentiated."""

    kind: Literal["deepemd"]
    regulariser: PositiveFloat = 1e-4
    """Gamma of the quadratic regularisation, in units of the cost."""


class EmdNetworkLoss(Term):
    """Energy mover's distance by a network that ``raybead train-emd`` trained."""

    kind: Literal["emd-network"]
    needs = frozenset({"momenta"})
    bundle: str | None = None
    """Folder of the network, ``OUTPUT/NAME/emd`` of the job that trained it; this job's own if
    not given."""

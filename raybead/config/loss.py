"""``[loss]``: the terms that are trained on and that score, and which models they fit."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from raybead.config.features import NAMES
from raybead.config.graph import Graph
from raybead.config.model import Model
from raybead.config.section import Section

Need = Literal["posterior", "momenta"]


class Term(Section):
    """One term of the loss."""

    weight: PositiveFloat = 1.0
    needs: ClassVar[frozenset[Need]] = frozenset()
    """posterior: of a variational model; momenta: features that lead back to momenta."""


class MseLoss(Term):
    """Mean squared error over a jet's nodes and features."""

    kind: Literal["mse"]


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
    """Divergence of a variational model's posterior from the standard normal distribution."""

    kind: Literal["kl"]
    needs = frozenset({"posterior"})


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


class DeepEmdLoss(_Transport):
    """Energy mover's distance as a regularised programme that can be differentiated."""

    kind: Literal["deepemd"]
    regulariser: PositiveFloat = 1e-4


class EmdNetworkLoss(Term):
    """Energy mover's distance by a network that ``raybead train-emd`` trained."""

    kind: Literal["emd-network"]
    needs = frozenset({"momenta"})
    bundle: str | None = None
    """Folder of the network, ``OUTPUT/NAME/emd`` of the job that trained it; this job's own if
    not given."""


Loss = Annotated[
    MseLoss
    | DistanceLoss
    | ChamferLoss
    | KlLoss
    | EmdLoss
    | SinkhornLoss
    | DeepEmdLoss
    | EmdNetworkLoss,
    Field(discriminator="kind"),
]
"""A new term: its section here, and a file of its kind's name in ``raybead/losses``."""


def _as_terms(raw: Any) -> Any:
    match raw:
        case dict() | Section():
            return _as_terms([raw])
        case list() | tuple():
            return [term for one in raw for term in _expanded(one)]
        case _:
            return raw


def _expanded(raw: Any) -> list[Any]:
    """A term, or the two that ``vae`` is short for."""
    if not isinstance(raw, dict):
        return [raw]
    if raw.get("kind") != "vae":
        return [{"kind": "mse", **raw}]
    rest = {key: value for key, value in raw.items() if key not in ("kind", "reconstruction")}
    beta, weight = rest.pop("beta", 1.0), rest.get("weight", 1.0)
    if not all(isinstance(x, int | float) and x > 0 for x in (beta, weight)):
        raise ValueError(f"vae: beta and weight are above 0 (got {beta!r}, {weight!r})")
    return [
        {"kind": raw.get("reconstruction", "mse"), **rest},
        {"kind": "kl", "weight": beta * weight},
    ]


Losses = Annotated[tuple[Loss, ...], BeforeValidator(_as_terms), Field(min_length=1)]
"""A table, or an array of tables whose weighted sum is taken. ``kind = "vae"`` is short for its
``reconstruction`` (mse if not given) and ``beta`` times kl."""


def refuse_misfit(model: Model, losses: tuple[Loss, ...], graph: Graph) -> None:
    """Refuse a loss that the model, or its features, can't feed.

    Raises:
        ValueError: which, and what would help.
    """
    kinds = [term.kind for term in losses]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"loss: {kind} stands there twice; give it one weight")
    variational = getattr(model, "variational", False)
    for term in losses:
        if "posterior" in term.needs and not variational:
            raise ValueError(
                f"loss {term.kind} needs a posterior, and this {model.kind} has none; set"
                " model.variational = true, or choose a variational preset"
            )
        if isinstance(term, DistanceLoss):
            if len(set(term.columns or ())) < len(term.columns or ()):
                raise ValueError("loss distance: a column stands there twice")
            for column in term.columns or ():
                if column not in graph.scaled_columns:
                    raise ValueError(
                        f"loss distance: {column!r} is none of the model's features"
                        f" {', '.join(graph.scaled_columns)}"
                    )
        if "momenta" in term.needs and any("l2" in graph.chain(c) for c in NAMES[graph.features]):
            raise ValueError(
                f"loss {term.kind} needs momenta, and graph.scaling l2 can't be undone"
            )
    if kinds == ["kl"]:
        raise ValueError("loss: kl alone reconstructs nothing; add a reconstruction term")
    if variational and "kl" not in kinds:
        raise ValueError(
            "loss: nothing restrains the posterior of a variational model; add a kl term, or"
            ' write kind = "vae"'
        )

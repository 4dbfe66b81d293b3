"""``[loss]``: the terms that are trained on and that score, and which models they fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from raybead.config.features import NAMES
from raybead.config.graph import Graph
from raybead.config.model import Model
from raybead.config.section import Section
from raybead.config.terms import (
    BceLoss,
    ChamferLoss,
    DeepEmdLoss,
    DistanceLoss,
    EmdLoss,
    EmdNetworkLoss,
    FlowKlLoss,
    KlLoss,
    LogDetLoss,
    MaeLoss,
    MseLoss,
    NtXentLoss,
    SinkhornLoss,
    SupConLoss,
    WassersteinLoss,
    WeightsL1Loss,
    WeightsL2Loss,
)

Loss = Annotated[
    MseLoss
    | MaeLoss
    | BceLoss
    | WassersteinLoss
    | DistanceLoss
    | ChamferLoss
    | KlLoss
    | LogDetLoss
    | FlowKlLoss
    | SupConLoss
    | NtXentLoss
    | WeightsL1Loss
    | WeightsL2Loss
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
    posterior = getattr(model, "posterior", "point")
    flow = getattr(model, "flow", None)
    for term in losses:
        if "posterior" in term.needs and posterior == "point":
            raise ValueError(
                f"loss {term.kind} needs a posterior, and this {model.kind} has none; set"
                " model.posterior = 'gaussian', or choose a preset that has one"
            )
        if "flow" in term.needs and flow is None:
            raise ValueError(f"loss {term.kind} needs a flow; say [model.flow]")
        if isinstance(term, BceLoss) and graph.scaling != "min-max":
            raise ValueError("loss bce needs features in [0, 1]; set graph.scaling = 'min-max'")
        if isinstance(term, DistanceLoss):
            if len(set(term.columns or ())) < len(term.columns or ()):
                raise ValueError("loss distance: a column stands there twice")
            for column in term.columns or ():
                if column not in graph.scaled_columns:
                    raise ValueError(
                        f"loss distance: {column!r} is none of the model's features"
                        f" {', '.join(graph.scaled_columns)}"
                    )
        if "momenta" in term.needs and graph.features == "event":
            raise ValueError(f"loss {term.kind} needs momenta, which features 'event' don't have")
        if "momenta" in term.needs and graph.level == "event" and graph.features == "jet-axis":
            raise ValueError(
                f"loss {term.kind} measures between all nodes of an event, and features 'jet-axis'"
                " are each of its own jet's axis; set graph.features = 'cylindrical', or another"
            )
        if "momenta" in term.needs and any("l2" in graph.chain(c) for c in NAMES[graph.features]):
            raise ValueError(
                f"loss {term.kind} needs momenta, and graph.scaling l2 can't be undone"
            )
    if not any(term.compares for term in losses):
        raise ValueError(
            f"loss: {' + '.join(kinds)} alone reconstructs nothing; add a reconstruction term"
        )
    if posterior != "point" and not {"kl", "flow-kl"}.intersection(kinds):
        raise ValueError(
            "loss: nothing restrains the posterior of a variational model; add a kl term, or"
            ' write kind = "vae"'
        )
    if {"kl", "flow-kl"} <= set(kinds) or {"log-det", "flow-kl"} <= set(kinds):
        raise ValueError("loss: flow-kl stands in place of kl and log-det; give one or the other")

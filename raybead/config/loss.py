"""``[loss]``: the terms that are trained on and that score, and which models they fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

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
    fusion = getattr(model, "fusion", None)
    if fusion is not None and "efps" in fusion.tokens and graph.efps is None:
        raise ValueError("model.fusion takes energy flow polynomials; say [graph.efps]")
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
        if term.contrasts and model.latent < 2:
            raise ValueError(f"loss {term.kind} needs angles: a model.latent of 2 or more")
        _refuse_misfit_of_features(term, graph)
    if not any(term.compares for term in losses):
        raise ValueError(
            f"loss: {' + '.join(kinds)} alone reconstructs nothing; add a reconstruction term"
        )
    if "bce" in kinds and sum(term.compares for term in losses) > 1:
        raise ValueError(
            "loss bce takes a reconstruction as logits, which no other reconstruction term does;"
            " give it alone"
        )
    if posterior != "point" and not {"kl", "flow-kl"}.intersection(kinds):
        raise ValueError(
            "loss: nothing restrains the posterior of a variational model; add a kl term, or"
            ' write kind = "vae"'
        )
    if {"kl", "flow-kl"} <= set(kinds) or {"log-det", "flow-kl"} <= set(kinds):
        raise ValueError("loss: flow-kl stands in place of kl and log-det; give one or the other")
    if flow is not None and "kl" in kinds and "log-det" not in kinds:
        raise ValueError(
            "loss: what a flow stretches goes unpaid; add a log-det term of the same weight as kl,"
            " or take flow-kl for both"
        )


def _refuse_misfit_of_features(term: Loss, graph: Graph) -> None:
    lossy = any("l2" in graph.chain(column) for column in graph.columns)
    if "momenta" in term.needs:
        if graph.features == "event":
            raise ValueError(
                f"loss {term.kind} needs momenta, and graph.features event has none; take mse"
            )
        if graph.level == "event" and graph.features == "jet-axis":
            raise ValueError(
                f"loss {term.kind} measures between all nodes of an event, and features 'jet-axis'"
                " are each of its own jet's axis; set graph.features = 'cylindrical', or another"
            )
        if lossy:
            raise ValueError(
                f"loss {term.kind} needs momenta, and graph.scaling l2 can't be undone"
            )
    match term:
        case BceLoss():
            for column in graph.columns:
                if graph.chain(column)[-1] != "min-max":
                    raise ValueError(
                        f"loss bce needs features in [0, 1], and {column} isn't scaled to it; set"
                        " graph.scaling = 'min-max'"
                    )
        case DistanceLoss():
            if len(set(term.columns or ())) < len(term.columns or ()):
                raise ValueError("loss distance: a column stands there twice")
            for column in term.columns or ():
                if column not in graph.scaled_columns:
                    raise ValueError(
                        f"loss distance: {column!r} is none of the model's features"
                        f" {', '.join(graph.scaled_columns)}"
                    )
        case NtXentLoss():
            _refuse_views(term, graph, lossy)
        case _:
            pass


def _refuse_views(term: NtXentLoss, graph: Graph, lossy: bool) -> None:
    moving = [view for view in term.views if view != "noise"]
    if moving and graph.node != "constituent":
        raise ValueError(
            f"loss ntxent: {moving[0]} is of constituents, and nodes are graph.node ="
            f" {graph.node!r}; take views = ['noise']"
        )
    if moving and lossy:
        raise ValueError(
            f"loss ntxent: {moving[0]} needs momenta, and graph.scaling l2 can't be undone; take"
            " views = ['noise']"
        )
    of_jets = [view for view in moving if view != "shift"]
    if of_jets and graph.level == "event" and graph.jets > 1 and graph.nodes == "all":
        raise ValueError(
            f"loss ntxent: {of_jets[0]} is of each of an event's jets, which graph.nodes = 'all'"
            " doesn't tell apart; set a number of nodes"
        )
    if term.views == ("shift",) and graph.features == "jet-axis":
        raise ValueError(
            "loss ntxent: features jet-axis are the same wherever a jet lies, so that shift alone"
            " alters nothing; add another view"
        )

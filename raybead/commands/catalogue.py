"""What there is to choose from: models by preset, losses, and which fit one another."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, TypeAdapter

from raybead.config import MODEL_PRESETS, Efps, Graph, Loss, Losses, Model, refuse_misfit
from raybead.console import Console
from raybead.models import Inputs, build_model

MODELS = ["preset", "kind", "layer", "latent", "parameters", "fits"]
LOSSES = ["loss", "what it is", "needs"]
EVERY = Graph(scaling="min-max", efps=Efps())
"""Features that every model and loss can do with."""


def show_catalogue(console: Console) -> None:
    """Print the tables."""
    console.table("Models: [model] preset = ...", MODELS, model_rows())
    console.table("Losses: [loss] kind = ...", LOSSES, loss_rows())


def model_rows() -> list[list[str]]:
    """A row a preset; parameters are those for the three features of ``jet-axis``."""
    rows = []
    for preset in MODEL_PRESETS:
        config: Model = TypeAdapter(Model).validate_python({"preset": preset})
        model = build_model(config, Inputs(features=3, jets=3, efps=140))
        size = sum(weight.numel() for weight in model.parameters())
        per = "the jet" if config.kind == "jet-bottleneck" else "a node"
        if config.kind == "meta-layer":
            per += f" and {config.global_latent} the jet"
        layer = getattr(config, "layer", "message passing")
        latent = f"{config.latent} {per}"
        rows.append([preset, config.kind, layer, latent, str(size), fitting(config)])
    return rows


def loss_rows() -> list[list[str]]:
    """A row a term, and one for ``vae``, which is short for two."""
    rows = []
    for term in get_args(get_args(Loss)[0]):
        says = " ".join((term.__doc__ or "").split("\n\n")[0].split())
        rows.append([_kind(term), says, ", ".join(sorted(term.needs)) or "nothing"])
    return [*rows, ["vae", "Short for a reconstruction (mse) and beta times kl.", "posterior"]]


def fitting(model: Model) -> str:
    """The losses that fit a model, with what they have to have beside them."""
    every = reconstruction_kinds()
    for beside in (("flow-kl",), ("kl",), ()):
        kinds = [kind for kind in every if _fits(model, kind, *beside)]
        if kinds:
            return " + ".join(["any" if kinds == every else ", ".join(kinds), *beside])
    return "none"


def reconstruction_kinds() -> list[str]:
    """Names of the terms that compare a reconstruction with what it aims at."""
    return [_kind(term) for term in get_args(get_args(Loss)[0]) if term.compares]


def _fits(model: Model, *kinds: str) -> bool:
    losses = TypeAdapter(Losses).validate_python([{"kind": kind} for kind in kinds])
    try:
        refuse_misfit(model, losses, EVERY)
    except ValueError:
        return False
    return True


def _kind(term: type[BaseModel]) -> str:
    return get_args(term.model_fields["kind"].annotation)[0]

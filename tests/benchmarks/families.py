"""Every model with every family of losses: ``make families`` writes the table into
docs/enrichment.md.

Each pair is trained for a few epochs on whole events of the enrichment study's generators, saved,
loaded and scored again. What doesn't fall, or doesn't come back as it was, shows.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from typing import Any

import torch
from enrichment import FOLDER, GENERATORS, PAGE, events_of, generated, trained_on
from pydantic import TypeAdapter

from raybead.config import MODEL_PRESETS, Graph, Losses, Model
from raybead.console import Console
from raybead.models import Bundle, Recipe
from raybead.scoring import JetScorer
from raybead.storage import Folder

BEGIN, END = "<!-- made by make families -->", "<!-- end of families -->"
EVENTS, EPOCHS = 180, 4
LIKE_OTHERS = {f"edgenet-deeper{n}" for n in (2, 3, 4, 5)} | {"edgenet-emd", "edgenet-embed"}
"""Presets that are made of the same parts as others, and left out."""
PRESETS = [preset for preset in MODEL_PRESETS if preset not in LIKE_OTHERS]
FAMILIES: dict[str, list[dict[str, Any]]] = {
    "mse": [{"kind": "mse"}],
    "l1": [{"kind": "l1"}],
    "bce": [{"kind": "bce"}],
    "chamfer": [{"kind": "chamfer", "weight": 0.05}],
    "wasserstein": [{"kind": "mse"}, {"kind": "wasserstein"}],
    "supcon": [{"kind": "mse"}, {"kind": "supcon", "weight": 0.01}],
    "ntxent": [{"kind": "mse"}, {"kind": "ntxent", "weight": 0.01}],
    "weights": [
        {"kind": "mse"},
        {"kind": "weights-l1", "weight": 1e-5},
        {"kind": "weights-l2", "weight": 1e-5},
    ],
}


def main() -> None:
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    generated(console)
    known = FOLDER / "families.json"
    done: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
    for preset, family in itertools.product(PRESETS, FAMILIES):
        key = json.dumps([preset, FAMILIES[family], EVENTS, EPOCHS])
        if key not in done:
            started = time.perf_counter()
            done[key] = shown(preset, FAMILIES[family])
            known.write_text(json.dumps(done))
            console.say(f"{preset}, {family}: {done[key]}, {time.perf_counter() - started:.0f} s")
    PAGE.write_text(page(done))


def recipe_of(preset: str, terms: list[dict[str, Any]]) -> Recipe:
    """The model, with whatever its posterior and its flow want beside the terms."""
    of = MODEL_PRESETS[preset]
    divergence = "flow-kl" if "flow" in of else "kl"
    beside = [{"kind": divergence, "weight": 1e-3}] if "posterior" in of else []
    scaling = "min-max" if any(term["kind"] == "bce" for term in terms) else "standard"
    graph = {"level": "event", "jets": 3, "nodes": 15, "scaling": scaling}
    if "fusion" in of:
        graph["efps"] = {"n": 4, "d": 4}
    return Recipe(
        graph=Graph.model_validate(graph),
        model=TypeAdapter(Model).validate_python({"preset": preset}),
        loss=TypeAdapter(Losses).validate_python([*terms, *beside]),
    )


def shown(preset: str, terms: list[dict[str, Any]]) -> dict[str, float]:
    """By what factor the scoring loss fell, and how far scores moved through the bundle."""
    recipe = recipe_of(preset, terms)
    bundle, history = trained_on(recipe, tuple(GENERATORS), EVENTS, EPOCHS, seed=0)
    rows = events_of("signal-3500", "pythia-monash").slice(0, 200)
    with tempfile.TemporaryDirectory() as name:
        bundle.save(Folder.at(name))
        again = Bundle.load(Folder.at(name))
    scores = [
        torch.tensor(
            JetScorer(one, 512, leading=3, controls=False).table(rows).column("loss").to_pylist()
        )
        for one in (bundle, again)
    ]
    assert scores[0].isfinite().all()
    return {
        "fell": history[0]["train"] / history[-1]["train"],
        "moved": float((scores[0] - scores[1]).abs().max()),
    }


def page(done: dict[str, Any]) -> str:
    """The table, as Markdown."""
    lines = ["| model | " + " | ".join(FAMILIES) + " |", "|" + " --- |" * (1 + len(FAMILIES))]
    moved = 0.0
    for preset in PRESETS:
        cells = []
        for terms in FAMILIES.values():
            found = done[json.dumps([preset, terms, EVENTS, EPOCHS])]
            moved = max(moved, found["moved"])
            cells.append(f"{found['fell']:.2f}")
        lines.append("| " + " | ".join([preset, *cells]) + " |")
    facts = (
        f"The factor by which the training loss fell between the first and the last of {EPOCHS}"
        f" epochs, on {EVENTS} events of three jets and 15 constituents; with `kl`, or `flow-kl`,"
        " where a model has a posterior, or a flow. Every bundle was saved, loaded and scored"
        f" again: no score moved by more than {moved:.1g}. Left out, made of the same parts as"
        f" others: {', '.join(sorted(LIKE_OTHERS))}."
    )
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = "\n".join(lines)
    return f"{head}{BEGIN}\n\n{facts}\n\n{table}\n\n{END}{tail}"


if __name__ == "__main__":
    main()

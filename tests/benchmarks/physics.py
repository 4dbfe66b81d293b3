"""What presets and losses reach: ``make physics`` writes docs/physics.md.

Samples are generated once: background to train on, and two search samples with resonances of
different masses, labelled for this evaluation alone. No label takes part in a training, in the
choice of an epoch, or in a score.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import TypeAdapter

from raybead.config import (
    MODEL_PRESETS,
    Graph,
    Jets,
    LhcoSource,
    Losses,
    Model,
    PythiaSource,
    Resonance,
    Score,
    Train,
)
from raybead.console import Console
from raybead.events import EventSample, read_parquet
from raybead.graphs import Scaling, collate
from raybead.hunt import evaluate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Recipe
from raybead.preparing import Shard, prepare_shard
from raybead.scoring import SCORED, Calibration, JetScorer
from raybead.storage import Folder
from raybead.training import Trainer, split_by_event

warnings.filterwarnings("ignore", category=DeprecationWarning)
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "physics"
PAGE = ROOT / "docs" / "physics.md"
PER_SEARCH = 3300
SIGNAL = 0.0909
SAMPLES = {
    "background": (5000, 101, 0.0, Resonance()),
    "3.5 TeV": (PER_SEARCH, 203, SIGNAL, Resonance(mass=3500, mass_x=500, mass_y=100)),
    "4.2 TeV": (PER_SEARCH, 307, SIGNAL, Resonance(mass=4200, mass_x=700, mass_y=250)),
}
FILES = {"background": "background.h5", "3.5 TeV": "w3500.h5", "4.2 TeV": "w4200.h5"}
DRAWN = {"roc", "precision_recall", "improvement"}
"""Curves of an evaluation."""
BEST = {"pt_power": 1.5}
BEGIN, END = "<!-- made by make physics -->", "<!-- end -->"
LENGTH = {"kind": "distance", "columns": ["pt_deta", "pt_dphi"]}


@dataclass(frozen=True)
class Setting:
    """One training, and how its losses become scores."""

    group: str
    name: str
    model: dict[str, Any]
    loss: Any
    graph: dict[str, Any]
    epochs: int = 10
    score: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    subjets: int | None = None

    @property
    def key(self) -> str:
        text = json.dumps(vars(self), sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings(emd: str | None) -> Iterator[Setting]:
    """All that the table holds."""
    study = (("combine", "min"), ("complexity", "none"))
    yield Setting(
        "The study", "edgenet, cartesian, min of two jets", {"preset": "edgenet"},
        {"kind": "mse"}, {"features": "cartesian"}, score=study,
    )  # fmt: skip
    for preset in MODEL_PRESETS:
        kind = {"kind": "vae", "beta": 0.01} if "vae" in preset else {"kind": "mse"}
        # Attention holds its edges, and takes some forty times as long an epoch as what doesn't.
        attention = MODEL_PRESETS[preset].get("layer") in ("gatv2", "transformer")
        name, epochs = (f"{preset}, 3 epochs", 3) if attention else (preset, 10)
        yield Setting("Models, mse", name, {"preset": preset}, kind, {}, epochs)
    for preset in ("jet-bottleneck", "edgenet", "jet-dense"):
        for kind in ("distance", "chamfer", "emd"):
            yield Setting(f"Losses, {preset}", kind, {"preset": preset}, {"kind": kind}, {})
    group, dense = "Losses, jet-dense", {"preset": "jet-dense"}
    yield Setting(group, "deepemd", dense, {"kind": "deepemd"}, {})
    loss = {"kind": "sinkhorn", "epsilon": 0.03}
    yield Setting(group, "sinkhorn, epsilon 0.03, 2 epochs", dense, loss, {}, 2)
    if emd is not None:
        yield Setting(group, "emd-network", dense, {"kind": "emd-network", "bundle": emd}, {})
    yield Setting(group, "distance, 30 subjets", dense, {"kind": "distance"}, {}, subjets=30)
    graph = {"kind": "jet-bottleneck", "latent": 4}
    yield Setting("Shipped loss", "EdgeConv encoder", graph, LENGTH, BEST, epochs=20)
    for seed in range(3):
        name = f"jobs/lhco_best.toml, seed {seed}"
        yield Setting("Shipped", name, {"preset": "jet-dense"}, LENGTH, BEST, 30, seed=seed)


def main() -> None:
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    generated(console)
    done: dict[str, Any] = {}
    known = FOLDER / "results.json"
    if known.exists():
        done = json.loads(known.read_text())
    every = list(settings(options.get("emd")))
    for number, setting in enumerate(every, start=1):
        if setting.key not in done:
            done[setting.key] = measured(setting)
            known.write_text(json.dumps(done))
        found = done[setting.key]["3.5 TeV"]["score"]
        auc, seconds = found["auc"], done[setting.key]["seconds"]
        console.say(
            f"{number}/{len(every)} {setting.group}: {setting.name}: {auc:.4f}, {seconds:.0f} s"
        )
    PAGE.write_text(page(every, done))
    console.say(f"{PAGE}: {len(every)} trainings")


def generated(console: Console) -> None:
    """The samples' files, made where they aren't there yet."""
    missing = [name for name, file in FILES.items() if not (FOLDER / file).exists()]
    if not missing:
        return
    from raybead.distributed.generate import generate
    from raybead.distributed.session import session

    with session(None, None) as cluster:
        for name in missing:
            events, seed, fraction, resonance = SAMPLES[name]
            source = PythiaSource(
                source="pythia", events=events, seed=seed, signal_fraction=fraction,
                resonance=resonance,
            )  # fmt: skip
            labels = "column" if fraction else "none"
            with console.stage(f"generate {name}") as tick:
                generate(FOLDER / FILES[name], source, labels, cluster, tick)


def events_of(name: str, subjets: int | None) -> pa.Table:
    """Rows of a sample's events."""
    folder = FOLDER / f"{Path(FILES[name]).stem}-{subjets or 'all'}"
    if not folder.exists():
        source = LhcoSource(source="lhco", path=str(FOLDER / FILES[name]))
        sample = EventSample.of([source], "background" if name == "background" else "search")
        beside = folder.with_name(f".{folder.name}")
        for pieces in sample.pieces(SAMPLES[name][0]):
            prepare_shard(Shard(pieces, Folder.at(str(beside))), Jets(subjets=subjets))
        beside.rename(folder)
    parts = [
        read_parquet(path.read_bytes(), path.name) for path in sorted(folder.glob("*.parquet"))
    ]
    return pa.concat_tables(parts).combine_chunks()


def measured(setting: Setting) -> dict[str, Any]:
    """A training and its scores on both search samples."""
    bundle, seconds = trained(setting)
    scorer = JetScorer(bundle, batch_items=2048)
    found: dict[str, Any] = {
        "seconds": seconds,
        "parameters": sum(weight.numel() for weight in bundle.weights.values()),
        "epochs": bundle.summary["epochs"],
    }
    for name in ("3.5 TeV", "4.2 TeV"):
        rows = events_of(name, setting.subjets)
        jets = collate(rows, bundle.recipe.graph).select(torch.arange(1000))
        started = time.perf_counter()
        scorer.losses(jets)
        found["jets_per_second"] = len(jets) / (time.perf_counter() - started)
        losses = scorer.table(rows)
        score = Score.model_validate({"complexity_fit": "search", **dict(setting.score)})
        scores = Calibration.fit(losses, score).scores(losses)
        scores = scores.append_column("angularity", pa.array(angularity(rows)))
        evaluation = evaluate(scores, (*SCORED, "angularity"))
        assert evaluation is not None
        found[name] = {
            name: {key: value for key, value in curve.items() if key not in DRAWN}
            for name, curve in evaluation["scores"].items()
        }
    return found


def trained(setting: Setting) -> tuple[Bundle, float]:
    graph = Graph.model_validate(setting.graph)
    recipe = Recipe(
        graph=graph,
        model=TypeAdapter(Model).validate_python(setting.model),
        loss=TypeAdapter(Losses).validate_python(setting.loss),
    )
    config = Train(epochs=setting.epochs, batch_items=256, learning_rate=2e-3)
    jets = collate(events_of("background", setting.subjets), graph)
    split = split_by_event(jets.event_B, config, setting.seed)
    scaling = Scaling.fit(graph, jets.select(split.train).x_TF)
    torch.manual_seed(setting.seed)
    model = recipe.build()
    loss = JetLoss(recipe.loss, Space(graph, scaling))
    trainer = Trainer(model, scaling.apply(jets), split, loss, config, setting.seed)
    started = time.perf_counter()
    epochs = sum(1 for _ in trainer.epochs())
    seconds = time.perf_counter() - started
    summary = {"epochs": epochs}
    return Bundle(recipe, scaling, trainer.progress.best_weights, summary), seconds


def angularity(rows: pa.Table) -> np.ndarray:
    """[E] a control that had labels: mean pT^0.6 dR^0.2, with powers chosen on labelled events."""
    jets = rows.column("jets").combine_chunks().flatten()
    inner = rows.column("constituents").combine_chunks().flatten()
    parts, sizes = inner.flatten(), np.diff(inner.offsets.to_numpy())
    pt, eta, phi = (parts.field(name).to_numpy() for name in ("pt", "eta", "phi"))
    d_eta = eta - np.repeat(jets.field("eta").to_numpy(), sizes)
    d_phi = (phi - np.repeat(jets.field("phi").to_numpy(), sizes) + np.pi) % (2 * np.pi) - np.pi
    starts = np.cumsum(sizes) - sizes
    mean = np.add.reduceat(pt**0.6 * np.hypot(d_eta, d_phi) ** 0.2, starts) / sizes
    from raybead.scoring import Complexity

    left = Complexity.fit("quadratic", mean, sizes).remove(mean, sizes)
    return left.reshape(len(rows), -1).sum(axis=1)


HEADER = [
    "model or loss", "AUC 3.5 TeV", "SIC 3.5 TeV", "AUC 4.2 TeV", "SIC 4.2 TeV",
    "AUC less the best control's, 3.5 / 4.2 TeV", "parameters", "training, s", "jets/s",
]  # fmt: skip
CONTROLS = {
    "control_width": "pT-weighted spread",
    "control_moment": "mean (pT dR)^2",
    "control_mass": "jet masses",
    "control_tau21": "tau21",
    "control_multiplicity": "multiplicity",
    "control_constant": "loss of a constant, as shipped",
    "angularity": "mean pT^0.6 dR^0.2 (powers chosen with labels)",
}
MASSES = ("3.5 TeV", "4.2 TeV")


def page(every: list[Setting], done: dict[str, Any]) -> str:
    """The table and what it means, as Markdown."""
    lines = [ROW.format(*HEADER), ROW.format(*["---"] * len(HEADER))]
    best = {mass: _best_control(done[every[-1].key][mass]) for mass in MASSES}
    for name, title in CONTROLS.items():
        curves = [done[every[-1].key][mass][name] for mass in MASSES]
        lines.append(ROW.format(f"*{title}*", *_separation(curves), "", "", "", ""))
    group = ""
    for setting in every:
        if setting.group != group:
            group = setting.group
            lines.append(ROW.format(f"**{group}**", *[""] * (len(HEADER) - 1)))
        found = done[setting.key]
        gains = []
        for mass in MASSES:
            gain = found[mass][best[mass]]["gain"]["auc"]
            gains.append(f"{gain['value']:+.4f} ± {gain['error']:.4f}")
        lines.append(
            ROW.format(
                setting.name,
                *_separation([found[mass]["score"] for mass in MASSES]),
                " / ".join(gains),
                found["parameters"],
                f"{found['seconds']:.0f}",
                _rounded(found["jets_per_second"]),
            )
        )
    names = " and ".join(f"{CONTROLS[best[mass]]} ({mass})" for mass in MASSES)
    signal = round(PER_SEARCH * SIGNAL)
    facts = (
        f"{SAMPLES['background'][0]} events to train on; {PER_SEARCH - signal} QCD and {signal}"
        f" signal events in each search sample; gains over {names};"
        f" {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}."
    )
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = "\n".join(lines)
    return f"{head}{BEGIN}\n\n{facts}\n\n{table}\n\n{END}{tail}"


def _best_control(curves: dict[str, Any]) -> str:
    general = [name for name in SCORED if name not in ("score", "control_constant")]
    return max(general, key=lambda name: curves[name]["auc"])


def _separation(curves: list[dict[str, Any]]) -> Iterator[str]:
    for curve in curves:
        yield f"{curve['auc']:.4f} ± {curve['auc_error']:.4f}"
        yield f"{curve['sic']:.1f} ± {curve['sic_error']:.1f}"


def _rounded(rate: float) -> str:
    return f"{float(f'{rate:.2g}'):.0f}"


ROW = "| " + " | ".join(["{}"] * len(HEADER)) + " |"
if __name__ == "__main__":
    main()

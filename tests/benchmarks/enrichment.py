"""Does enrichment over generators help? ``make enrichment`` writes it into docs/enrichment.md.

Three backgrounds that differ in how partons shower, and signals among
the background of one of them. (Vincia, the other shower of this Pythia, takes half a second an
event.) A model trained on one generator alone meets the others' events as strange; one trained on
several should not. Equal numbers of training events in all. Labels serve this evaluation alone.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from pydantic import TypeAdapter

from raybead.config import (
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
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Recipe
from raybead.preparing import Shard, prepare_shard
from raybead.scoring import Calibration, JetScorer
from raybead.storage import Folder
from raybead.training import Trainer, split_by_event

warnings.filterwarnings("ignore", category=DeprecationWarning)
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "enrichment"
PAGE = ROOT / "docs" / "enrichment.md"
BEGIN, END = "<!-- made by make enrichment -->", "<!-- end -->"
GENERATORS: dict[str, tuple[str, ...]] = {
    "pythia-monash": (),
    "pythia-a14": ("Tune:pp = 21",),
    "pythia-dipole": (
        "SpaceShower:dipoleRecoil = on",
        "TimeShower:alphaSvalue = 0.118",
    ),
}
SIGNALS = {
    "3.5 TeV": Resonance(),
    "4.2 TeV": Resonance(mass=4200, mass_x=700, mass_y=250),
}
N_TRAIN, N_TEST, N_SIGNAL = 2000, 1000, 600
SEEDS = (0, 1, 2)
RESAMPLES = 400
JETS = Jets(leading=3, min_pt=50.0)


class Kind(NamedTuple):
    """What is trained, under the name that the table gives it."""

    graph: dict[str, Any]
    model: dict[str, Any]
    loss: list[dict[str, Any]]
    epochs: int = 25


EVENT = {"level": "event", "jets": 3, "nodes": 15}
FLOW = [
    {"kind": "mse"},
    {"kind": "flow-kl", "weight": 1e-3},
]
KINDS = {
    "jet-dense, length of residuals": Kind(
        {"pt_power": 1.5},
        {"preset": "jet-dense"},
        [{"kind": "distance", "columns": ["pt_deta", "pt_dphi"]}],
    ),
    "conv-planar-vae of events": Kind(EVENT, {"preset": "conv-planar-vae"}, FLOW),
    "conv-planar-vae of events, supcon": Kind(
        EVENT, {"preset": "conv-planar-vae"}, [*FLOW, {"kind": "supcon", "weight": 5e-3}]
    ),
}


def compositions() -> dict[str, tuple[str, ...]]:
    """Generators that a training sample is made of, in equal parts."""
    every = tuple(GENERATORS)
    found = {"+".join(part): part for n in (1, 2) for part in itertools.combinations(every, n)}
    return {**found, "all three": every}


def main() -> None:
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    generated(console)
    known = FOLDER / "results.json"
    done: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
    seeds = SEEDS[: int(options.get("seeds", len(SEEDS)))]
    plan = list(itertools.product(KINDS, compositions(), seeds))
    for number, (kind, trained_on, seed) in enumerate(plan, start=1):
        key = json.dumps([KINDS[kind], trained_on, seed, N_TRAIN])
        if key not in done:
            started = time.perf_counter()
            done[key] = measured(KINDS[kind], compositions()[trained_on], seed)
            known.write_text(json.dumps(done))
            console.say(
                f"{number}/{len(plan)} {kind}, {trained_on}, seed {seed}:"
                f" {time.perf_counter() - started:.0f} s"
            )
    PAGE.write_text(page(done, seeds))


def generated(console: Console) -> None:
    """The samples' files, made where they aren't there yet."""
    wanted: dict[str, PythiaSource] = {}
    for name, resonance in SIGNALS.items():
        wanted[f"signal-{resonance.mass:.0f}"] = PythiaSource(
            source="pythia", events=N_SIGNAL, seed=1000 + len(wanted), signal_fraction=1.0,
            resonance=resonance, slice_events=500,
        )  # fmt: skip
        assert name.startswith(f"{resonance.mass / 1000:.1f}")
    for (name, settings), (role, n) in itertools.product(
        GENERATORS.items(), (("train", N_TRAIN), ("test", N_TEST))
    ):
        wanted[f"{name}-{role}"] = PythiaSource(
            source="pythia", events=n, seed=1000 + len(wanted), settings=settings,
            slice_events=500,
        )  # fmt: skip
    missing = [name for name in wanted if not (FOLDER / f"{name}.h5").exists()]
    if not missing:
        return
    from raybead.distributed.generate import generate
    from raybead.distributed.session import session

    with session(None, None) as cluster:
        for name in missing:
            labels = "column" if wanted[name].signal_fraction else "none"
            with console.stage(f"generate {name}") as tick:
                generate(FOLDER / f"{name}.h5", wanted[name], labels, cluster, tick)


def events_of(name: str, generator: str) -> pa.Table:
    """Rows of a file's events."""
    folder = FOLDER / name
    if not folder.exists():
        file = LhcoSource(source="lhco", path=str(FOLDER / f"{name}.h5"), generator=generator)
        sample = EventSample.of([file], "background")
        beside = folder.with_name(f".{name}")
        for pieces in sample.pieces(N_TRAIN):
            prepare_shard(Shard(pieces, Folder.at(str(beside))), JETS)
        beside.rename(folder)
    parts = [
        read_parquet(path.read_bytes(), path.name) for path in sorted(folder.glob("*.parquet"))
    ]
    return pa.concat_tables(parts).combine_chunks()


def measured(kind: Kind, generators: tuple[str, ...], seed: int) -> dict[str, list[float]]:
    """Scores of all test samples by a model trained on some generators."""
    recipe = Recipe(
        graph=Graph.model_validate(kind.graph),
        model=TypeAdapter(Model).validate_python(kind.model),
        loss=TypeAdapter(Losses).validate_python(kind.loss),
    )
    bundle, _ = trained_on(recipe, generators, N_TRAIN, kind.epochs, seed)
    scorer = JetScorer(bundle, batch_items=2048, leading=JETS.leading, controls=False)
    tests = {name: events_of(f"{name}-test", name) for name in GENERATORS}
    for name, resonance in SIGNALS.items():
        tests[name] = events_of(f"signal-{resonance.mass:.0f}", "pythia-monash")
    # What multiplicity predicts is fitted on the training background, as for data not yet seen.
    background = pa.concat_tables([events_of(f"{name}-train", name) for name in generators])
    score = Score(complexity_fit="background", controls=False)
    calibration = Calibration.fit(scorer.table(background), score)
    return {
        name: calibration.scores(scorer.table(rows)).column("score").to_pylist()
        for name, rows in tests.items()
    }


def trained_on(
    recipe: Recipe, generators: tuple[str, ...], events: int, epochs: int, seed: int
) -> tuple[Bundle, list[dict[str, Any]]]:
    """The bundle of the best epoch of so many events in all, and the epochs' records."""
    config = Train(epochs=epochs, batch_items=min(256, events // 14), learning_rate=2e-3)
    share = events // len(generators)
    rows = pa.concat_tables(
        [events_of(f"{name}-train", name).slice(0, share) for name in generators]
    ).combine_chunks()
    rows = rows.set_column(
        rows.schema.get_field_index("event"), "event", pa.array(np.arange(len(rows)))
    )
    jets = collate(rows, recipe.graph, generators)
    split = split_by_event(jets.event_B, config, seed)
    train = jets.select(split.train)
    scaling = Scaling.fit(recipe.graph, train.x_TF, train.efps_NE)
    torch.manual_seed(seed)
    model = recipe.build()
    loss = JetLoss(recipe.loss, Space(recipe.graph, scaling))
    trainer = Trainer(model, scaling.apply(jets), split, loss, config, seed)
    history = [vars(record) for record in trainer.epochs()]
    summary = {"epochs": len(history)}
    return Bundle(recipe, scaling, trainer.progress.best_weights, summary), history


def separation(background: np.ndarray, signal: np.ndarray) -> float:
    """Probability that a signal event scores above one of background (Mann and Whitney)."""
    ordered = np.sort(background)
    below = np.searchsorted(ordered, signal, "left") + np.searchsorted(ordered, signal, "right")
    return float(below.mean() / 2 / len(ordered))


def gains(
    done: dict[str, Any], kind: str, seeds: tuple[int, ...], test: str, mass: str
) -> dict[str, tuple[float, float, float]]:
    """By kind of training sample: AUC, its gain over one other generator, and the gain's error.

    Errors by a paired bootstrap of test events, the same for all trainings; seeds are averaged.
    """

    def scores(trained_on: str) -> list[dict[str, list[float]]]:
        keys = [json.dumps([KINDS[kind], trained_on, seed, N_TRAIN]) for seed in seeds]
        return [done[key] for key in keys]

    others = [name for name in GENERATORS if name != test]
    samples = {
        "the same generator": [test],
        "one other": others,
        "both others": ["+".join(others)],
        "all three": ["all three"],
    }
    runs = {
        name: [
            (np.array(found[test]), np.array(found[mass]))
            for label in labels
            for found in scores(label)
        ]
        for name, labels in samples.items()
    }
    rng = np.random.default_rng(7)

    def mean_auc(name: str, b: np.ndarray, s: np.ndarray) -> float:
        return float(np.mean([separation(x[b], y[s]) for x, y in runs[name]]))

    n_b, n_s = (len(x) for x in runs["one other"][0])
    all_b, all_s = np.arange(n_b), np.arange(n_s)
    draws = [(rng.integers(n_b, size=n_b), rng.integers(n_s, size=n_s)) for _ in range(RESAMPLES)]
    base = mean_auc("one other", all_b, all_s)
    bases = np.array([mean_auc("one other", b, s) for b, s in draws])
    found = {}
    for name in samples:
        auc = mean_auc(name, all_b, all_s)
        spread = np.array([mean_auc(name, b, s) for b, s in draws]) - bases
        found[name] = (auc, auc - base, float(spread.std()))
    return found


def page(done: dict[str, Any], seeds: tuple[int, ...]) -> str:
    """The table, as Markdown."""
    columns = ["model", "background searched in", "signal", "one other generator"]
    columns += ["both others", "all three", "the same generator"]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for kind, test, mass in itertools.product(KINDS, GENERATORS, SIGNALS):
        found = gains(done, kind, seeds, test, mass)
        row = [kind, test, mass, f"{found['one other'][0]:.3f}"]
        for name in ("both others", "all three", "the same generator"):
            auc, gain, error = found[name]
            row.append(f"{auc:.3f} ({gain:+.3f} ± {error:.3f})")
        lines.append("| " + " | ".join(row) + " |")
    facts = (
        f"AUC by the generators that a model was trained on, {N_TRAIN} events in all; in brackets"
        f" the gain over training on one other generator, with its error by a paired bootstrap of"
        f" {N_TEST} background and {N_SIGNAL} signal events. Mean of {len(seeds)} seeds. Both"
        " others: the generator searched in takes no part in the training."
    )
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = "\n".join(lines)
    return f"{head}{BEGIN}\n\n{facts}\n\n{table}\n\n{END}{tail}"


if __name__ == "__main__":
    main()

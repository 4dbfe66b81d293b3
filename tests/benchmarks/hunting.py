"""What the hunt's p-values are worth: ``make hunting`` writes the tables of docs/hunt.md.

Samples are drawn from closed forms, so that every one is new: masses from a spectrum with a
turn-on, as a cut on jets makes it, that falls over two decades; scores whose mean, spread and
shape depend on the mass in several ways. Nothing here was fitted to a sample of the tests.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from raybead.config import Hunt
from raybead.console import Console
from raybead.hunt import Sample, Scores, hunt_once, prepare_box
from raybead.hunt.background import agreement
from raybead.hunt.pseudo import Calibration

PAGE = Path(__file__).parents[2] / "docs" / "hunt.md"
BEGIN, END = "<!-- made by make hunting -->", "<!-- end -->"
TOYS = 1000
EVENTS = 4000
MASS, WIDTH = 3500.0, 0.03
SEPARATION = 2.2
"""Of signal from background in standard deviations of a score given the mass: an AUC of 0.94."""


@dataclass(frozen=True)
class Setting:
    """A hunt, and the samples that it is tried on."""

    name: str
    hunt: dict[str, Any]
    family: str = "turn-on"
    events: int = EVENTS
    signal: float = 0.0
    sets: int = 200
    separation: float = SEPARATION


def settings() -> Iterator[Setting]:
    """Those of the page."""
    shipped = {"cuts": (0.9, 0.95, 0.99)}
    backgrounds = ("non-outliers", "dijet")
    for family in FAMILIES:
        yield Setting("shipped", shipped, family)
    yield Setting("shipped, 20,000 events", {"cuts": (0.9, 0.95, 0.99, 0.999)}, events=20_000)
    yield Setting("thresholds from background", {**shipped, "threshold_fit": "background"})
    for background in backgrounds[1:]:
        yield Setting(background, {**shipped, "background": background}, sets=100)
    yield Setting("peak's likelihood", {**shipped, "statistic": "likelihood"}, sets=100)
    yield Setting("the study's", {"cuts": (0.9,), "conditional": "none",
                                  "background": "ratio-polynomial"})  # fmt: skip
    yield Setting("the study's, non-outliers", {"cuts": (0.9,), "conditional": "none"})
    for strength in (0.01, 0.02, 0.05):
        for name, hunt in (
            ("shipped", shipped),
            ("90 and 95 %", {"cuts": (0.9, 0.95)}),
            ("dijet", {**shipped, "background": "dijet"}),
            ("peak's likelihood", {**shipped, "statistic": "likelihood"}),
            ("the study's", {"cuts": (0.9,), "conditional": "none",
                             "background": "ratio-polynomial"}),
        ):  # fmt: skip
            slow = "background" in hunt or "statistic" in hunt
            yield Setting(name, hunt, signal=strength, sets=40 if slow else 100)


FAMILIES = ("drift", "turn-on", "spread", "skew")


def masses(n: int, rng: np.random.Generator) -> np.ndarray:
    """[n] GeV: a turn-on at 2.4 TeV and a fall like m^-6, as dijets behind a jet trigger have."""
    found: list[np.ndarray] = []
    while sum(map(len, found)) < n:
        m = 2000 * rng.pareto(5.0, 4 * n) + 2000
        found.append(m[(rng.random(4 * n) < special.ndtr((m - 2450) / 130)) & (m < 9000)])
    return np.concatenate(found)[:n]


def score(family: str, m: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Scores of events that are z standard deviations odd, given their mass."""
    x = np.log(m / 3000)
    match family:
        case "drift":
            return 0.8 * x + z
        case "turn-on":
            return 0.8 * x + 1.2 * np.exp(-(m - 2600) / 150) + z * (1 + 0.3 * x)
        case "spread":
            return x + (0.7 + 1.2 * np.clip(x + 0.15, 0, None)) * z + 0.15 * np.exp(z)
        case _:
            shape = 1.2 + 1.5 * np.clip(x + 0.2, 0, None)
            return stats.gamma.ppf(special.ndtr(np.clip(z, -8, 8)), shape) * (1 + 0.4 * x)


def sample(setting: Setting, n_signal: int, rng: np.random.Generator) -> Sample:
    """Background, and a resonance among it."""
    m = np.concatenate([masses(setting.events, rng), rng.normal(MASS, WIDTH * MASS, n_signal)])
    z = rng.normal(size=len(m))
    z[setting.events :] += setting.separation
    order = rng.permutation(len(m))
    value = score(setting.family, m, z)
    return Sample(np.arange(len(m)), m[order], value[order], np.ones(len(m)))


def one(task: tuple[Setting, int]) -> tuple[float, bool, list[tuple[float, int]]]:
    """p-value of one set, whether its window holds the resonance, chi2 and ndf of every cut."""
    setting, number = task
    rng = np.random.default_rng([17, number, sum(map(ord, setting.name + setting.family))])
    search = sample(setting, round(setting.signal * setting.events), rng)
    background = sample(setting, 0, rng)
    config = Hunt(**setting.hunt)
    box = prepare_box([Scores("set", search, background)], config)
    toys = 200 if config.statistic == "likelihood" else TOYS
    found = hunt_once(box, config, toys, (number,))
    fits = [agreement(cut.outliers, cut.background, slice(0, 0)) for cut in box.cuts]
    return found.p, found.low <= MASS <= found.high, [(fit.chi2, fit.ndf) for fit in fits]


def main() -> None:
    console = Console()
    quick = "quick" in sys.argv[1:]
    rows: dict[bool, list[str]] = {False: [], True: []}
    with multiprocessing.get_context("spawn").Pool() as pool:
        for setting in settings():
            sets = 20 if quick else setting.sets
            started = time.monotonic()
            done = pool.map(one, [(setting, number) for number in range(sets)], chunksize=5)
            rows[setting.signal > 0].append(row(setting, done))
            console.say(f"{rows[setting.signal > 0][-1]} ({time.monotonic() - started:.0f} s)")
    if not quick:
        write(rows)
        console.say(f"{PAGE}: written")


def row(setting: Setting, done: list[tuple[float, bool, list[tuple[float, int]]]]) -> str:
    """A row of the page."""
    p = np.array([one[0] for one in done])
    if setting.signal > 0:
        covers = np.mean([one[1] for one in done])
        found = np.mean(p < 0.01)
        error = np.sqrt(max(found * (1 - found), 1 / len(p)) / len(p))
        return (
            f"| {setting.name} | {100 * setting.signal:g} % | {found:.2f} ± {error:.2f} |"
            f" {covers:.2f} | {len(p)} |"
        )
    toys = 200 if setting.hunt.get("statistic") == "likelihood" else TOYS
    summary = Calibration.of(p.tolist(), toys)
    n_cuts = max(len(one[2]) for one in done)
    chi2 = [
        sum(one[2][k][0] for one in done if k < len(one[2]))
        / max(sum(one[2][k][1] for one in done if k < len(one[2])), 1)
        for k in range(n_cuts)
    ]
    return (
        f"| {setting.name} | {setting.family} | {setting.events} | {len(p)} |"
        f" {np.mean(p < 0.05):.3f} | {np.mean(p < 0.01):.3f} | {summary.ks:.2f} |"
        f" {', '.join(f'{c:.2f}' for c in chi2)} |"
    )


def write(rows: dict[bool, list[str]]) -> None:
    """The tables, in their place on the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END, 1)[1]
    tables = [
        BEGIN,
        "",
        "Without a signal (of 200 sets the errors are 0.015 at 0.05, 0.007 at 0.01):",
        "",
        "| hunt | score by mass | events | sets | p < 0.05 | p < 0.01 | KS p | chi2/ndf, cuts |",
        "|---|---|---|---|---|---|---|---|",
        *rows[False],
        "",
        f"With a resonance at {MASS:.0f} GeV, {100 * WIDTH:g} % wide, among {EVENTS} events"
        " (score by mass: turn-on):",
        "",
        "| hunt | S/B | found (p < 0.01) | window holds the mass | sets |",
        "|---|---|---|---|---|",
        *rows[True],
        "",
        END,
    ]
    PAGE.write_text(head + "\n".join(tables) + tail, encoding="utf-8")


if __name__ == "__main__":
    main()

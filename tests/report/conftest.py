"""A small finished run, with numbers of the kind that a real one has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from browsing import opened_browser

from raybead.config import Job, parse_job
from raybead.events import table_bytes
from raybead.report import write_report
from raybead.storage import Folder, Stage, StageName

EDGES = np.array([2659, 2775, 2895, 3019, 3147, 3279, 3416, 3558, 3704, 3854, 4010], float)
WINDOW = slice(6, 8)
FACTS: dict[StageName, dict[str, Any]] = {
    "events/background": {
        "cutflow": {"read": 4321, "dropped": {"fewer than 2 jets": 21}, "written": 4300},
        "bytes": 1,
    },
    "events/search": {
        "cutflow": {
            "read": 2000, "dropped": {"fewer than 2 jets": 0, "bad row": 7}, "written": 1993,
        },
        "bytes": 1,
    },
    "model": {
        "epochs": 3, "best_epoch": 2, "validation_loss": 0.81, "test_loss": None,
        "jets": {"train": 6880, "validation": 860, "test": 860}, "workers": 2, "gpu": False,
    },
    "scores": {"events": {"background": 4300, "search": 1993}},
    "hunt": {},
}  # fmt: skip
JOB = """
name = "tiny"
[data.background]
source = "lhco"
path = "data/<b>bold</b>.h5"
[data.search]
source = "pythia"
events = 2000
signal_fraction = 0.05
"""


@pytest.fixture(scope="session")
def job() -> Job:
    return parse_job(JOB)


def one_cut(quantile: float) -> dict[str, Any]:
    """A cut of a hunt's result, its histogram a falling spectrum with a bump."""
    others = np.round(2000 * np.exp(-np.arange(10) / 4)).astype(int)
    share = 1 - quantile
    outliers = np.round(share * others).astype(int)
    outliers[WINDOW] += 30
    outliers[-1] = 0
    expected = share * others
    observed, predicted = int(outliers[WINDOW].sum()), float(expected[WINDOW].sum())
    starts = [i for width in (2, 3) for i in range(11 - width)]
    stops = [i + width for width in (2, 3) for i in range(11 - width)]
    p = np.where((np.array(starts) < 8) & (np.array(stops) > 6), 0.003, 1.0)
    p[starts.index(6)] = 1e-7
    masses = np.geomspace(2700, 3950, 15)
    bump = np.exp(-(((masses - 3550) / 150) ** 2) / 2)
    limit = 12 + 25 * bump
    return {
        "key": f"{quantile:g}", "label": f"{100 * quantile:g} % quantile", "run": "tiny",
        "cut": quantile,
        "events": {"search": 1993, "in_window": 1500, "outliers": int(outliers.sum()),
                   "others": int(others.sum())},
        "thresholds": [{"masses": [2659.0, 6099.0], "values": [0.9, 1.3]}],
        "histogram": {"edges": EDGES.tolist(), "outliers": outliers.tolist(),
                      "others": others.tolist(), "expected": expected.tolist(),
                      "uncertainty": (share * np.sqrt(others)).tolist()},
        "background": {"kind": "non-outliers", "warnings": [],
                       "agreement": {"chi2": 7.5, "ndf": 7, "p": 0.38}},
        "peak": {"masses": masses.tolist(), "z": (4.9 * bump).tolist(),
                 "global": {"p": 2e-5, "error": 1e-6},
                 "signal": (60 * bump).tolist(), "error_low": (6 + 3 * bump).tolist(),
                 "error_high": (7 + 3 * bump).tolist(),
                 "best": {"mass": 3550.0, "mass_low": 40.0, "mass_high": None, "signal": 60.0,
                          "lost": 0.0, "error_low": 9.0,
                          "error_high": 10.0, "z": 4.9, "p": 5e-7}},
        "limits": {"confidence": 0.95, "luminosity": None, "masses": masses.tolist(),
                   "observed": (limit + 50 * bump).tolist(),
                   "expected": [(limit * f).tolist() for f in (0.5, 0.7, 1.0, 1.4, 1.9)],
                   "at_best": {"observed": 87.0, "expected": 37.0}},
        "window": {"low": 3416.0, "high": 3704.0, "scale": 0.9, "observed": observed,
                   "expected": predicted,
                   "expected_error": 2.5, "excess": observed - predicted, "excess_error": 11.0},
        "local": {"p": 1e-7, "significance": 5.2},
        "global": {"p": 1 / 201, "low": 0.0, "high": 0.009, "beyond": 0, "toys": 200,
                   "significance": 2.6},
        "scan": {"low": EDGES[starts].tolist(), "high": EDGES[stops].tolist(), "p": p.tolist()},
        "toys": {"statistic": 16.1, "edges": np.linspace(0, 17, 18).tolist(),
                 "counts": [0, 20, 90, 60, 20, 7, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]},
    }  # fmt: skip


CONTROLS = {"width": 0.2, "moment": 0.09, "mass": 0.4, "tau21": 0.25, "multiplicity": 1.1}
"""Of controls that lie on both sides of the model's 0.1."""


def evaluation() -> dict[str, Any]:
    """Of a model between its controls."""
    fpr = np.concatenate([[0], np.geomspace(0.001, 1, 60)])

    def score(power: float) -> dict[str, Any]:
        tpr, auc = fpr**power, 1 / (1 + power)
        sic, gain = float((tpr[25:] / np.sqrt(fpr[25:])).max()), 1 / 1.1 - auc
        return {
            "auc": auc, "auc_error": 0.01, "sic": sic, "sic_error": 0.2,
            "sic_efficiency": float(tpr[25]),
            "beyond_first": -gain, "beyond_first_error": 0.005,
            "gain": {
                "auc": {"value": gain, "error": 0.005, "without": float(gain < 0)},
                "sic": {"value": 0.5, "error": 0.2, "without": 0.01},
            },
            "average_precision": 0.4 - power / 4, "average_precision_error": 0.03,
            "rejection": [
                {"efficiency": e, "value": e ** (-1 / power), "low": 0.8 * e ** (-1 / power),
                 "high": 1.3 * e ** (-1 / power) if e > 0.1 else None,
                 "error": 0.25 * e ** (-1 / power) if e > 0.1 else None, "passing": 50.0}
                for e in (0.1, 0.2, 0.3, 0.5, 0.7)
            ],
            "roc": {"fpr": fpr.tolist(), "tpr": tpr.tolist()},
            "precision_recall": {
                "recall": tpr[1:].tolist(),
                "precision": (tpr / (tpr + 19 * np.maximum(fpr, 1e-9)))[1:].tolist(),
            },
            "improvement": {
                "efficiency": tpr[25:].tolist(),
                **{key: (factor * tpr[25:] / np.sqrt(fpr[25:])).tolist()
                   for key, factor in (("value", 1.0), ("low", 0.9), ("high", 1.1))},
            },
        }  # fmt: skip

    model = score(0.1)
    del model["gain"]
    return {
        "signal": 100,
        "background": 1893,
        "prevalence": 100 / 1993,
        "replicas": 500,
        "scores": {
            "score": model,
            **{f"control_{name}": score(power) for name, power in CONTROLS.items()},
        },
        "efficiency": {"observable": "mjj", "edges": EDGES.tolist(), "cuts": [{
            "cut": 0.9,
            "signal": shares([None] * 4 + [0.2, 0.5, 0.6, 0.5, 0.3, None]),
            "background": shares([0.1] * 9 + [0.0]),
        }]},
    }  # fmt: skip


def shares(values: list[float | None]) -> dict[str, Any]:
    """Of a cut: efficiencies of the bins, of all together, and their intervals."""
    told = [value for value in values if value is not None]
    total = {"value": max(told), "low": 0.9 * max(told), "high": 1.1 * max(told)}
    return {
        "value": values,
        "low": [None if v is None else 0.8 * v for v in values],
        "high": [None if v is None else 1.2 * v + 0.01 for v in values],
        "effective": [None if v is None else 30.0 for v in values],
        "total": {**total, "effective": 200.0},
    }


def result_of(
    quantiles: Sequence[float] = (0.9,), *, truth: bool = True, refused: Sequence[str] = ()
) -> dict[str, Any]:
    """What a hunt writes into ``result.json``."""
    cuts = [one_cut(quantile) for quantile in quantiles]
    p = len(cuts) * cuts[0]["global"]["p"]
    return {
        "observable": "mjj",
        "cuts": cuts,
        "refused": list(refused),
        "conclusion": {"best_cut": 0, "p": p, "significance": 2.3, "looks": len(cuts),
                       "resolved": False, "window": cuts[0]["window"], "bonferroni": p,
                       "beyond": 0, "toys": 200},
        "evaluation": evaluation() if truth else None,
    }  # fmt: skip


def calibration_of(sets: int = 200) -> dict[str, Any]:
    """What a calibration writes into its ``result.json``."""
    p = (np.random.default_rng(0).permutation(sets) + 0.5) / sets
    alarms = [{"level": level, "alarms": int((p < level).sum()), "rate": float((p < level).mean()),
               "low": 0.8 * level, "high": 1.3 * level} for level in (0.05, 0.01)]  # fmt: skip
    return {"sets": sets, "events": 1993, "sample": "background", "method": "smooth",
            "toys": 2000, "p": p.tolist(),
            "summary": {"ks": 0.8, "alarms": alarms, "verdict": "calibrated",
                        "words": "p-values are calibrated: 5 % of sets."}}  # fmt: skip


def reach_of() -> dict[str, Any]:
    """What a study of the reach writes into its ``result.json``."""
    points = [
        {"mass": mass, "strength": s, "found": found, "found_low": found - 0.04 * found,
         "found_high": found + 0.06 * (1 - found), "median_z": 60 * s, "covered": found,
         "injected": 1200 * s, "fitted": 1190 * s + 1, "fitted_error": 2.0, "limit_covers": 0.95}
        for mass in (3000.0, 4000.0)
        for s, found in ((0.0, 0.01), (0.01, 0.5), (0.02, 0.9), (0.05, 1.0))
    ]  # fmt: skip
    return {"sets": 50, "events": 1993, "signal": "efficiency", "efficiency": 0.6, "cut": 0.9,
            "points": points}  # fmt: skip


def scores_of(n: int, seed: int, *, truth: bool) -> pa.Table:
    """Rows of event scores, as scoring writes them, less the columns of single jets' losses."""
    rng = np.random.default_rng(seed)
    signal = rng.random(n) < 0.05
    mjj = np.where(signal, rng.normal(3500, 80, n), 2300 + rng.exponential(600, n))
    return pa.table(
        {
            "event": pa.array(np.arange(n)),
            "truth": pa.array(signal.astype(np.int8)) if truth else pa.nulls(n, pa.int8()),
            "weight": np.ones(n),
            "mjj": mjj,
            "mj1": rng.gamma(3, 60, n),
            "mj2": rng.gamma(3, 50, n),
            "score": rng.normal(np.where(signal, 2.0, 0.0), 1.0),
            **{f"control_{name}": rng.normal(size=n) for name in CONTROLS},
        }
    )


def metrics_of(epochs: int = 3) -> dict[str, Any]:
    """What training writes into ``metrics.json``."""
    return {
        "history": [
            {"epoch": i, "train": 1 / (i + 1), "validation": 1.1 / (i + 1), "learning_rate": 1e-3,
             "best": i < 2}
            for i in range(epochs)
        ],
        "reconstruction": {
            "pt": {"edges": np.linspace(0, 700, 61).tolist(),
                   "input": np.geomspace(9000, 1, 60).round().tolist(),
                   "reconstruction": np.geomspace(12000, 0.1, 60).round().tolist()}
        },
    }  # fmt: skip


MakeRun = Callable[..., Folder]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Write a finished run: of a result, with or without truth, of some epochs."""

    def make(
        result: dict[str, Any],
        *,
        truth: bool = True,
        epochs: int = 3,
        calibration: dict[str, Any] | None = None,
        reach: dict[str, Any] | None = None,
    ) -> Folder:
        run = Folder.at(str(tmp_path_factory.mktemp("run") / "tiny"))
        studies = {"calibration": calibration, "reach": reach}
        done = {name: {} for name, study in studies.items() if study is not None}
        hunt = {"hunt": {"conclusion": result["conclusion"]}}
        for name, facts in {**FACTS, **hunt, **done}.items():
            stage = Stage(run, name, {})
            stage.beside.make()
            stage.finish({**facts, "seconds": 1.5})
        (run / "model").write_json("metrics.json", metrics_of(epochs))
        (run / "hunt").write_json("result.json", result)
        search = scores_of(1993, 2, truth=truth)
        inside = search.filter((pc.field("mjj") >= EDGES[0]) & (pc.field("mjj") < EDGES[-1]))
        flags = {cut["key"]: pc.greater(inside["score"], 1.2) for cut in result["cuts"]}
        hunted = pa.table({"event": inside["event"], **flags})
        (run / "hunt").write("outliers.parquet", table_bytes(hunted))
        for study, found in ((calibration, "calibration"), (reach, "reach")):
            if study is not None:
                (run / found).write_json("result.json", study)
        background = scores_of(4300, 1, truth=False)
        (run / "scores").write("background.parquet", table_bytes(background))
        (run / "scores").write("search.parquet", table_bytes(scores_of(1993, 2, truth=truth)))
        return run

    return make


@pytest.fixture(scope="session")
def make_result() -> Callable[..., dict[str, Any]]:
    return result_of


@pytest.fixture(scope="session")
def make_calibration() -> Callable[..., dict[str, Any]]:
    return calibration_of


@pytest.fixture(scope="session")
def make_reach() -> Callable[..., dict[str, Any]]:
    return reach_of


class Drawn(NamedTuple):
    """A whole page, its figures as files, and the run that it is of."""

    page: str
    folder: Path
    run: Folder


@pytest.fixture(scope="session")
def drawn(job, make_run, tmp_path_factory) -> Drawn:
    """The page of a run with truth, two cuts and both studies; drawn once."""
    run = make_run(result_of((0.9, 0.95)), calibration=calibration_of(), reach=reach_of())
    folder = tmp_path_factory.mktemp("drawn")
    page = write_report(job, run, Folder.at(str(folder))).decode()
    (folder / "report.html").write_text(page)
    return Drawn(page, folder, run)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with opened_browser() as found:
        yield found

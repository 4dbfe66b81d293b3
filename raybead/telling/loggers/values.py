"""What loggers are told, as names and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raybead.config import Job
from raybead.storage import Folder, StageName

TRAINED: tuple[StageName, ...] = ("model", "emd")
"""Stages that have epochs."""
Record = Mapping[str, Any]
"""Of an epoch."""


@dataclass(frozen=True)
class About:
    """What is logged."""

    job: Job
    run: Folder
    keys: Mapping[str, str]
    """Of the stages that train: another key is another training"""


class Logger(Protocol):
    """Is told of a run. What it was told before, in this process or another, it passes over."""

    name: str
    faults: tuple[type[Exception], ...]
    """What its calls may raise where it can't be reached; all else is told with its class"""

    def parameters(self, parameters: Mapping[str, str]) -> None:
        """The resolved job, by key."""

    def epochs(self, stage: str, records: Sequence[Record]) -> None:
        """Epochs of a training."""

    def results(self, numbers: Mapping[str, float]) -> None:
        """Final numbers."""

    def report(self, page: bytes) -> None:
        """The report, as HTML."""

    def close(self, state: str) -> None:
        """The run is over: done, fault or interrupted."""


def metrics_of(stage: str, record: Record) -> dict[str, float]:
    """Numbers of an epoch by name: losses, every term, the learning rate, annealed settings.

    Those of the job's model have no prefix, those of other trainings their stage's name. Numbers
    that aren't finite are left out.
    """
    found = {
        "loss/train": record.get("train"),
        "loss/validation": record.get("validation"),
        "learning_rate": record.get("learning_rate"),
        **{f"term/train/{name}": value for name, value in _of(record, "train_terms")},
        **{f"term/validation/{name}": value for name, value in _of(record, "terms")},
        **{f"annealed/{name}": value for name, value in _of(record, "annealed")},
    }
    prefix = "" if stage == "model" else f"{stage}/"
    return {prefix + name: float(x) for name, x in found.items() if _is_number(x)}


def parameters_of(job: Job) -> dict[str, str]:
    """The resolved job, flat: dotted keys with their values as text; arrays by place."""
    return dict(_flat(job.model_dump(mode="json", exclude_none=True, exclude={"loggers"}), ""))


def results_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Final numbers of a hunt's result; those that know the truth begin with ``evaluation/``."""
    conclusion = result["conclusion"]
    found: dict[str, Any] = {
        f"hunt/{name}": conclusion.get(name)
        # Unresolved, p is what the toys bound it by.
        for name in ("p", "significance", "bonferroni", "looks", "resolved")
    }
    for cut in result["cuts"]:
        at = f"hunt/cut {cut['key']}"
        found |= {f"{at}/local_{name}": cut["local"].get(name) for name in ("p", "significance")}
        found |= {
            f"{at}/{name}": cut["window"].get(name)
            for name in ("low", "high", "observed", "expected")
        }
    for score, of in (result.get("evaluation") or {}).get("scores", {}).items():
        for name in ("auc", "sic", "average_precision"):
            found[f"evaluation/{score}/{name}"] = of.get(name)
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _of(record: Record, name: str) -> list[tuple[str, Any]]:
    return list((record.get(name) or {}).items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flat(what: Any, key: str) -> list[tuple[str, str]]:
    match what:
        case dict() if what:
            inner = list(what.items())
        case list() if any(isinstance(one, dict | list) for one in what):
            inner = [(str(place), one) for place, one in enumerate(what)]
        case _:
            return [(key, str(what))]
    return [
        pair for name, value in inner for pair in _flat(value, f"{key}.{name}" if key else name)
    ]

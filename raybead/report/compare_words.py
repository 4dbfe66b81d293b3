"""What runs of a comparison are, and in what they differ, as short text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybead.config import Job
from raybead.report.compared import Run
from raybead.report.numbers import significance
from raybead.report.tried import in_short

ABSENT = "–"  # noqa: RUF001  # the sign for nothing there
OWN = ("name", "output")
"""Keys in which runs always differ."""


def model_in_words(job: Job) -> str:
    """Kind, layer and latent size."""
    model = job.model
    layer = getattr(model, "layer", None)
    posterior = getattr(model, "posterior", "point")
    parts = [model.kind, layer, f"latent {model.latent}"]
    return ", ".join(filter(None, [*parts, None if posterior == "point" else posterior]))


def loss_in_words(job: Job) -> str:
    """Its terms, with weights that aren't 1."""
    return " + ".join(
        term.kind if term.weight == 1 else f"{term.weight:g} {term.kind}" for term in job.loss
    )


def differing_keys(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Keys of the resolved jobs that aren't alike in all runs, with each run's value as text."""
    every = [dict(_flat(run.job.model_dump(mode="json", exclude_none=True))) for run in runs]
    keys = [k for k in dict.fromkeys(k for said in every for k in said) if k not in OWN]
    return {
        key: [in_short(said[key]) if key in said else ABSENT for said in every]
        for key in keys
        if len({json.dumps(said.get(key)) for said in every}) > 1
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Keys as a job file's overrides say them; tables in arrays are numbered."""
    match value:
        case dict():
            for key, inside in value.items():
                yield from _flat(inside, f"{name}.{key}" if name else key)
        case [dict(), *_]:
            for number, inside in enumerate(value):
                yield from _flat(inside, f"{name}[{number}]")
        case _:
            yield name, value


def loss_groups(runs: Sequence[Run]) -> dict[str, str]:
    """A letter for every trained run: validation losses of one letter can be compared.

    They are of the same loss, of the same inputs, over the same validation items.
    """
    letters: dict[str, str] = {}
    found: dict[str, str] = {}
    for run in runs:
        if not run.history:
            continue
        job = run.job
        background = run.accounts.get("events/background")
        decides = json.dumps(
            {
                "loss": [term.model_dump(mode="json") for term in job.loss],
                "graph": job.graph.model_dump(mode="json"),
                "train": job.train.model_dump(
                    mode="json", include={"anneal", "max_events", "validation", "test"}
                ),
                "seed": job.seed,
                "events": (
                    background.depends if background is not None
                    else job.data.model_dump(mode="json", include={"background"})
                ),
            },
            sort_keys=True,
        )  # fmt: skip
        number = len(letters)
        found[run.name] = letters.setdefault(
            decides, chr(ord("a") + number) if number < 26 else str(number)
        )
    return found


def table_in_words(runs: Sequence[Run]) -> list[str]:
    """What has to be known to read the table of runs."""
    said = [
        "Limits are on a peak at the best fit's mass among the outliers of the run's best cut."
    ]
    if len(set(loss_groups(runs).values())) > 1:
        said.append(
            "Validation losses can be compared where the letter is the same: same loss, same"
            " inputs, same validation items. Those of different letters are different numbers."
        )
    return said


@dataclass(frozen=True)
class Looks:
    """Several runs' global p-values together: having looked that often."""

    runs: int
    run: str
    """With the smallest p-value that is known; all of them where several have it."""
    p: float
    bound: bool
    """Whether this run's is only known from above."""
    open: tuple[str, ...] = ()
    """Other runs whose p-values are only known from above: theirs may be smaller still."""

    @property
    def at_most(self) -> bool:
        """Whether the smallest of all, and what is made of it, is only known from above."""
        return self.bound or bool(self.open)

    @property
    def bonferroni(self) -> float:
        """Whatever the runs have in common."""
        return min(1.0, self.runs * self.p)

    @property
    def sidak(self) -> float:
        """Of runs that have nothing in common."""
        return -math.expm1(self.runs * math.log1p(-min(self.p, 1 - 1e-16)))

    @property
    def significance(self) -> float:
        """Of Bonferroni's."""
        return significance(self.bonferroni)

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Looks | None:
        """None where no run was hunted in."""
        hunted = [run for run in runs if run.hunted is not None]
        if not hunted:
            return None
        found = [(run.name, run.hunted.conclusion) for run in hunted if run.hunted is not None]
        least = min(conclusion.p for _, conclusion in found)
        first = [(name, conclusion) for name, conclusion in found if conclusion.p == least]
        # What is at most the least is no larger than what is the least.
        first = [one for one in first if not one[1].resolved] or first
        names = [name for name, _ in first]
        return cls(
            len(found), in_a_row(names), least, not first[0][1].resolved,
            tuple(name for name, of in found if not of.resolved and name not in names),
        )  # fmt: skip


def in_a_row(names: Sequence[str]) -> str:
    """``a, b and c``."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def in_a_cell(value: str) -> str:
    """A value for a narrow table: of a long path its end, which tells more than its beginning."""
    return f"…/{value.rpartition('/')[2]}" if "/" in value and len(value) > 28 else value


def missing_in_words(missing: Mapping[str, str]) -> str:
    """Names in brackets with why each isn't shown."""
    return "; ".join(f"{name} ({why})" for name, why in missing.items())

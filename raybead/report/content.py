"""What a report is made of, read from a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import pyarrow as pa

from raybead.config import Job
from raybead.events import read_parquet
from raybead.report.diagnosed import Diagnostics
from raybead.report.provenance import Provenance
from raybead.storage import MANIFEST, Folder, Role, StageName, is_current, stage_facts

OUTLIERS = "outliers.parquet"
COLUMNS = ["event", "truth", "mjj", "mj1", "mj2", "score", "weight"]
STAGES: tuple[StageName, ...] = (
    "events/background", "events/search", "model", "scores", "hunt",
)  # fmt: skip
"""Stages that have to be done before a report, in order."""
STUDIES: tuple[StageName, ...] = ("calibration", "reach")
"""Those that a report also tells of where they are done for its job."""


@dataclass(frozen=True)
class Content:
    """A finished run: what its stages said of themselves, found and wrote."""

    job: Job
    facts: Mapping[StageName, Mapping[str, Any]]
    """Each stage's own account of what it did."""
    versions: Mapping[StageName, str]
    """raybead's version that did each stage."""
    metrics: Mapping[str, Any]
    """``model/metrics.json``: history of epochs, histograms of the reconstruction."""
    result: Mapping[str, Any]
    """``hunt/result.json``."""
    scores: Mapping[Role, pa.Table]
    """Rows of event scores with :data:`COLUMNS`."""
    outliers: pa.Table
    """``hunt/outliers.parquet``: events of the mass window, with a column a cut."""
    calibration: Mapping[str, Any] | None
    """``calibration/result.json``, if there is one for these settings."""
    reach: Mapping[str, Any] | None
    """``reach/result.json``, likewise."""
    diagnostics: Diagnostics | None = None
    """What was looked at of the model, likewise."""
    provenance: Provenance = field(default_factory=Provenance)
    """Input files, and what the stages took."""

    @classmethod
    def read(cls, job: Job, run: Folder) -> Content:
        """The content of a job's run.

        Raises:
            RunError: a stage isn't done.
            StorageError: a stage's files are missing or broken.
        """
        studies: tuple[StageName, ...] = tuple(name for name in STUDIES if is_current(run, name))
        return cls(
            job=job,
            facts={name: stage_facts(run, name) for name in STAGES},
            versions={name: (run / name).read_json(MANIFEST)["raybead"] for name in STAGES},
            metrics=(run / "model").read_json("metrics.json"),
            result=(run / "hunt").read_json("result.json"),
            scores={role: _table(run / "scores", role) for role in get_args(Role)},
            outliers=read_parquet((run / "hunt").read(OUTLIERS), f"{run}/hunt/{OUTLIERS}"),
            calibration=_study(run, "calibration"),
            reach=_study(run, "reach"),
            diagnostics=Diagnostics.read(run),
            provenance=Provenance.read(run, (*STAGES, *studies)),
        )

    @property
    def truth_is_known(self) -> bool:
        """Whether the hunt's result holds an evaluation with truth."""
        return self.result["evaluation"] is not None

    @property
    def is_weighted(self) -> bool:
        """Whether numbers of events are sums of weights, and not counts."""
        return "per_event" in self.best_cut["histogram"]

    @property
    def best_cut(self) -> Mapping[str, Any]:
        """The cut that holds the most significant window."""
        return self.result["cuts"][self.result["conclusion"]["best_cut"]]

    @property
    def own_cut(self) -> Mapping[str, Any]:
        """The most significant of the cuts on this run's own score; its first if none is."""
        return min(self.own_cuts, key=lambda cut: cut["global"]["p"])

    @property
    def own_cuts(self) -> list[Mapping[str, Any]]:
        """The cuts on this run's own score."""
        return [cut for cut in self.result["cuts"] if cut["run"] == self.job.name]


def _study(run: Folder, name: StageName) -> Mapping[str, Any] | None:
    return (run / name).read_json("result.json") if is_current(run, name) else None


def _table(scores: Folder, role: Role) -> pa.Table:
    name = f"{role}.parquet"
    return read_parquet(scores.read(name), f"{scores}/{name}", COLUMNS)

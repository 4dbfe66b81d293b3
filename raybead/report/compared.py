"""What a comparison reads of a run: as much of it as there is, and what is missing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from raybead.config import Job, parse_job
from raybead.errors import RunError, StorageError
from raybead.events import read_parquet
from raybead.report.hunted import Cut, Evaluation, Hunted
from raybead.storage import JOB, MANIFEST, Folder, Role, StageName

Part = Literal["model", "scores", "hunt"]
Kind = TypeVar("Kind", bound=BaseModel)


class Account(BaseModel):
    """What a stage's manifest says."""

    key: str
    current: bool = False
    depends: dict[str, Any] = {}
    facts: dict[str, Any] = {}


class Epoch(BaseModel):
    """One of training."""

    epoch: int
    train: float
    validation: float
    best: bool = False


@dataclass(frozen=True)
class Run:
    """One of the runs of a comparison: what of it is done and current."""

    name: str
    """By which it is told from the others."""
    folder: Folder
    job: Job
    missing: Mapping[Part, str]
    """Parts that aren't there, or not for the job as it now is, and why."""
    accounts: Mapping[StageName, Account]
    """Of the stages that are done and current."""
    history: Sequence[Epoch] = ()
    scores: Mapping[Role, pa.Table] = field(default_factory=dict)
    """Rows of event scores: event, truth, mjj, score, weight."""
    hunted: Hunted | None = None
    evaluation: Evaluation | None = None
    """With truth, where it is known."""
    parameters: int | None = None
    """Of the trained model."""

    @property
    def own_cuts(self) -> list[Cut]:
        """The cuts on this run's own score; others' are looks of its hunt, too."""
        return [] if self.hunted is None else [
            cut for cut in self.hunted.cuts if cut.run == self.job.name
        ]  # fmt: skip

    @property
    def best_cut(self) -> Cut | None:
        """The most significant of them."""
        return min(self.own_cuts, key=lambda cut: cut.overall.p, default=None)

    def cut_at(self, quantile: float) -> Cut | None:
        """Its own at a quantile."""
        return next((cut for cut in self.own_cuts if cut.cut == quantile), None)

    @property
    def seconds(self) -> dict[str, float]:
        """That each stage took."""
        return {name: float(a.facts.get("seconds", 0.0)) for name, a in self.accounts.items()}


@dataclass(frozen=True)
class Difference:
    """What one run's score has more than another's, by truth."""

    one: str
    other: str
    paired: bool
    """Whether both scored the same events, so that their errors go together."""
    why: str
    """What their events have in common, in words."""
    auc: tuple[float, float] | None = None
    """With its error."""
    sic: tuple[float, float] | None = None
    """Of the maxima of TPR / sqrt(FPR), likewise."""
    without: tuple[float, float] | None = None
    """Shares of the paired replicas in which the first has no larger AUC, and no larger SIC."""
    replicas: int | None = None
    """How many there are."""


STAGES: tuple[StageName, ...] = (
    "events/background", "events/search", "model", "scores", "hunt",
)  # fmt: skip
PARTS: tuple[Part, ...] = ("model", "scores", "hunt")
COLUMNS = ["event", "truth", "mjj", "score", "weight"]


def read_run(folder: Folder, name: str | None = None) -> Run:
    """As much of a run as is done and current.

    Args:
        folder: of the run.
        name: that it gets in the comparison; its job's, if not given.

    Raises:
        RunError: there is no run in the folder.
        JobError: its job file says what no job can say.
        StorageError: files of it are broken.
    """
    if not folder.exists(JOB):
        raise RunError(f"{folder}: no run in it")
    job = _job(folder)
    accounts, missing = _stages(folder)
    history, scores, hunted = [], {}, None
    if "model" not in missing:
        history = _read(folder / "model", "metrics.json", _Metrics).history
    if "scores" not in missing:
        for role in ("background", "search"):
            content = (folder / "scores").read(f"{role}.parquet")
            scores[role] = read_parquet(content, f"{folder}/scores/{role}.parquet", COLUMNS)
    if "hunt" not in missing:
        hunted = _read(folder / "hunt", "result.json", Hunted)
        if not 0 <= hunted.conclusion.best_cut < len(hunted.cuts):
            raise StorageError(f"{folder}/hunt/result.json: conclusion.best_cut: no such cut")
        if hunted.evaluation is not None and "score" not in hunted.evaluation.scores:
            raise StorageError(f"{folder}/hunt/result.json: evaluation.scores: not of the model")
    return Run(
        name or job.name, folder, job, missing, accounts, history, scores, hunted,
        None if hunted is None else hunted.evaluation,
    )  # fmt: skip


class _Metrics(BaseModel):
    history: list[Epoch] = Field(min_length=1)


def _job(folder: Folder) -> Job:
    try:
        text = folder.read(JOB).decode()
    except UnicodeDecodeError:
        raise StorageError(f"{folder}/{JOB}: not UTF-8") from None
    return parse_job(text, origin=f"{folder}/{JOB}")


def _stages(folder: Folder) -> tuple[dict[StageName, Account], dict[Part, str]]:
    accounts: dict[StageName, Account] = {}
    missing: dict[Part, str] = {}
    for name in STAGES:
        why = "not done yet"
        if (folder / name).exists(MANIFEST):
            account = _read(folder / name, MANIFEST, Account)
            why = "done for other settings than the job now has"
            if account.current:
                accounts[name] = account
                continue
        if name in PARTS:
            missing[name] = why
    return accounts, missing


def _read(folder: Folder, name: str, kind: type[Kind]) -> Kind:
    try:
        return TypeAdapter(kind).validate_python(folder.read_json(name))
    except ValidationError as error:
        fault = error.errors()[0]
        named = ".".join(str(part) for part in fault["loc"])
        raise StorageError(
            f"{folder}/{name}: not what its stage writes: {named}: {fault['msg']}"
        ) from None
    except UnicodeDecodeError:
        raise StorageError(f"{folder}/{name}: not JSON: not UTF-8") from None

"""What a progress file holds, and reading it; :mod:`raybead.telling.live` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, NonNegativeInt, PositiveFloat, ValidationError

from raybead.errors import RaybeadError, StorageError
from raybead.storage import Folder

PROGRESS = "progress.json"
LAYOUT = 1
"""Of the file."""
COLUMNS = ("epoch", "train", "validation", "learning_rate", "best")
"""Of the epochs."""

Ran = dict[int, Mapping[str, Any]]
"""Epochs of a training, by number from 0."""


class _Stage(BaseModel):
    name: str
    title: str
    state: Literal["waiting", "current", "running", "done", "fault", "interrupted"]
    done: NonNegativeInt = 0
    total: NonNegativeInt = 0
    remark: str = ""
    since: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    rate: float | None = None
    rates: dict[str, float] | None = None
    unit: str | None = None
    seconds_left: float | None = None


class _Epochs(BaseModel):
    epoch: list[NonNegativeInt]
    train: list[float | None]
    validation: list[float | None]
    learning_rate: list[float | None]
    best: list[bool | None]
    last: dict[str, Any]


class _Note(BaseModel):
    time: AwareDatetime
    text: str


class _Progress(BaseModel):
    run: str
    verb: str
    state: Literal["running", "done", "fault", "interrupted"]
    fault: str | None
    since: AwareDatetime
    ended: AwareDatetime | None
    alive: AwareDatetime
    every: PositiveFloat
    process: dict[str, Any]
    stages: list[_Stage]
    epochs: dict[str, _Epochs]
    notes: list[_Note]
    notes_left_out: NonNegativeInt


def read_progress(run: Folder) -> dict[str, Any] | None:
    """What a run's progress file says; None where there is none.

    Raises:
        StorageError: it can't be read, or isn't what raybead writes.
    """
    if not run.exists(PROGRESS):
        return None
    told = run.read_json(PROGRESS)
    layout = told.get("layout") if isinstance(told, dict) else None
    if layout not in (None, LAYOUT):
        raise StorageError(
            f"{run}/{PROGRESS}: of layout {layout}, which another raybead wrote; this one reads"
            f" {LAYOUT}"
        )
    try:
        _Progress.model_validate(told)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        raise StorageError(
            f"{run}/{PROGRESS}: no progress file of raybead: {where}: {fault['msg']}"
        ) from None
    return told


def earlier_epochs(run: Folder, keys: Mapping[str, str]) -> dict[str, Ran]:
    """Losses that an earlier try at the same told of, by stage and epoch.

    Args:
        run: the folder.
        keys: of the stages that train; a file that can't be made out is none.
    """
    try:
        told = read_progress(run)
    except RaybeadError:
        return {}
    found: dict[str, Ran] = {}
    for stage, epochs in ({} if told is None else told["epochs"]).items():
        columns = [epochs.get(name) for name in COLUMNS]
        if epochs.get("key") == keys.get(stage, "") and all(columns):
            rows = zip(*columns, strict=False)
            found[stage] = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}
    return found

"""What is known of a trial."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Status = Literal["done", "stopped", "failed"]


class Quantity(BaseModel):
    """A number that trials are judged by; higher is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    replicas: tuple[float, ...] = ()
    """Of the bootstrap. Replica r of every trial is of the same draw of the same events, so that
    differences between trials are paired."""

    @property
    def error(self) -> float | None:
        """Standard deviation of the replicas; None where there are none."""
        return float(np.std(self.replicas, ddof=1)) if len(self.replicas) > 1 else None

    def draws(self) -> NDArray[np.float64]:
        """[R]"""
        return np.array(self.replicas, dtype=np.float64)


class TrialRecord(BaseModel):
    """One trial, finished, stopped early or failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: str
    """Short hash of all that decides what comes of it."""
    number: int
    """In the order of proposals, from 0."""
    values: dict[str, Any]
    """By dotted key of the job: what was tried. Keys whose ``when`` doesn't hold aren't there."""
    status: Status
    reason: str | None = None
    """Why it failed, in one line, or what stopped it."""
    epochs: int = 0
    """That were run."""
    of_epochs: int = 0
    """That the job asked for at most; early stopping on the validation loss may end it sooner."""
    best_epoch: int | None = None
    """From 1"""
    seconds: float = 0.0
    parameters: int | None = None
    """Trainable numbers of the model."""
    judged_by: str = ""
    """Hash of all that decides how it was judged; of a failed one empty where it failed before."""
    judged_events: str = ""
    """Hash of the numbers of the background events that it was judged by."""
    lasting: bool = False
    """Of a failed one, whether another try would fail alike."""
    stopped_by: str = ""
    """Of a stopped one, the scheduler and its settings."""
    quantities: dict[str, Quantity] = {}
    objective: Quantity | None = None
    """The weighted sum of quantities that the job asks for."""
    history: tuple[tuple[int, float], ...] = ()
    """(epoch from 1, objective) at every epoch that it was judged at."""

"""Which loggers a job asks for, and whether they are installed."""

from __future__ import annotations

import importlib.util
import os

from raybead.config import TRACKING, Job, why_no_store
from raybead.errors import JobError
from raybead.telling.loggers.values import About, Logger


def loggers_of(about: About) -> list[Logger]:
    """The loggers that a job asks for.

    Raises:
        JobError: one isn't installed, or MLflow has nowhere to keep runs.
    """
    asked, found = about.job.loggers, list[Logger]()
    refuse_missing(about.job)
    if asked.tensorboard:
        from raybead.telling.loggers.tensorboard import TensorBoard

        found.append(TensorBoard(about))
    if asked.mlflow is not None:
        from raybead.telling.loggers.mlflow import MlflowRuns

        found.append(MlflowRuns(about, tracking_uri(about.job)))
    return found


def refuse_missing(job: Job) -> None:
    """Refuse loggers that aren't installed, before anything runs.

    Raises:
        JobError: which, and the extra that brings it; or MLflow has nowhere to keep runs.
    """
    asked = {"tensorboard": job.loggers.tensorboard, "mlflow": job.loggers.mlflow is not None}
    for name, wanted in asked.items():
        if wanted and importlib.util.find_spec(name) is None:
            raise JobError(
                f"loggers.{name}: not installed here; pip install 'raybead[{name}]', or leave it"
                " off"
            )
    if job.loggers.mlflow is not None:
        tracking_uri(job)


def tracking_uri(job: Job) -> str:
    """Where MLflow keeps runs.

    Raises:
        JobError: neither the job nor the environment says, or it is nothing MLflow can use.
    """
    asked = job.loggers.mlflow
    said = None if asked is None else asked.uri
    uri = said or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise JobError("loggers.mlflow.uri: say where runs are kept, or set MLFLOW_TRACKING_URI")
    if not uri.startswith(TRACKING):
        raise JobError(f"MLFLOW_TRACKING_URI: {why_no_store(uri)}")
    return uri

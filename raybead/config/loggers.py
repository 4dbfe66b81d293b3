"""``[loggers]``: who else is told of a run's losses and results. They decide nothing of either."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from raybead.config.section import Section

TRACKING = ("http://", "https://", "sqlite://", "postgresql", "mysql", "mssql", "databricks")
"""How addresses begin that MLflow keeps runs at."""


class Mlflow(Section):
    """A tracking server or database of MLflow. Tokens and passwords come from MLflow's own
    environment variables, such as ``MLFLOW_TRACKING_TOKEN``; a job file may hold none."""

    uri: str | None = None
    """``http://HOST:5000``, ``sqlite:///FILE``, ...; ``MLFLOW_TRACKING_URI``, if not given."""
    experiment: Annotated[str, Field(min_length=1)] = "raybead"
    """That the run belongs to there; made if there is none of the name."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """Of the run there; the job's, if not given."""

    @field_validator("uri")
    @classmethod
    def _a_store(cls, uri: str | None) -> str | None:
        if uri is not None and not uri.startswith(TRACKING):
            raise ValueError(why_no_store(uri))
        return uri


class Loggers(Section):
    """Told after every epoch, and of what the hunt found."""

    tensorboard: bool = False
    """Whether event files are written, to ``tensorboard/`` in the run's folder"""
    mlflow: Mlflow | None = None
    """Where MLflow is told; nowhere, if not given."""


def why_no_store(uri: str) -> str:
    """Why MLflow keeps no runs at an address."""
    return (
        f"{uri!r} is no tracking server or database; MLflow takes no plain folders any more: say"
        " http://HOST:5000, or sqlite:///FILE"
    )

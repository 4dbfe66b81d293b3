"""Runs in MLflow: on a tracking server, or in a database that needs none."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from raybead.telling.loggers.values import About, Record, metrics_of

SETTINGS = {
    # Tried again all the same, by raybead, which says so.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Usage statistics leave the machine; nobody was asked.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
for _name, _value in SETTINGS.items():  # MLflow reads some of them when it is imported
    os.environ.setdefault(_name, _value)

from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

IDENTITY = "raybead.id"
"""Tag that says of which run, and which training, a run of MLflow is."""
REPORT = "raybead.report"
STATES = {"done": "FINISHED", "fault": "FAILED", "interrupted": "KILLED"}
LONGEST, AT_ONCE = 6000, 100
"""Characters of a parameter's value, and parameters of a request, that MLflow takes."""


class MlflowRuns:
    """One run of MLflow for each training, found again by its tag when the training goes on."""

    name = "mlflow"
    faults: tuple[type[Exception], ...] = (MlflowException, SQLAlchemyError, OSError)

    def __init__(self, about: About, uri: str) -> None:
        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        asked = about.job.loggers.mlflow
        assert asked is not None
        self._about, self._uri, self._asked = about, uri, asked
        self._client: MlflowClient | None = None
        self._runs: dict[str, _Run] = {}

    def parameters(self, parameters: Mapping[str, str]) -> None:
        for stage in self._about.keys:
            self._of(stage).parameters(parameters)

    def epochs(self, stage: str, records: Sequence[Record]) -> None:
        self._of(stage).epochs(stage, records)

    def results(self, numbers: Mapping[str, float]) -> None:
        for stage in self._about.keys:
            self._of(stage).results(numbers)

    def report(self, page: bytes) -> None:
        for stage in self._about.keys:
            self._of(stage).report(page)

    def close(self, state: str) -> None:
        for run in self._runs.values():
            run.client.set_terminated(run.id, STATES[state])

    def _of(self, stage: str) -> _Run:
        if stage not in self._runs:
            if self._client is None:
                self._client = MlflowClient(tracking_uri=self._uri)
            self._runs[stage] = self._found(self._client, stage)
        return self._runs[stage]

    def _found(self, client: MlflowClient, stage: str) -> _Run:
        experiment, run = self._experiment(client), self._about.run
        identity = hashlib.sha256(
            f"{run.uri} {stage} {self._about.keys[stage]}".encode()
        ).hexdigest()[:16]
        there = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{identity}'")
        if there:
            client.update_run(there[0].info.run_id, status="RUNNING")
            return _Run(client, client.get_run(there[0].info.run_id))
        tags = {IDENTITY: identity, "raybead.run": run.uri, "raybead.stage": stage}
        name = self._asked.name or self._about.job.name
        return _Run(client, client.create_run(experiment, tags=tags, run_name=name))

    def _experiment(self, client: MlflowClient) -> str:
        name = self._asked.experiment
        known = client.get_experiment_by_name(name)
        if known is not None:
            return known.experiment_id
        return client.create_experiment(name, artifact_location=_beside(self._uri))


class _Run:
    """One run there, and what it holds already."""

    def __init__(self, client: MlflowClient, run: Any) -> None:
        self.client, self.id = client, run.info.run_id
        self._parameters: dict[str, str] = dict(run.data.params)
        self._tags: dict[str, str] = dict(run.data.tags)
        self._newest: dict[str, float] = dict(run.data.metrics)
        self._steps: dict[str, set[int]] = {}

    def parameters(self, parameters: Mapping[str, str]) -> None:
        """A parameter stays what it was at first; what it is by now is a tag."""
        cut = {_key(key): value[:LONGEST] for key, value in parameters.items()}
        new = [Param(key, value) for key, value in cut.items() if key not in self._parameters]
        for at in range(0, len(new), AT_ONCE):
            self.client.log_batch(self.id, params=new[at : at + AT_ONCE])
        changed = {
            f"job.{key}": value
            for key, value in cut.items()
            if self._tags.get(f"job.{key}", self._parameters.get(key, value)) != value
        }
        tags = [RunTag(key, value) for key, value in changed.items()]
        if tags:
            self.client.log_batch(self.id, tags=tags)
        self._parameters = {**cut, **self._parameters}
        self._tags |= changed

    def epochs(self, stage: str, records: Sequence[Record]) -> None:
        """Epochs that aren't there yet."""
        for record in records:
            step, numbers = record["epoch"] + 1, metrics_of(stage, record)
            first = next(iter(numbers), None)
            if first is None or step in self._steps_of(first):
                continue
            self._log(numbers, step)
            self._steps_of(first).add(step)

    def results(self, numbers: Mapping[str, float]) -> None:
        """Final numbers; those that another hunt found before stay in their history."""
        new = {_key(name): value for name, value in numbers.items()}
        if any(self._newest.get(name) != value for name, value in new.items()):
            self._log(new, len(self._steps_of(next(iter(new)))))
            self._newest |= new

    def report(self, page: bytes) -> None:
        """The page, if it is another than the one that is there."""
        digest = hashlib.sha256(page).hexdigest()
        if self._tags.get(REPORT) != digest:
            self.client.log_text(self.id, page.decode(), "report.html")
            self.client.set_tag(self.id, REPORT, digest)
            self._tags[REPORT] = digest

    def _steps_of(self, name: str) -> set[int]:
        if name not in self._steps:
            history = self.client.get_metric_history(self.id, name)
            self._steps[name] = {metric.step for metric in history}
        return self._steps[name]

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), value, now, step) for name, value in numbers.items()]
        self.client.log_batch(self.id, metrics=metrics)


def _key(name: str) -> str:
    """A name as MLflow takes it: letters, digits, ``_-. /`` and colons."""
    return "".join(sign if sign.isalnum() or sign in "_-. /:" else "_" for sign in name)


def _beside(uri: str) -> str | None:
    """Where what is logged to a database without a server goes: beside it, not where one works."""
    if not uri.startswith("sqlite:///"):
        return None
    path = Path(urlsplit(uri).path.removeprefix("/"))
    return (path.absolute().parent / "mlartifacts").as_uri()

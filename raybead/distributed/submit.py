"""A job that is handed to a cluster elsewhere: sent, followed, and its run brought here."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import raybead
from raybead.config import Job
from raybead.distributed.job_server import Info, JobServer
from raybead.distributed.upload import Upload
from raybead.errors import JobError, RunError

HIDDEN_FROM = 6
"""Letters that a secret has at least; shorter ones are part of too many words to be hidden."""


@dataclass(frozen=True)
class Environment:
    """Variables of a job. What they hold is never told."""

    values: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, asked: Sequence[str]) -> Environment:
        """Of ``NAME=VALUE``, or ``NAME`` for what it is here.

        Raises:
            JobError: one isn't set here, or has no name that it could have.
        """
        values = {}
        for number, one in enumerate(asked, 1):
            name, given, value = one.partition("=")
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                # What it says may be a secret all the same.
                raise JobError(f"--env number {number}: say NAME, or NAME=VALUE")
            if not given and name not in os.environ:
                raise JobError(f"--env {name}: isn't set here")
            values[name] = value if given else os.environ[name]
        return cls(values)

    def hidden(self, text: str) -> str:
        """A text with stars in place of the values."""
        # A log comes line by line, and so does a key of several lines.
        held = {line for value in self.values.values() for line in (value, *value.splitlines())}
        for value in sorted(held, key=len, reverse=True):
            if len(value) >= HIDDEN_FROM:
                text = text.replace(value, "***")
        return text


@dataclass(frozen=True)
class Submission:
    """A job as it is handed over."""

    job: Job
    verb: str
    upload: Upload
    entrypoint: str
    environment: Environment
    submission_id: str

    @property
    def metadata(self) -> dict[str, str]:
        """What anybody who follows it can know of it."""
        return {
            "raybead": raybead.__version__,
            "name": self.job.name,
            "verb": self.verb,
            "output": self.job.output,
        }

    @property
    def runtime_env(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "working_dir": str(self.upload.folder),
            "excludes": list(self.upload.excludes),
        }
        if self.environment.values:
            wanted["env_vars"] = dict(self.environment.values)
        return wanted

    def send(self, server: JobServer) -> None:
        """Hand the job over.

        Raises:
            RunError: its id is taken, or the cluster refuses it.
        """
        if server.knows(self.submission_id):
            raise RunError(f"--id {self.submission_id}: there is such a job; choose another")
        submit(
            server, self.entrypoint, self.submission_id, self.job,
            runtime_env=self.runtime_env, metadata=self.metadata, environment=self.environment,
        )  # fmt: skip


def submit(
    server: JobServer,
    entrypoint: str,
    submission_id: str,
    job: Job | None,
    *,
    runtime_env: dict[str, Any],
    metadata: dict[str, str],
    environment: Environment,
) -> None:
    """Hand a command over, with what a job's ``[resources.driver]`` asks for.

    Raises:
        RunError: the cluster refuses it.
    """
    asks = job.resources.driver if job else None
    try:
        with server.client() as client:
            client.submit_job(
                entrypoint=entrypoint,
                submission_id=submission_id,
                runtime_env=runtime_env,
                metadata=metadata,
                entrypoint_num_cpus=(asks.cpus or 0) if asks else 0,
                entrypoint_memory=int(asks.memory) if asks and asks.memory else None,
                entrypoint_resources=dict(asks.custom) if asks and asks.custom else None,
            )
    except (RuntimeError, ValueError, OSError) as error:  # among them those of requests
        raise RunError(
            f"{server.address}: the job isn't taken: {environment.hidden(_last_line(error))}"
        ) from None


def entrypoint(
    verb: str,
    job_file: str,
    overrides: Sequence[str] = (),
    *,
    from_sweep: bool = False,
    overwrite: bool = False,
) -> str:
    """The command that does a job there, quoted for a shell.

    Args:
        verb: of raybead.
        job_file: its path in the working directory.
        overrides: of the job's keys.
        from_sweep: with what the job's sweep found best.
        overwrite: whether a run of other data may be replaced.
    """
    words = ["python", "-m", "raybead", verb, job_file]
    for override in overrides:
        words += ["--set", override]
    if from_sweep:
        words.append("--from-sweep")
    if overwrite:
        words.append("--overwrite")
    return shlex.join(words)


def new_id(name: str) -> str:
    """A submission's id: the job's name, the time, and some letters."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def exit_code(info: Info) -> int:
    """What a job ended with, as a shell says it; 1 where it ended without."""
    if info["status"] == "SUCCEEDED":
        return 0
    code = info.get("driver_exit_code")
    if not isinstance(code, int) or code == 0:
        return 1
    return code if 0 < code < 256 else 128 - code if -64 < code < 0 else 1


def how_it_ended(info: Info) -> str:
    """The end of a job in one line."""
    match info["status"]:
        case "SUCCEEDED":
            return "has ended well"
        case "STOPPED":
            return "was stopped"
        case _ if info.get("driver_exit_code"):
            return f"failed with exit code {info['driver_exit_code']}"
        case _:
            said = str(info.get("message") or "").strip().splitlines()
            return f"failed: {said[0] if said else 'the cluster does not say why'}"


def _last_line(error: Exception) -> str:
    """What an error is about: of a traceback its end."""
    lines = [line.strip() for line in str(error).splitlines() if len(line.strip()) > 1]
    return lines[-1].rstrip(".") if lines else type(error).__name__

"""A run of a cluster, brought here: from its store, or through a second job's log."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybead.config import NAME, Job
from raybead.console import Console
from raybead.distributed.job_log import follow_log
from raybead.distributed.job_server import JobServer
from raybead.distributed.submit import Environment, submit
from raybead.errors import RunError
from raybead.storage import Folder, Receiver, fetch, fetched_files, size_text


@dataclass(frozen=True)
class RunThere:
    """Where a submitted job keeps its run."""

    name: str
    output: str

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None, job_id: str) -> RunThere:
        """As a job says that was submitted by raybead.

        Raises:
            RunError: it wasn't.
        """
        said = metadata or {}
        name, output = str(said.get("name", "")), str(said.get("output", ""))
        # Its name becomes a folder here, and who wrote it isn't known.
        if not re.fullmatch(NAME, name) or not output:
            raise RunError(
                f"{job_id}: doesn't say where its run lies; raybead submit didn't send it"
            )
        return cls(name, output)

    @property
    def at_store(self) -> bool:
        """Whether it can be read from anywhere."""
        return "://" in self.output and not self.output.startswith("file://")

    @property
    def path(self) -> str:
        """As the cluster takes it; see :func:`raybead.stages.run_folder`."""
        whole = f"{self.output.removeprefix('file://').rstrip('/')}/{self.name}"
        return whole if self.at_store or whole.startswith("/") else f"~/{whole}"


def fetch_run(
    run: RunThere,
    into: Path,
    server: JobServer,
    console: Console,
    *,
    events: bool,
    runtime_env: dict[str, Any],
    environment: Environment,
    job: Job | None = None,
) -> None:
    """Bring a run to ``into``/name, whole or not at all.

    Args:
        run: where it lies.
        into: folder that runs are fetched to.
        server: of the cluster that it lies on.
        console: told what came.
        events: prepared events too.
        runtime_env: in which the cluster finds raybead.
        environment: variables of it, never told.
        job: whose driver's resources the second job asks for.

    Raises:
        RunError: there is no run, or the cluster can't pack it, or something else lies here.
        StorageError: what came isn't what was sent, or can't be written.
    """
    target = into / run.name

    def from_store(folder: Path) -> None:
        source, here = Folder.at(run.path), Folder.at(str(folder))
        for name in fetched_files(source, events=events):
            here.write(name, source.read(name))

    def from_log(folder: Path) -> None:
        _received(run, server, events, runtime_env, environment, job).unpack(folder)

    fetch(target, f"{server.address} {run.path}", from_store if run.at_store else from_log)
    console.say(f"fetched to {target}: {size_text(Folder.at(str(target)).size())}")


def _received(
    run: RunThere,
    server: JobServer,
    events: bool,
    runtime_env: dict[str, Any],
    environment: Environment,
    job: Job | None,
) -> Receiver:
    words = ["python", "-m", "raybead", "pack", run.path, *(["--events"] if events else [])]
    pack_id = f"{run.name}-fetch-{secrets.token_hex(4)}"
    submit(
        server, shlex.join(words), pack_id, job,
        runtime_env=runtime_env, metadata={"fetches": run.name}, environment=environment,
    )  # fmt: skip
    receiver, said = Receiver(), []

    def take(line: str) -> None:
        if not receiver.take(line) and line.startswith("raybead: "):
            said.append(line.removeprefix("raybead: "))

    info = follow_log(server, pack_id, take, lambda _: None)
    if info["status"] != "SUCCEEDED":
        why = said[-1] if said else str(info.get("message") or "").strip().split("\n")[0]
        raise RunError(f"can't be fetched: {environment.hidden(why)}")
    return receiver

"""The verbs for a cluster that is elsewhere: submit, follow, and pack, which runs there."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from raybead.commands.options import FromSweep, JobFile, Overwrite, Set
from raybead.config import load_job
from raybead.console import Console
from raybead.distributed.fetch import RunThere, fetch_run
from raybead.distributed.job_log import follow_log
from raybead.distributed.job_server import JobServer
from raybead.distributed.submit import (
    Environment,
    Submission,
    entrypoint,
    exit_code,
    how_it_ended,
    new_id,
)
from raybead.distributed.upload import Upload
from raybead.errors import JobError, RunError
from raybead.pipeline import Verb
from raybead.storage import Folder, refuse_taken, size_text
from raybead.storage import pack as pack_run


@Parameter(name="*")
@dataclass(frozen=True)
class There:
    """Which cluster, and what is brought from it."""

    address: Annotated[
        str | None,
        Parameter(
            help="The dashboard's, http://HEAD:8265; RAY_API_SERVER_ADDRESS or RAY_ADDRESS if not"
            " given."
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        Parameter(
            help="Holds the cluster's token; RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or"
            " ~/.ray/auth_token if not given."
        ),
    ] = None
    fetch: Annotated[
        Path | None, Parameter(help="Folder that the run is brought to when the job has ended.")
    ] = None
    fetch_events: Annotated[
        bool, Parameter(help="Bring the prepared events too.", negative=())
    ] = False

    def server(self) -> JobServer:
        return JobServer.at(self.address, self.token_file)

    def again(self, job_id: str) -> str:
        """The command that goes on following a job."""
        words = ["raybead", "follow", job_id, *self._where()]
        if self.fetch is not None:
            words += ["--fetch", str(self.fetch)]
            words += ["--fetch-events"] if self.fetch_events else []
        return shlex.join(words)

    def stop(self, job_id: str) -> str:
        """The command that stops a job."""
        return shlex.join(["raybead", "stop", job_id, *self._where()])

    def _where(self) -> list[str]:
        words = [] if self.address is None else ["--address", self.address]
        return words + ([] if self.token_file is None else ["--token-file", str(self.token_file)])


def submit(
    job: JobFile,
    /,
    *,
    there: There = There(),
    verb: Annotated[
        Verb | Literal["sweep"], Parameter(help="What is done with the job there.")
    ] = "run",
    set_: Set = (),
    from_sweep: FromSweep = False,
    overwrite: Overwrite = False,
    working_dir: Annotated[
        Path, Parameter(help="Folder that is sent, and that the job runs in; holds the job file.")
    ] = Path(),
    exclude: Annotated[
        tuple[str, ...],
        Parameter(help="What isn't sent: a pattern as in a .gitignore.", negative=()),
    ] = (),
    env: Annotated[
        tuple[str, ...],
        Parameter(help="NAME, as it is here, or NAME=VALUE: a variable of the job.", negative=()),
    ] = (),
    id: Annotated[
        str | None, Parameter(help="The submission's, if you want to choose it.")
    ] = None,
    no_wait: Annotated[
        bool, Parameter(help="Don't follow the job; say how to.", negative=())
    ] = False,
) -> None:
    """Hand a job to a Ray cluster elsewhere, follow it, and end as it ends."""
    console = Console()
    if no_wait and there.fetch is not None:
        raise JobError(
            "--fetch: there is nothing to fetch yet with --no-wait; raybead follow has it"
        )
    checked = load_job(job, set_)
    if verb == "sweep" and (from_sweep or checked.sweep is None):
        raise JobError("--verb sweep: needs a job with [sweep], and takes no --from-sweep")
    environment = Environment.of(env)
    if there.fetch is not None:
        refuse_taken(there.fetch / checked.name)
    upload = Upload.of(working_dir, exclude, checked.output)
    inside = upload.job_file(job)
    notes = list(upload.notes(checked))
    submission = Submission(
        checked, verb, upload,
        entrypoint(verb, inside, set_, from_sweep=from_sweep, overwrite=overwrite),
        environment, id or new_id(checked.name),
    )  # fmt: skip
    server = there.server()
    for note in notes:
        console.say(f"note: {note}")
    console.say(
        f"sending {len(upload.files)} files, {size_text(upload.size)}, to {server.address}"
    )
    submission.send(server)
    name = submission.submission_id
    console.say(f"submitted {name}: {environment.hidden(submission.entrypoint)}")
    if no_wait:
        _say_how(there, name)
        return
    run = RunThere.of(submission.metadata, name)
    _follow(server, there, name, run, submission.runtime_env, environment, checked)


def follow(
    id: Annotated[str, Parameter(help="As raybead submit said it.")],
    /,
    *,
    there: There = There(),
) -> None:
    """Follow a job that was submitted, from its first line, and end as it ends."""
    server = there.server()
    info = server.info(id)
    run = None
    if there.fetch is not None:
        run = RunThere.of(info.get("metadata"), id)
        refuse_taken(there.fetch / run.name)
    sent = (info.get("runtime_env") or {}).get("working_dir")
    _follow(server, there, id, run, {"working_dir": sent} if sent else {}, Environment(), None)


def stop(
    id: Annotated[str, Parameter(help="As raybead submit said it.")],
    /,
    *,
    there: There = There(),
) -> None:
    """Stop a job that was submitted; its run stays, and the same job goes on from there."""
    running = there.server().stop(id)
    Console().say(f"{id}: {'is being stopped' if running else 'had ended'}")


def pack(
    run: Annotated[str, Parameter(help="A run's folder or URI; ~ is the home folder.")],
    /,
    *,
    events: Annotated[bool, Parameter(help="The prepared events too.", negative=())] = False,
) -> None:
    """Write a run to the standard output as lines of text; fetching reads them."""
    where = run if "://" in run else str(Path(run).expanduser())
    for line in pack_run(Folder.at(where), events=events):
        print(line)


def _follow(
    server: JobServer,
    there: There,
    job_id: str,
    run: RunThere | None,
    runtime_env: dict[str, Any],
    environment: Environment,
    job: Any,
) -> None:
    """Follow a job to its end, fetch its run, and end as it ended."""
    console = Console()

    def take(line: str) -> None:
        print(environment.hidden(line), flush=True)

    try:
        info = follow_log(server, job_id, take, lambda word: console.say(f"note: {word}"))
    except KeyboardInterrupt:
        console.say(f"left: {job_id} goes on there")
        _say_how(there, job_id)
        sys.exit(130)
    console.say(environment.hidden(f"{job_id} {how_it_ended(info)}"))
    code = exit_code(info)
    if code:
        sys.exit(code)
    if there.fetch is None or run is None:
        return
    try:
        fetch_run(
            run, there.fetch, server, console, events=there.fetch_events,
            runtime_env=runtime_env, environment=environment, job=job,
        )  # fmt: skip
    except RunError as error:
        raise RunError(f"{error}; try again: {there.again(job_id)}") from None


def _say_how(there: There, job_id: str) -> None:
    console = Console()
    console.say(f"follow it: {there.again(job_id)}")
    console.say(f"stop it:   {there.stop(job_id)}")

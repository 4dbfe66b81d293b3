"""The verbs; nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

import raybead
from raybead.commands.compare import compare
from raybead.commands.inspection import inspect
from raybead.commands.keys import keys
from raybead.commands.options import (
    Address,
    Cpus,
    FromSweep,
    JobFile,
    Log,
    Overwrite,
    Set,
    WithProfile,
)
from raybead.commands.overview import show_run
from raybead.commands.profile import profile
from raybead.commands.remote import follow, pack, stop, submit
from raybead.commands.watch import watch
from raybead.config import (
    ZENODO_API,
    Download,
    Job,
    PythiaSource,
    Resonance,
    load_job,
    load_raw,
)
from raybead.console import Console
from raybead.errors import JobError, RaybeadError
from raybead.events import Labels, download_files, show_files
from raybead.logline import asked_form, log_line
from raybead.pipeline import Verb, execute
from raybead.storage import Folder

app = App(
    name="raybead",
    help="Anomaly detection for collider physics, from raw files to a significance.",
    version=raybead.__version__,
)


def _verb(verb: Verb, says: str) -> Callable[..., None]:
    """The command that does a job up to a stage."""

    def command(
        job: JobFile,
        /,
        *,
        set_: Set = (),
        address: Address = None,
        cpus: Cpus = None,
        overwrite: Overwrite = False,
        from_sweep: FromSweep = False,
        log: Log = "auto",
        profile: WithProfile = False,
    ) -> None:
        console = Console(form=log)
        run = execute(
            _best(job, set_) if from_sweep else load_job(job, set_),
            verb,
            console,
            address=address,
            num_cpus=cpus,
            overwrite=overwrite,
            profile=profile,
        )
        show_run(run, console)

    command.__doc__ = says
    return app.command(command, name=verb)


_verb("prepare", "Turn raw events into jets.")
_verb("train", "Train the model on background, after preparing what isn't yet.")
_verb("score", "Score both samples, after training what isn't yet.")
_verb("hunt", "Cut on the score and hunt the bump, after scoring what isn't yet.")
run = _verb("run", "Do the whole job, and write the report.")
_verb("calibrate", "Repeat the hunt on pseudo-data without a signal: are its p-values uniform?")
_verb("reach", "Inject signals into pseudo-data: what does the hunt find, and from where on?")
_verb("train-emd", "Train a network for the energy mover's distance on background jets.")


@app.command
def sweep(
    job: JobFile,
    /,
    *,
    set_: Set = (),
    address: Address = None,
    cpus: Cpus = None,
    overwrite: Overwrite = False,
    log: Log = "auto",
    profile: WithProfile = False,
) -> None:
    """Try other values of some keys, rank them without truth, and keep the best model."""
    from raybead.sweep import sweep as run_sweep  # torch takes seconds

    console = Console(form=log)
    raw, where = load_raw(job, set_), {"address": address, "num_cpus": cpus}
    run = run_sweep(raw, console, **where, overwrite=overwrite, profile=profile)
    show_run(run, console)


for verb in (submit, follow, stop, watch, compare, profile):
    app.command(verb)
app.command(pack, show=False)
app.command(keys)


@app.command
def demo(
    *,
    set_: Set = (),
    address: Address = None,
    cpus: Cpus = None,
    log: Log = "auto",
    profile: WithProfile = False,
) -> None:
    """Generate events with a resonance among them, and find it."""
    run(_demo_job(), set_=set_, address=address, cpus=cpus, log=log, profile=profile)


@app.command
def show(run: Annotated[str, Parameter(help="A run's folder or URI.")], /) -> None:
    """Show what a run holds."""

    show_run(Folder.at(run), Console())


@app.command
def models() -> None:
    """List the models and losses there are, and which fit one another."""
    from raybead.commands.catalogue import show_catalogue

    show_catalogue(Console())


@app.command(name="inspect")
def inspect_files(
    path: Annotated[str, Parameter(help="A file, folder, pattern, or URI.")],
    /,
    *,
    every: Annotated[
        bool,
        Parameter(name="--all", help="Look at every event, not at the first 2,000.", negative=()),
    ] = False,
) -> None:
    """Say what files of events are, and what raybead would make of them."""
    inspect(path, Console(), everything=every)


@app.command
def generate(
    path: Annotated[str, Parameter(help="File to write (HDF5).")],
    /,
    *,
    events: Annotated[int, Parameter(help="Events that pass the selection, signal included.")],
    seed: Annotated[int, Parameter(help="Of the generator.")] = 1,
    signal_fraction: Annotated[
        float, Parameter(help="Share of the events that come from the resonance.")
    ] = 0.0,
    mass: Annotated[float, Parameter(help="W' mass [GeV].")] = 3500.0,
    mass_x: Annotated[float, Parameter(help="X mass [GeV].")] = 500.0,
    mass_y: Annotated[float, Parameter(help="Y mass [GeV].")] = 100.0,
    labels: Annotated[Labels, Parameter(help="A column, a file beside, or nowhere.")] = "column",
    address: Address = None,
    cpus: Cpus = None,
    log: Log = "auto",
) -> None:
    """Generate QCD dijets, and a resonance among them, as an LHC Olympics file."""
    from raybead.distributed.session import session

    try:
        source = PythiaSource(
            source="pythia",
            events=events,
            seed=seed,
            signal_fraction=signal_fraction,
            resonance=Resonance(mass=mass, mass_x=mass_x, mass_y=mass_y),
        )
    except ValidationError as error:
        raise _told(error, "resonance") from None
    console = Console(form=log)
    with session(address, cpus) as cluster, console.stage("generate") as tick:
        from raybead.distributed.generate import generate as generate_file

        generate_file(Path(path), source, labels, cluster, tick)
    console.say(f"{path}: {events} events")


@app.command
def download(
    *names: Annotated[str, Parameter(help="Files to fetch; without one, the names are listed.")],
    to: Annotated[str, Parameter(help="Folder they go to.")] = "data",
    record_api: Annotated[
        str, Parameter(help="Zenodo's API, or a mirror's.", env_var="RAYBEAD_RECORD_API")
    ] = ZENODO_API,
    tries: Annotated[int, Parameter(help="Tries in a row that bring nothing new.")] = 8,
    wait: Annotated[float, Parameter(help="Seconds before the second try, then doubled.")] = 1.0,
) -> None:
    """Fetch LHC Olympics 2020 files from Zenodo; what is cut off is gone on with."""
    try:
        how = Download(record_api=record_api, tries=tries, wait=wait)
    except ValidationError as error:
        raise _told(error, "download") from None
    if names:
        download_files(names, to, how, Console())
    else:
        show_files(Console())


def _best(path: Path, overrides: tuple[str, ...]) -> Job:
    """The job that a file's sweep found best."""
    from raybead.sweep import best_job

    return best_job(load_raw(path, overrides))


def _told(error: ValidationError, whole: str) -> JobError:
    """The first fault of options in one line; ``whole`` names what they make together."""
    fault = error.errors()[0]
    named = ".".join(str(part) for part in fault["loc"])
    return JobError(f"{named or whole}: {fault['msg']}")


def _demo_job() -> Path:
    """The demo's job file: installed with the package, or beside it in a checkout."""
    package = Path(raybead.__file__).parent
    for folder in (package.parent / "jobs", package / "jobs"):
        if (folder / "demo.toml").exists():
            return folder / "demo.toml"
    raise JobError("the demo's job file isn't installed; run a checkout's jobs/demo.toml")


def main(arguments: list[str] | None = None) -> None:
    """The command. Errors a user can mend print as one line and exit non-zero."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _end(words, str(error), 2)
    except RaybeadError as error:
        _end(words, str(error), error.exit_code)
    except KeyboardInterrupt:
        _end(words, "interrupted; the same command goes on from here", 130)


def _end(words: list[str], why: str, code: int) -> NoReturn:
    """The last line, and the exit status."""
    as_json = asked_form(words) == "json"
    last = log_line("fault", why, exit=code) if as_json else f"raybead: {why}"
    print(last, file=sys.stderr)
    sys.exit(code)

"""The small job that faults strike, its undisturbed run, and processes that do it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.compare import Compared, compared
from faults.nodes import environment_of
from faults.processes import started
from made import make_particles

from raybead.config import parse_job
from raybead.events import write_lhco
from raybead.stages import run_folder
from raybead.storage import Folder

JOB = """
name = "small"
output = "{output}"
[data.background]
source = "lhco"
path = "{inputs}/background.h5"
[data.search]
source = "lhco"
path = "{inputs}/search.h5"
[prepare]
rows_per_task = 30
workers = 2
[graph]
nodes = 10
[model]
encoder = [[8, 8]]
head = [8]
decoder = [16, 16]
decode = 10
[train]
epochs = 8
batch_items = 128
workers = {workers}
deterministic = true
test = 0.3
[score]
workers = 2
[hunt]
cuts = [0.9]
toys = 400000
precision = 0.0
mass_window = [2132.0, 5253.0]
[calibrate]
sets = 100
events = 600
toys = 499
"""
SWEEP = """
[sweep]
search = "grid"
scheduler = "none"
events = 100
replicas = 20
[sweep.over]
"train.learning_rate" = { grid = [0.001, 0.003] }
"""
CPUS = 4
"""Of every cluster here: how many a worker has decides how its sums are rounded. They are counted,
not there."""
STAGES = {
    "prepare": ["events"],
    "train": ["events", "model"],
    "score": ["events", "model", "scores"],
    "hunt": ["events", "model", "scores", "hunt"],
    "calibrate": ["events", "model", "scores", "hunt", "calibration", "diagnostics"],
    "sweep": ["events", "sweep"],
}
"""What a verb makes, in order."""


@dataclass(frozen=True)
class Runs:
    """The job on this disk, and what was made of it undisturbed."""

    root: Path
    inputs: Path
    """Where ``background.h5`` and ``search.h5`` lie."""
    template: str = JOB
    undisturbed: Folder | None = None
    """Where it is there already."""

    @classmethod
    def at(cls, root: Path) -> Runs:
        """With events made for it."""
        inputs = root / "inputs"
        inputs.mkdir(parents=True)
        events = make_particles(700, seed=1), make_particles(500, seed=2, signal=0.06)
        write_lhco(inputs / "background.h5", [events[0]], 700, "none")
        write_lhco(inputs / "search.h5", [events[1]], 500, "column")
        return cls(root, inputs)

    def text(self, output: str | Path, workers: int, verb: str, inputs: str = "") -> str:
        inputs = inputs or str(self.inputs)
        text = self.template.format(output=output, inputs=inputs, workers=workers)
        return text + (SWEEP if verb == "sweep" else "")

    def whole(self, verb: str, workers: int) -> Folder:
        """The undisturbed run, done as far as a verb goes, or further."""
        if self.undisturbed is not None:
            return self.undisturbed
        kind = "sweep" if verb == "sweep" else str(workers)
        folder = self.root / f"whole-{kind}"
        folder.mkdir(exist_ok=True)
        text = self.text(folder, workers, verb)
        run = run_folder(parse_job(text))
        if not all((run / stage).exists() for stage in STAGES[verb]):
            (folder / "job.toml").write_text(text)
            log = folder / "log.txt"
            with driver(folder / "job.toml", verb, log, environment_of(self.root)) as process:
                finish(process, log)
        return run

    def begun(self, case: str, verb: str, workers: int, *, fresh: bool = False) -> Begun:
        """A job in a place of its own, done up to before the verb's last stage.

        Args:
            case: names the place.
            verb: that is to be done.
            workers: of a training.
            fresh: whether nothing is to be done yet.
        """
        whole = self.whole(verb, workers)
        folder = self.root / case
        folder.mkdir()
        text = self.text(folder, workers, verb)
        (folder / "job.toml").write_text(text)
        run = run_folder(parse_job(text))
        before = [] if fresh else STAGES[verb][:-1]
        for stage in before:
            shutil.copytree(f"{whole}/{stage}", f"{run}/{stage}")
        if before:
            run.write("job.toml", whole.read("job.toml"))
        return Begun(folder / "job.toml", verb, run, whole)


@dataclass(frozen=True)
class Begun:
    """A job that is to be disturbed."""

    job: Path
    verb: str
    run: Folder
    whole: Folder

    @property
    def log(self) -> Path:
        return self.job.with_name("log.txt")

    def compared(self, run: Folder | None = None) -> Compared:
        return compared(run or self.run, self.whole, set(STAGES[self.verb]))


@contextlib.contextmanager
def driver(
    job: Path,
    verb: str,
    log: Path,
    environment: dict[str, str],
    address: str | None = None,
    *more: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work, on a cluster or on one that it starts itself."""
    where = ["--cpus", str(CPUS)] if address is None else ["--address", address]
    command = [sys.executable, "-m", "raybead", verb, str(job), *where, *more]
    with started(command, log, environment) as process:
        yield process


class Failed(Exception):
    """A command that should have ended well."""


def finish(process: subprocess.Popen[bytes], log: Path, seconds: float = 600) -> None:
    """Wait for a command's good end."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {seconds:.0f} s: {_last(log)}") from None
    if code:
        raise Failed(f"exit code {code}: {_last(log)}")


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing said"

"""What an event, a jet, a toy and a task cost, and what larger jobs would take: ``make scaling``.

Whole jobs of a few sizes run with a profile, and costs are the slopes of CPU seconds over what was
done: the machine's cores may be others' as well, so the clock tells little. What single tasks do
with a whole sample is measured apart on made scores of up to a million events. ``--write`` puts
the tables into docs/scaling.md.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from extrapolated import Line
from memory import repeated
from scaling_tables import tables

from raybead.config import Hunt, Job, PythiaSource, parse_job
from raybead.console import Console
from raybead.distributed.hunt import hunt
from raybead.distributed.prepare import prepare
from raybead.distributed.score import _score_events
from raybead.distributed.session import session
from raybead.distributed.stream import attempt, outcomes, result_of
from raybead.distributed.watch import Watch, watching
from raybead.events import (
    EventSample,
    Particles,
    Span,
    open_source,
    read_parquet,
    write_lhco,
)
from raybead.pipeline import execute
from raybead.preparing import Shard, finished_shards
from raybead.scoring import EVENT_COLUMNS, scoring_members
from raybead.storage import Folder
from raybead.timing import Seen, forget_peak, peak_bytes

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
BEGIN, END = "<!-- made by make scaling -->", "<!-- end -->"
GENERATED = 200
"""Events that Pythia makes. Larger samples repeat them turned, boosted along the
beam, and a little harder, so that no two have the same mass and files don't pack better."""
SIZES = (1_000, 4_000, 10_000)
"""Events of each sample of the whole jobs."""
LARGE = (100_000, 400_000, 1_600_000)
"""Events of both samples together, of what single tasks do."""
TOYS = 20_000
PIECES = (50, 300, 1200)
"""Pieces that do nothing."""
SMALL_ROWS = 25
"""Of a task, where an overhead is looked for, against all rows in one."""

JOB = """
name = "scaling"
output = "{output}"
[data.background]
source = "lhco"
path = "{path}"
stop = {n}
[data.search]
source = "lhco"
path = "{path}"
start = {n}
[prepare]
rows_per_task = 2000
[train]
epochs = 1
workers = 1
[hunt]
toys = 2000
precision = 0.0
mass_window = [2132.0, 5253.0]
"""


def nothing(pieces: pa.Table) -> pa.Table:
    """Of which only the overhead is left."""
    return attempt(pieces, lambda piece: piece)


def varied(particles: Particles, n: int) -> Iterator[Particles]:
    """Events like those given, ``n`` in all, in parts."""
    rng = np.random.default_rng(0)
    for part in repeated(particles, n):
        counts = np.diff(part.offsets)
        harder = np.repeat(np.exp(rng.exponential(0.1, len(counts)) - 0.02), counts)
        turn = np.repeat(rng.uniform(-np.pi, np.pi, len(counts)), counts)
        boost = np.repeat(rng.normal(0, 0.2, len(counts)), counts)
        phi = (part.phi + turn + np.pi) % (2 * np.pi) - np.pi
        yield replace(part, pt=part.pt * harder, eta=part.eta + boost, phi=phi)


@dataclass
class Watched:
    """What was seen of the workers and the driver while something was done."""

    seen: list[Seen]
    wall: float = 0.0
    driver: float = 0.0
    """CPU seconds."""
    driver_bytes: int = 0
    """Most that the driver took beyond what it had before."""

    def cpu(self, *parts: str) -> float:
        """Of the workers, in these parts or in all."""
        return sum(
            part.cpu
            for one in self.seen
            for name, part in one.parts.items()
            if not parts or name in parts
        )

    @property
    def peak(self) -> int:
        return max(one.peak_bytes for one in self.seen)

    def count(self, name: str) -> float:
        return sum(one.counts.get(name, 0.0) for one in self.seen)


def watched(stage: str, work: Callable[[], object]) -> Watched:
    """Do work on the cluster, and watch it. Peaks begin anew with every stage's name."""
    found = Watched([])
    forget_peak()
    before, cpu, wall = peak_bytes(), time.process_time(), time.monotonic()
    with watching(Watch("scaling", stage, measured=True), found.seen.append):
        work()
    found.wall, found.driver = time.monotonic() - wall, time.process_time() - cpu
    found.driver_bytes = peak_bytes() - before
    return found


def silent(done: int, total: int, remark: str) -> None:
    """No bar."""


def whole_job(particles: Particles, n: int, folder: Path) -> tuple[Job, dict[str, Any]]:
    """Run a job of ``n`` events each of background and search; its profile."""
    folder.mkdir()
    path = folder / "events.h5"
    write_lhco(path, varied(particles, 2 * n), 2 * n, "none")
    job = parse_job(JOB.format(output=folder, path=path, n=n))
    run = execute(job, "hunt", Console(quiet=True), profile=True)
    profile = run.read_json("profile.json")["stages"]
    sizes = {
        "raw": path.stat().st_size,
        "prepared": size_of(folder / "scaling" / "events"),
        "scores": size_of(folder / "scaling" / "scores"),
    }
    path.unlink()
    return job, {"events": 2 * n, "sizes": sizes, "stages": profile}


def constituents(run: Folder) -> float:
    """Of a jet, on average, as reconstructed."""
    rows = pq.read_table(f"{run}/scores/search.parquet", columns=["n_j1", "n_j2"])
    return float(np.mean([rows.column(name).to_numpy() for name in rows.column_names]))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def made_scores(scores: Folder, n: int, folder: Folder) -> Folder:
    """Scores of ``n`` events of both samples together, like those given."""
    rng = np.random.default_rng(1)
    folder.make()
    for role in ("background", "search"):
        table = pq.read_table(f"{scores}/{role}.parquet")
        table = table.take(rng.integers(len(table), size=n // 2))
        for name, values in {
            "event": np.arange(n // 2),
            "mjj": 2000.0 * np.exp(rng.exponential(0.2, n // 2)),
            "score": rng.normal(size=n // 2),
        }.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), [pa.array(values)])
        pq.write_table(table, f"{folder}/{role}.parquet")
    return folder


def hunted(scores: Folder, n: int, config: Hunt, folder: Path) -> Watched:
    """Hunt in made scores."""
    out = Folder.at(str(folder))
    out.make()
    made = made_scores(scores, n, Folder.at(str(folder / "scores")))
    return watched(f"hunt-{n}", lambda: hunt({"made": made}, config, 0, out, silent))


def calibrated(job: Job, n: int, folder: Path) -> Watched:
    """Score's last task, of losses that are made by repeating those of a run."""
    run = Path(job.output) / "scaling"
    losses, out = Folder.at(str(folder / "losses")), Folder.at(str(folder / "out"))
    out.make()
    members = scoring_members(Folder.at(str(run / "model")), job.score)
    names = {}
    for role in ("background", "search"):
        one = pq.read_table(folder.parent / "losses" / f"{role}.parquet")
        (folder / "losses" / "1" / role).mkdir(parents=True)
        times = max(1, round(n / 2 / len(one)))
        names[role] = [f"{k:06d}.parquet" for k in range(times)]
        for name in names[role]:
            pq.write_table(one, folder / "losses" / "1" / role / name)
    logarithms = [member.logarithms() for member in members]
    return watched(
        f"calibrate-{n}",
        lambda: result_of(_score_events.remote(losses, names, members, logarithms, out)),
    )


def losses_of(job: Job, folder: Path) -> None:
    """What an actor leaves of one event file of each role: the pipeline removes it when done."""
    run = Folder.at(str(Path(job.output) / "scaling"))
    (folder / "losses").mkdir()
    scorer = scoring_members(run / "model", job.score)[0].scorer(job.jets.leading, "cpu")
    for role in ("background", "search"):
        events = run / "events" / role
        name = events.names(".parquet")[0]
        rows = read_parquet(events.read(name), name, EVENT_COLUMNS).slice(0, 2000)
        pq.write_table(scorer.scoring(rows).losses, folder / "losses" / f"{role}.parquet")


def cut_up(particles: Particles, folder: Path) -> dict[str, float]:
    """The same events in one task and in many: seconds a task beyond what the events take."""
    path = folder / "cut.h5"
    n = 1000
    write_lhco(path, varied(particles, n), n, "none")
    job = parse_job(JOB.format(output=folder, path=path, n=n // 2))
    sample = EventSample.of(job.data.search, "search")
    found, checked, told = {}, 0.0, 0
    for rows in (2000, SMALL_ROWS):
        pieces = sample.pieces(rows)
        out = Folder.at(str(folder / f"cut-{rows}"))
        found[rows] = (
            watched(
                f"cut-{rows}",
                lambda pieces=pieces, out=out: prepare(pieces, job.jets, job.prepare, out, silent),
            ),
            len(pieces),
        )
        before = time.process_time()
        shards = [Shard(of_task, out) for of_task in pieces]
        assert len(finished_shards(shards)) == len(pieces)
        checked, told = time.process_time() - before, len(pickle.dumps(shards))
    (few, n_few), (many, n_many) = found[2000], found[SMALL_ROWS]
    more = n_many - n_few
    return {
        "worker": (many.cpu() - few.cpu()) / more,
        "driver": (many.driver - few.driver) / more,
        "wall": (many.wall - few.wall) / more,
        "resume": checked / n_many,
        "told": told / n_many,
    }


def empty_pieces() -> tuple[dict[str, Line], list[float]]:
    """Costs a piece that does nothing, and seconds of each number of them."""
    found = []
    for n in PIECES:
        found.append(watched(f"nothing-{n}", lambda n=n: list(outcomes(n, nothing, num_cpus=1))))
    return {
        "wall": Line.fit(PIECES, [one.wall for one in found]),
        "driver": Line.fit(PIECES, [one.driver for one in found]),
        "worker": Line.fit(PIECES, [one.cpu() for one in found]),
    }, [one.wall for one in found]


def measured(console: Console, folder: Path) -> dict[str, Any]:
    """All that is measured, as numbers."""
    console.say(f"generating {GENERATED} events ...")
    source = PythiaSource(source="pythia", events=GENERATED, slice_events=GENERATED)
    particles, _ = open_source(source).read(Span(0, GENERATED))
    began = time.monotonic()

    def step(what: str) -> None:
        console.say(f"{time.monotonic() - began:.0f} s: {what} ...")

    with session("local", num_cpus=2):
        step("workers start")
        whole_job(particles, 200, folder / "first")
        jobs, job = [], None
        for n in SIZES:
            step(f"a job of {2 * n} events")
            job, one = whole_job(particles, n, folder / str(n))
            jobs.append(one)
        assert job is not None
        run = Folder.at(str(Path(job.output) / "scaling"))
        losses_of(job, folder)
        config = job.hunt.model_copy(update={"toys": TOYS})
        last, hunts = [], []
        for n in LARGE:
            step(f"single tasks of {n} events")
            (folder / f"calibrate-{n}").mkdir()
            last.append(calibrated(job, n, folder / f"calibrate-{n}"))
            hunts.append(hunted(run / "scores", n, config, folder / f"hunt-{n}"))
        step("pieces")
        (pieces, walls), cut = empty_pieces(), cut_up(particles, folder)
    step("done")
    return {
        "particles": len(particles.pt) / len(particles),
        "constituents": constituents(run),
        "large": LARGE,
        "jobs": jobs,
        "last": [of_task(one, ()) for one in last],
        "hunts": [{**of_task(one, ("toys",)), "driver_bytes": one.driver_bytes,
                   "driver": one.driver} for one in hunts],
        "pieces": {name: [line.slope, line.fixed] for name, line in pieces.items()},
        "empty": [PIECES, walls],
        "cut": cut,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[2],
    }  # fmt: skip


def of_task(one: Watched, apart: tuple[str, ...]) -> dict[str, Any]:
    parts: dict[str, float] = {}
    for seen in one.seen:
        for name, part in seen.parts.items():
            parts[name] = parts.get(name, 0.0) + part.cpu
    return {
        "cpu": one.cpu() - (one.cpu(*apart) if apart else 0.0),
        "toys": one.cpu("toys"),
        "made": one.count("toys"),
        "peak": one.peak,
        "wall": one.wall,
        "parts": parts,
    }


def main() -> None:
    console = Console()
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        found = measured(console, Path(name))
    kept = os.environ.get("RAYBEAD_SCALING_JSON")
    if kept:
        Path(kept).write_text(json.dumps(found, indent=1))
    text = tables(found)
    console.say(text)
    if "--write" in arguments:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
        console.say(f"{PAGE}: written")


if __name__ == "__main__":
    main()

"""Peak memory of ``raybead prepare`` at growing sizes: ``make bench-memory``.

A file of a few events over and over, at 1, 4 and 16 times the same size. Tasks read row ranges
and the driver keeps counts, so neither should need more for a larger file. Peaks are resident
memory, libraries and shared pages included: the kernel's high-water marks where there are such,
else the largest of the samples taken.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from raybead.config import PythiaSource
from raybead.console import Console
from raybead.events import Particles, Span, open_source, write_lhco
from raybead.events.particles import members_of, offsets_of

GENERATED = 250
"""Events that Pythia makes; all files repeat them, which changes no size in memory. On disk they
may pack better than distinct ones."""
EVENTS = (5_000, 20_000, 80_000)
PART = 1_000
"""Events written at a time."""
FLAT = 1.3
"""Peak at the largest size over that at the smallest, at most."""
SEARCH_ROWS = 100
MB = 1e6

JOB = """
name = "memory"
output = "{output}"
[data.background]
source = "lhco"
path = "{path}"
[data.search]
source = "lhco"
path = "{path}"
stop = {search_rows}
"""


@dataclass(frozen=True)
class Peaks:
    """Bytes, and what was prepared meanwhile."""

    events: int
    driver: int
    worker: int
    workers: int
    files: list[int]
    seconds: float


def repeated(particles: Particles, n: int) -> Iterator[Particles]:
    """The same events over and over, ``n`` in all, in parts."""
    counts = np.diff(particles.offsets)
    for start in range(0, n, PART):
        index = np.arange(start, min(start + PART, n))
        source = index % len(particles)
        picked = members_of(particles.offsets[:-1][source], counts[source])
        yield replace(
            particles,
            event=index,
            offsets=offsets_of(counts[source]),
            pt=particles.pt[picked],
            eta=particles.eta[picked],
            phi=particles.phi[picked],
            truth=None,
        )


def peak(process: psutil.Process) -> int:
    """A process's largest resident memory so far, in bytes."""
    marks = Path(f"/proc/{process.pid}/status")
    if marks.exists():
        for line in marks.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return process.memory_info().rss


def measured(path: Path, n: int, folder: Path) -> Peaks:
    """Prepare a file by the command line, and watch its processes."""
    job = folder / "job.toml"
    job.write_text(JOB.format(output=folder, path=path, search_rows=SEARCH_ROWS))
    log = folder / "log.txt"
    started = time.monotonic()
    with log.open("w") as lines:
        command = subprocess.Popen(
            [sys.executable, "-m", "raybead", "prepare", str(job)], stdout=lines, stderr=lines
        )
    driver = psutil.Process(command.pid)
    largest, workers, preparing = 0, dict[int, int](), set[int]()
    while command.poll() is None:
        try:
            largest = max(largest, peak(driver))
            children = driver.children(recursive=True)
        except (psutil.Error, OSError):
            continue
        for process in children:
            try:
                title = " ".join(process.cmdline())
                if "_prepare_shards" in title:
                    preparing.add(process.pid)
                if process.pid in preparing:
                    workers[process.pid] = max(workers.get(process.pid, 0), peak(process))
            except (psutil.Error, OSError):  # it has just ended
                continue
        time.sleep(0.05)
    if command.returncode != 0:
        sys.exit(log.read_text())
    events = (folder / "memory" / "events" / "background").glob("*.parquet")
    return Peaks(
        events=n,
        driver=largest,
        worker=max(workers.values()),
        workers=len(workers),
        files=[file.stat().st_size for file in events],
        seconds=time.monotonic() - started,
    )


def main() -> int:
    """Measure, print, and say whether memory stays flat; 1 where it doesn't."""
    console = Console()
    console.say(f"generating {GENERATED} events ...")
    source = PythiaSource(source="pythia", events=GENERATED, slice_events=GENERATED)
    particles, _ = open_source(source).read(Span(0, GENERATED))
    found = []
    with tempfile.TemporaryDirectory() as name:
        for n in EVENTS:
            console.say(f"{n} events ...")
            folder = Path(name) / str(n)
            folder.mkdir()
            path = folder / "events.h5"
            write_lhco(path, repeated(particles, n), n, "none")
            found.append(measured(path, n, folder))
            path.unlink()
    console.table(
        "Peak memory of prepare",
        [
            "events",
            "driver [MB]",
            "largest worker [MB]",
            "workers",
            "Parquet files",
            "median MB a file",
            "seconds",
        ],
        [
            [
                str(one.events),
                f"{one.driver / MB:.0f}",
                f"{one.worker / MB:.0f}",
                str(one.workers),
                str(len(one.files)),
                f"{statistics.median(one.files) / MB:.2f}",
                f"{one.seconds:.0f}",
            ]
            for one in found
        ],
    )
    ratios = [found[-1].driver / found[0].driver, found[-1].worker / found[0].worker]
    flat = max(ratios) <= FLAT
    console.say(
        f"{'flat' if flat else 'NOT FLAT'}: at {EVENTS[-1] // EVENTS[0]} times the events the"
        f" driver needs {ratios[0]:.2f} and the largest worker {ratios[1]:.2f} times the memory"
        f" ({FLAT:g} allowed)"
    )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())

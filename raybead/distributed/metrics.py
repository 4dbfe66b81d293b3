"""Ray metrics: every name, what it counts, and by what. Each node exports its own for Prometheus.

Workers count a piece of work when it is over, and a training every epoch: nothing is counted
event by event. Work that is done once is counted once; a piece that is tried again is counted
again, and what a process that is killed had counted in its last ten seconds may be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ray.util.metrics import Counter, Gauge, Histogram

TAGS = ("run", "stage")
"""A job's name and a stage's: as many values as there are jobs, and eleven."""


@dataclass(frozen=True)
class Named:
    """A metric's description, and the tags that it has besides :data:`TAGS`."""

    description: str
    of: tuple[str, ...] = ()


COUNTERS: Mapping[str, Named] = {
    "raybead_events_read_total": Named("Raw events read."),
    "raybead_events_written_total": Named("Events that passed all cuts and were written."),
    "raybead_events_dropped_total": Named("Raw events that a cut dropped.", ("cut",)),
    "raybead_jets_total": Named("Jets of the events that passed all cuts, or were scored."),
    "raybead_events_scored_total": Named("Events scored; once for each model of an ensemble."),
    "raybead_items_scored_total": Named("Items that went through a model to be scored."),
    "raybead_items_trained_total": Named("Items that weights were fitted to, in every epoch."),
    "raybead_epochs_total": Named("Epochs of training; each counts once for all workers."),
    "raybead_pairs_total": Named("Pairs of jets whose exact distance was computed."),
    "raybead_toys_total": Named("Pseudo-experiments."),
    "raybead_hunts_total": Named("Whole hunts on pseudo-data."),
    "raybead_bytes_read_total": Named(
        "Bytes of particles read, as they lie in memory, or of files of events and scores."
    ),
    "raybead_bytes_written_total": Named("Bytes of files written."),
    "raybead_pieces_total": Named("Pieces of work ended, well or in a fault.", ("outcome",)),
    "raybead_busy_seconds_total": Named("Seconds that worker processes had work."),
    "raybead_cpu_seconds_total": Named("Seconds of CPU, all threads of a worker process."),
}
"""What grows; Prometheus makes rates of it. What code counts is the name's middle: "jets"."""
GAUGES: Mapping[str, Named] = {
    "raybead_loss": Named("Loss of the last epoch, mean over its items.", ("sample",)),
}
HISTOGRAMS: Mapping[str, Named] = {
    "raybead_piece_seconds": Named("How long pieces of work took."),
}
BOUNDARIES = [0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000]
"""Of histograms [s]."""


def add(run: str, stage: str, counts: Mapping[str, float]) -> None:
    """Count what was done.

    Args:
        run: the job's name.
        stage: the stage's.
        counts: by the middle of a counter's name, with what its own tag says behind a colon:
            ``events_dropped:leading jet too soft``.
    """
    for key, n in counts.items():
        middle, _, value = key.partition(":")
        name = f"raybead_{middle}_total"
        if n > 0:
            own = dict(zip(COUNTERS[name].of, [value], strict=False))
            _counter(name).inc(n, {"run": run, "stage": stage, **own})


def ended(run: str, stage: str, seconds: float, cpu: float, *, faulty: bool) -> None:
    """Count a piece of work that is over, and the time that it took."""
    outcome = "fault" if faulty else "done"
    add(run, stage, {f"pieces:{outcome}": 1, "busy_seconds": seconds, "cpu_seconds": cpu})
    _histogram("raybead_piece_seconds").observe(seconds, {"run": run, "stage": stage})


def show_losses(run: str, stage: str, losses: Mapping[str, float]) -> None:
    """The last epoch's losses, by sample."""
    for sample, loss in losses.items():
        tags = {"run": run, "stage": stage, "sample": sample}
        _gauge("raybead_loss").set(loss, tags)


@cache
def _counter(name: str) -> Counter:
    named = COUNTERS[name]
    return Counter(name, named.description, (*TAGS, *named.of))


@cache
def _gauge(name: str) -> Gauge:
    named = GAUGES[name]
    return Gauge(name, named.description, (*TAGS, *named.of))


@cache
def _histogram(name: str) -> Histogram:
    return Histogram(name, HISTOGRAMS[name].description, BOUNDARIES, TAGS)

"""From costs that were measured to what a job of any size takes: the arithmetic of scaling.py.

A stage of pieces takes as many rounds as there are pieces for a core, and never less than the one
driver needs to hand the pieces out and take them back. What a single task does takes its time
however many cores there are, and the memory of one node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raybead.events.sample import FILES_AT_MOST, ROWS_A_TASK, ROWS_AT_MOST


@dataclass(frozen=True)
class Line:
    """A cost that grows with the number of what is done."""

    slope: float
    fixed: float

    @classmethod
    def fit(cls, numbers: Sequence[float], costs: Sequence[float]) -> Line:
        """Least squares; through the mean of a single number, without anything fixed."""
        if len(set(numbers)) == 1:
            return cls(float(np.mean(costs)) / numbers[0], 0.0)
        slope, fixed = np.polyfit(np.asarray(numbers, float), np.asarray(costs, float), 1)
        return cls(float(slope), float(fixed))

    def at(self, number: float) -> float:
        return self.fixed + self.slope * number


@dataclass(frozen=True)
class Power:
    """A cost that grows with a power of the number of events."""

    factor: float
    exponent: float

    @classmethod
    def fit(cls, numbers: Sequence[float], costs: Sequence[float]) -> Power:
        """Least squares of the logarithms."""
        line = Line.fit(np.log(numbers).tolist(), np.log(costs).tolist())
        return cls(math.exp(line.fixed), line.slope)

    def at(self, number: float) -> float:
        return self.factor * number**self.exponent


@dataclass(frozen=True)
class Costs:
    """Seconds of one core, and bytes."""

    prepare: float
    """An event."""
    score: float
    """An event, of the actors."""
    calibrate: Line
    """Score's last task by events of both samples."""
    hunt: Line
    """The hunt's single tasks by events of both samples."""
    toy: Power
    """A pseudo-experiment by events of both samples."""
    driver: float
    """A piece, of the driver."""
    calibrate_bytes: Line
    """Peak of score's last task."""
    hunt_bytes: Line
    """Peak of the largest of the hunt's tasks."""


@dataclass(frozen=True)
class Estimate:
    """Seconds by the clock of a job whose cores do nothing else, and bytes of one node."""

    pieces: int
    prepare: float
    score: float
    last: float
    """Score's last task."""
    hunt: float
    toys: float
    driver: float
    """Of the two stages that are cut in pieces, the driver's own share."""
    calibrate_bytes: float
    hunt_bytes: float


def rows_a_task(events: int) -> int:
    """What ``prepare.rows_per_task = "auto"`` makes of a sample."""
    if events <= ROWS_A_TASK * FILES_AT_MOST:
        return ROWS_A_TASK
    return min(ROWS_AT_MOST, -(-events // FILES_AT_MOST))


def rounds(events: int, rows: int, cost: float, driver: float, cores: int) -> float:
    """Seconds that pieces of so many rows take on so many cores, handed out by one driver."""
    pieces = -(-events // rows)
    if pieces <= cores:
        return max(min(rows, events) * cost, pieces * driver)
    # As many whole rounds as it takes, the last piece as large as others.
    return max(math.ceil(pieces / cores) * rows * cost, pieces * driver)


def estimated(costs: Costs, events: int, cores: int, toys: int) -> Estimate:
    """What a job takes: half of the events are background, half are searched.

    Args:
        costs: that were measured.
        events: of both samples together; all pass all cuts.
        cores: that prepare, score and make toys.
        toys: pseudo-experiments.
    """
    rows = rows_a_task(events // 2)
    pieces = 2 * -(-(events // 2) // rows)
    return Estimate(
        pieces=pieces,
        # One sample is prepared after the other; both are scored together.
        prepare=2 * rounds(events // 2, rows, costs.prepare, costs.driver, cores),
        score=rounds(events, rows, costs.score, costs.driver, cores),
        last=costs.calibrate.at(events),
        hunt=costs.hunt.at(events),
        toys=costs.toy.at(events) * toys / cores,
        driver=2 * pieces * costs.driver,
        calibrate_bytes=costs.calibrate_bytes.at(events),
        hunt_bytes=costs.hunt_bytes.at(events),
    )


def training_seconds(items: int, epochs: int, rate: float, gpus: int) -> float:
    """Of an epoch's items on GPUs that take ``rate`` items a second each.

    Gradients' exchange is left out: weights are some 100 kB, and a batch takes milliseconds.
    """
    return items * epochs / (rate * gpus)


def time_text(seconds: float) -> str:
    """To two digits, in the unit that suits."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{_two(seconds / size)} {unit}"
    return f"{_two(seconds)} s"


def bytes_text(n: float) -> str:
    """To two digits, in powers of 1000."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= size:
            return f"{_two(n / size)} {unit}"
    return f"{_two(n)} B"


def _two(value: float) -> str:
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"

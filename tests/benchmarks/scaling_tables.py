"""The tables of docs/scaling.md, of what scaling.py measured."""

from __future__ import annotations

from typing import Any

from extrapolated import (
    Costs,
    Line,
    Power,
    bytes_text,
    estimated,
    time_text,
    training_seconds,
)

EVENTS = (1_100_000, 10**8, 10**10)
CORES = (16, 256, 4096)
GPUS = (1, 8, 64)
RATES = (20_000, 200_000)
"""Items a second of a GPU: assumed."""
EPOCHS = 50
TRAINED = (100_000, 1_100_000, 10_000_000)
"""Values of ``train.max_events``."""
TOYS = 10_000_000
JETS = 2
"""Leading ones of an event."""
PREPARED = ("events/background", "events/search")


def stage_line(found: dict[str, Any], stages: tuple[str, ...], number: str, of: str) -> Line:
    """A cost of whole jobs over what was done in them, of stages together."""
    jobs = [[one["stages"][name] for name in stages] for one in found["jobs"]]
    return Line.fit(
        [sum(stage[number] for stage in job) for job in jobs],
        [sum(stage[of] for stage in job) for job in jobs],
    )


def large_line(found: dict[str, Any], of: str, what: str) -> Line:
    """A cost of single tasks over events of both samples."""
    return Line.fit(found["large"], [one[what] for one in found[of]])


def costs_of(found: dict[str, Any]) -> Costs:
    return Costs(
        prepare=stage_line(found, PREPARED, "events", "cpu_seconds").slope,
        score=stage_line(found, ("scores",), "events", "cpu_seconds").slope,
        calibrate=large_line(found, "last", "cpu"),
        hunt=large_line(found, "hunts", "cpu"),
        toy=Power.fit(found["large"], [one["toys"] / one["made"] for one in found["hunts"]]),
        driver=max(found["pieces"]["driver"][0], found["cut"]["driver"]),
        calibrate_bytes=large_line(found, "last", "peak"),
        hunt_bytes=large_line(found, "hunts", "peak"),
    )


def table(headers: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def milli(seconds: float) -> str:
    """Seconds as milliseconds or microseconds."""
    if abs(seconds) >= 1e-4:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.2g} µs"


def stages_table(found: dict[str, Any]) -> str:
    rows = []
    for title, stages, number in (
        ("prepare", PREPARED, "events"),
        ("train, an item and epoch", ("model",), "items"),
        ("score, controls too", ("scores",), "events"),
    ):
        line = stage_line(found, stages, number, "cpu_seconds")
        each = 1 if number == "items" else JETS
        peaks = [
            max(one["stages"][name]["peak_rss_bytes"] for name in stages) for one in found["jobs"]
        ]
        slope = Line.fit([one["events"] for one in found["jobs"]], peaks).slope
        rows.append(
            [
                title,
                "" if number == "items" else milli(line.slope),
                milli(line.slope / each),
                f"{max(0.0, line.fixed):.1f} s",
                " / ".join(f"{peak / 2**20:.0f}" for peak in peaks),
                bytes_text(2 * slope) if title.startswith("train") else "a piece at a time",
            ]
        )
    sizes = ", ".join(f"{one['events']:,}" for one in found["jobs"])
    return (
        f"Whole jobs of {sizes} events, half of them background, half searched:\n\n"
        + table(
            [
                "stage", "CPU an event", "CPU a jet", "CPU whatever the size",
                "largest worker [MiB], by size", "more memory an event of background",
            ],
            rows,
        )
    )  # fmt: skip


def parts_table(found: dict[str, Any]) -> str:
    """Where the time of the largest job went."""
    rows = []
    for name, stage in found["jobs"][-1]["stages"].items():
        whole = stage["cpu_seconds"]
        parts = sorted(stage["parts"].items(), key=lambda one: -one[1]["cpu_seconds"])
        told = [
            f"{part} {100 * one['cpu_seconds'] / whole:.0f} %"
            for part, one in parts
            if one["cpu_seconds"] >= 0.05 * whole
        ]
        rows.append([f"`{name}`", f"{whole:.1f} s", ", ".join(told)])
    return "Parts of the largest of these jobs:\n\n" + table(["stage", "CPU", "of it"], rows)


def single_table(found: dict[str, Any]) -> str:
    rows = []
    for title, of in (("score's last task", "last"), ("hunt, without toys", "hunts")):
        line, peak = large_line(found, of, "cpu"), large_line(found, of, "peak")
        rows.append(
            [
                title,
                " / ".join(f"{one['cpu']:.1f}" for one in found[of]),
                milli(line.slope),
                " / ".join(f"{one['peak'] / 2**20:.0f}" for one in found[of]),
                bytes_text(peak.slope),
            ]
        )
    driver = large_line(found, "hunts", "driver_bytes")
    rows.append(
        [
            "hunt's driver",
            " / ".join(f"{one['driver']:.1f}" for one in found["hunts"]),
            milli(large_line(found, "hunts", "driver").slope),
            " / ".join(f"+{one['driver_bytes'] / 2**20:.0f}" for one in found["hunts"]),
            bytes_text(driver.slope) if driver.slope > 0 else "none",
        ]
    )
    sizes = ", ".join(f"{n:,}" for n in found["large"])
    toys = ", ".join(milli(one["toys"] / one["made"]) for one in found["hunts"])
    return (
        f"Tasks that hold whole samples, of {sizes} events of both samples together:\n\n"
        + table(
            ["task", "CPU [s], by size", "CPU an event", "peak [MiB], by size", "bytes an event"],
            rows,
        )
        + f"\n\nA pseudo-experiment of three cuts takes {toys} of CPU at these sizes:"
        f" a power of {costs_of(found).toy.exponent:.2f} of the events."
    )


def pieces_table(found: dict[str, Any]) -> str:
    pieces, cut = found["pieces"], found["cut"]
    sizes = found["jobs"][-1]["sizes"]
    events = found["jobs"][-1]["events"]
    rows = [
        [
            "a piece of nothing through Ray Data",
            milli(pieces["wall"][0]), milli(pieces["driver"][0]), milli(pieces["worker"][0]),
        ],
        [
            "a further piece of the same events, prepared",
            milli(cut["wall"]), milli(cut["driver"]), milli(cut["worker"]),
        ],
        ["a file that is there, on a resume (local disk)", "", milli(cut["resume"]), ""],
    ]  # fmt: skip
    return (
        "Tasks:\n\n"
        + table(["", "by the clock, of two cores", "CPU of the driver", "CPU of a worker"], rows)
        + "\n\nBytes an event on disk: "
        + ", ".join(f"{name} {bytes_text(size / events)}" for name, size in sizes.items())
        + f". Each worker process is told of all pieces: {found['cut']['told']:.0f} bytes a piece."
        + " Pieces of nothing took "
        + ", ".join(f"{wall:.1f} s for {n:,}" for n, wall in zip(*found["empty"], strict=True))
        + "."
    )


def jobs_table(found: dict[str, Any]) -> str:
    costs, rows = costs_of(found), []
    for events in EVENTS:
        for cores in CORES:
            one = estimated(costs, events, cores, TOYS)
            seconds = (
                one.prepare, one.score, one.last, one.hunt, one.toys, one.driver,
            )  # fmt: skip
            rows.append(
                [
                    f"{events:,}", f"{cores:,}", f"{one.pieces:,}",
                    *(time_text(value) for value in seconds),
                    bytes_text(one.calibrate_bytes), bytes_text(one.hunt_bytes),
                ]
            )  # fmt: skip
    return table(
        [
            "events", "cores", "pieces", "prepare", "score", "its last task", "hunt",
            f"{TOYS:.0e} toys".replace("e+0", "e"), "driver's share", "memory: last task", "hunt",
        ],
        rows,
    )  # fmt: skip


def volumes_table(found: dict[str, Any]) -> str:
    """Bytes of all files."""
    sizes, events = found["jobs"][-1]["sizes"], found["jobs"][-1]["events"]
    rows = [
        [f"{n:,}", *(bytes_text(size / events * n) for size in sizes.values())] for n in EVENTS
    ]
    return table(["events", "raw (made here)", *list(sizes)[1:]], rows)


def training_table(found: dict[str, Any]) -> str:
    item = stage_line(found, ("model",), "items", "cpu_seconds").slope
    rows = []
    for events in TRAINED:
        items = events * JETS
        rows.append(
            [
                f"{events:,}",
                time_text(item * items * EPOCHS / 16),
                *(
                    time_text(training_seconds(items, EPOCHS, rate, gpus))
                    for rate in RATES
                    for gpus in GPUS
                ),
            ]
        )
    return table(
        [
            "`train.max_events`",
            "16 cores (measured cost)",
            *(f"{gpus} GPU{'s' * (gpus > 1)} at {rate:,}/s" for rate in RATES for gpus in GPUS),
        ],
        rows,
    )


def tables(found: dict[str, Any]) -> str:
    """All of them, as Markdown."""
    return "\n\n".join(
        [
            "### Measured costs",
            f"Events have {found['particles']:.0f} particles, jets"
            f" {found['constituents']:.0f} constituents. The machine has {found['cores']} cores"
            f" that others used as well (a load of {found['load']:.0f}), and no GPU.",
            stages_table(found),
            parts_table(found),
            single_table(found),
            pieces_table(found),
            "### Extrapolated: prepare, score, hunt",
            jobs_table(found),
            volumes_table(found),
            f"### Extrapolated: {EPOCHS} epochs of training",
            training_table(found),
        ]
    )

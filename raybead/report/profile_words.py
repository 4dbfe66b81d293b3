"""What a profile says, in sentences. Only what its numbers say."""

# ruff: noqa: RUF001  # signs that readers know: ×

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raybead.report.numbers import thousands
from raybead.report.profile_numbers import (
    DATA,
    a_step,
    cpus_busy,
    gpu_busy,
    in_operators,
    mib,
    milli,
    rate,
    shares,
    slower,
    top,
)

WAITS = 0.25
"""Share of a step from which on it is worth saying that the model waits for its data."""
BETWEEN = 0.3
"""Share of traced time between operators from which on larger batches would help."""
SLACK = 0.6
"""Share of the threads, or of the GPU's time, below which they count as idle."""
HEAVY = 0.5


def headline(profile: Mapping[str, Any]) -> str:
    """One sentence for the top of the page."""
    training = profile["training"]
    most = max(shares(training), key=lambda one: one.share)
    return (
        f"A training step takes {milli(a_step(training))} ms,"
        f" {100 * most.share:.0f} % of it {most.name}"
    )


def sentences(profile: Mapping[str, Any]) -> list[str]:
    """What there is to say, the most telling first."""
    return [
        *_of_training(profile["training"], profile["where"]),
        *_of_scoring(profile["scoring"]),
        *_of_stages(profile["stages"]),
        *_of_looking(profile["training"], profile["where"]),
    ]


def _of_training(training: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[str]:
    found = shares(training)
    ranked = sorted(found, key=lambda one: -one.share)
    first = ", ".join(f"{one.name} {100 * one.share:.0f} %" for one in ranked[:3])
    items = rate(training, "items_trained")
    yield (
        f"A training step takes {milli(a_step(training))} ms: {first}. That is"
        f" {thousands(round(items))} items a second"
        + (
            f", of {training['jets_an_item']:.2g} jets each."
            if training["jets_an_item"] != 1
            else ", each of them a jet."
        )
    )
    waits = sum(one.share for one in found if one.name in DATA)
    if waits >= WAITS:
        worst = max((one for one in found if one.name in DATA), key=lambda one: one.share)
        yield (
            f"The model waits for its data: {100 * waits:.0f} % of a step goes into making"
            f" batches, most of it into {worst.name}."
        )
    else:
        yield f"The data keeps up: making batches takes {100 * waits:.1f} % of a step."
    yield from _of_devices(training, where)
    between = 1 - in_operators(training)
    if between >= BETWEEN and where["device"] == "cpu":
        yield (
            f"{100 * between:.0f} % of the traced time lies between torch's"
            f" {round(training['calls'] / training['steps'])} operator calls a step, in Python and"
            " in the profiler: larger batches (train.batch_items) spread it over more items."
        )
    one, share = top(training)[0]
    yield (
        f"The operator that takes most is {one['name']}: {100 * share:.0f} % of all operators'"
        f" time, in {one['calls'] / training['steps']:g} calls a step."
    )
    if training["flops"]:
        each = training["flops"] / training["steps"]
        yield (
            f"As far as torch counts them, a step takes {each / 1e6:.3g} million floating point"
            f" operations: {each / a_step(training) / 1e9:.2g} GFLOP a second."
            + (
                " raybead's own operators aren't among them."
                if any(one["name"].startswith("raybead::") for one in training["operators"])
                else ""
            )
        )
    heaviest = max(found, key=lambda one: one.peak)
    held = training["memory"].get("device_allocated")
    yield (
        f"Memory is highest in {heaviest.name}: {mib(heaviest.peak)} MiB in tensors"
        + (
            f"; on the GPU {mib(held)} MiB at most without the profiler."
            if held
            else " that a step made, beside"
            f" {mib(training['memory']['rss_peak'])} MiB of the whole process."
        )
    )


def _of_devices(training: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[str]:
    busy, threads = cpus_busy(training), where["threads"]
    if where["device"] == "cuda":
        share = gpu_busy(training)
        yield (
            f"The GPU ({where['device_name']}) has work in {100 * share:.0f} % of a traced step,"
            f" and {busy:.2g} CPUs meanwhile."
            + (
                " It waits for what the CPU hands to it: larger batches (train.batch_items), or"
                " several workers to a GPU (resources.train.gpus below 1), would fill it."
                if share < SLACK
                else ""
            )
        )
        return
    told = "its one CPU" if threads == 1 else f"{threads} threads"
    yield f"It runs on CPUs: {busy:.2g} of them busy on average, with {told}." + (
        " Threads have too little to do, or others use the machine: more workers, of fewer CPUs"
        " each (resources.train.cpus), may use them better."
        if busy < SLACK * threads and threads > 1
        else " Others use the machine as well: of times by the clock a part is theirs."
        if busy < SLACK
        else ""
    )


def _of_scoring(scoring: Mapping[str, Any]) -> Iterator[str]:
    found = shares(scoring)
    most = max(found, key=lambda one: one.share)
    yield (
        f"Scoring {scoring['events']} events takes {milli(a_step(scoring))} ms,"
        f" {thousands(round(rate(scoring, 'events_scored')))} events a second:"
        f" {100 * most.share:.0f} % of it {most.name}."
        + (
            " score.controls = false leaves scores that take no learning out."
            if most.name == "controls" and most.share >= HEAVY
            else ""
        )
    )


def _of_stages(stages: Mapping[str, Any]) -> Iterator[str]:
    for name, stage in stages.items():
        wall, waits, busy = (stage[f"{of}_seconds"] for of in ("wall", "waiting", "busy"))
        parts = {part: one["seconds"] for part, one in stage["parts"].items()}
        most = max(parts, key=lambda part: parts[part]) if parts else None
        of_parts = f", {100 * parts[most] / busy:.0f} % of it {most}" if most and busy > 0 else ""
        yield (
            f"To {name}, as far as was asked for, took {wall:.1f} s: workers were busy for"
            f" {busy:.1f} s{of_parts}."
            + (
                f" {waits:.1f} s passed before the first piece of work began, once a stage however"
                " much there is to do."
                if waits >= HEAVY * wall
                else ""
            )
        )


def _of_looking(training: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Looking closely costs time: steps timed by parts take {slower(training, 'parted'):.2f} ×"
        f" as long as those timed whole, traced ones {slower(training, 'traced'):.2f} ×. All times"
        " of operators are of traced steps."
    )
    if where["workers"] > 1:
        yield (
            f"Training takes {where['workers']} workers; these steps are one's share of a batch of"
            f" {training['batch_items']}. Averaging gradients over workers isn't in them."
        )

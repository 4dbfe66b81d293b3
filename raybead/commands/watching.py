"""What ``raybead watch`` shows of a progress file: a live view, lines of what is new, or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raybead.logline import Event, log_line
from raybead.pace import duration, rate_text

SIGNS = {
    "waiting": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "done": ("✓", "green"),
    "current": ("✓", "dim green"),
    "fault": ("✗", "bold red"),
    "interrupted": ("✗", "yellow"),
}
BLOCKS = "▁▂▃▄▅▆▇█"
NOTES_SHOWN = 6
LOG_EVERY = 10.0
"""Seconds between lines on one stage, as in a run's own log."""

Told = Mapping[str, Any]
"""What a progress file says."""


def state_line(told: Told, dead: str | None) -> str:
    """How it stands with the run, in one line.

    Args:
        told: its progress file.
        dead: why nobody seems to work on it any more, if so.
    """
    took = duration(_between(told.get("since"), told.get("ended") or told.get("alive")))
    match told["state"]:
        case "done":
            return f"{told['run']}: {told['verb']} is done, after {took}"
        case "fault":
            return f"{told['run']}: {told['verb']} failed after {took}: {told.get('fault')}"
        case "interrupted":
            why = f": {told['fault']}" if told.get("fault") else ""
            return f"{told['run']}: {told['verb']} was interrupted after {took}{why}"
    if dead is not None:
        return f"{told['run']}: {dead}"
    by = told.get("process", {})
    return (
        f"{told['run']}: {told['verb']}, for {took} by process {by.get('pid')} on {by.get('host')}"
    )


def stage_words(stage: Told) -> str:
    """How far a stage is: ``3/30 epochs, loss 0.1, 2 epochs/min, 14 min left``."""
    parts = []
    if stage.get("total"):
        parts.append(f"{stage['done']}/{stage['total']} {stage.get('remark', '')}".strip())
    if stage["state"] == "running":
        parts += _pace(stage)
    elif stage.get("ended"):
        parts.append(duration(_between(stage.get("since"), stage["ended"])))
    return ", ".join(parts)


def view(told: Told, dead: str | None) -> RenderableType:
    """All of it, for a terminal."""
    style = {"done": "bold green", "fault": "bold red"}.get(told["state"], "bold")
    stages = told["stages"]
    if dead is not None:
        left = {"state": "interrupted", "ended": told["alive"]}
        stages = [one | left if one["state"] == "running" else one for one in stages]
    parts: list[RenderableType] = [
        Text(state_line(told, dead), style="bold red" if dead else style),
        _stages(stages),
    ]
    for stage, epochs in told.get("epochs", {}).items():
        parts += _losses(stage, epochs)
    notes = told.get("notes", [])
    if notes:
        left_out = len(notes) - NOTES_SHOWN + told.get("notes_left_out", 0)
        more = f" ({left_out} earlier)" if left_out > 0 else ""
        parts.append(Text(f"notes{more}", style="dim"))
        parts += [Text(f"  {_clock(one['time'])}  {one['text']}") for one in notes[-NOTES_SHOWN:]]
    return Group(*parts)


def sparkline(values: Sequence[float | None], width: int = 60) -> str:
    """Values as blocks, from the lowest to the highest; of many, the last of each group.

    On a logarithmic scale where all are positive and the largest is ten times the smallest.
    """
    known = [x if x is not None and math.isfinite(x) else None for x in values]
    if len(known) > width:
        known = [known[(place + 1) * len(known) // width - 1] for place in range(width)]
    finite = [x for x in known if x is not None]
    if not finite:
        return ""
    logarithmic = min(finite) > 0 and max(finite) >= 10 * min(finite)
    scaled = [None if x is None else math.log(x) if logarithmic else x for x in known]
    there = [x for x in scaled if x is not None]
    low, span = min(there), (max(there) - min(there)) or 1.0
    top = len(BLOCKS) - 1
    return "".join(" " if x is None else BLOCKS[round((x - low) / span * top)] for x in scaled)


@dataclass
class News:
    """What of a progress file is new, as lines; the same for a person's log and for machines."""

    _states: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _told_at: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _notes: int = 0
    _began: str | None = None

    def of(self, told: Told, now: float) -> Iterator[tuple[Event, str, dict[str, Any]]]:
        """Kinds of news, lines, and the numbers that go with them.

        Args:
            told: the file.
            now: seconds by any clock that goes on.
        """
        if told.get("since") != self._began:  # another command works in the folder
            self._states, self._told_at, self._notes = {}, {}, 0
            self._began = told.get("since")
            yield "note", state_line(told, None), {}
        for stage in told["stages"]:
            yield from self._of_stage(stage, now)
        notes = told.get("notes", [])
        seen = told.get("notes_left_out", 0) + len(notes)
        if seen > self._notes:
            for note in notes[-(seen - self._notes) :]:
                yield "note", note["text"], {}
            self._notes = seen

    def _of_stage(self, stage: Told, now: float) -> Iterator[tuple[Event, str, dict[str, Any]]]:
        name, title, words = stage["name"], stage["title"], stage_words(stage)
        facts = {
            "stage": name,
            **{
                key: stage.get(key)
                for key in ("done", "total", "remark", "rate", "unit", "rates", "seconds_left")
            },
        }
        was, state = self._states.get(name), (stage["state"], stage.get("since"))
        self._states[name] = state
        changed = was != state
        match stage["state"]:
            case "running":
                if changed:
                    yield "started", f"{title} ...", {"stage": name}
                at, done = self._told_at.get(name, (-LOG_EVERY, None))
                if stage.get("done") and stage["done"] != done and now - at >= LOG_EVERY:
                    self._told_at[name] = (now, stage["done"])
                    yield "progress", f"{title}: {words}", facts
            case "done" if changed:
                yield "finished", f"{title}: done{_after(words)}", facts
            case "fault" | "interrupted" if changed:
                yield "fault", f"{title}: {stage['state']}{_after(words)}", facts


def json_line(told: Told, event: Event, line: str, facts: Mapping[str, Any]) -> str:
    """A line for machines, as the run's own log would have it."""
    return log_line(event, line, run=told.get("run"), **facts)


def _stages(stages: Sequence[Told]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for stage in stages:
        sign, style = SIGNS.get(stage["state"], ("?", ""))
        bar: RenderableType = ""
        if stage["state"] == "running":
            total = stage.get("total") or None
            done = stage.get("done", 0)
            bar = ProgressBar(total=total, completed=done, width=24, pulse=total is None)
        words = "current, kept" if stage["state"] == "current" else stage_words(stage)
        table.add_row(Text(sign, style=style), Text(stage["title"], style=style), bar, Text(words))
    return table


def _losses(stage: str, epochs: Mapping[str, Any]) -> Iterator[RenderableType]:
    ran = epochs.get("epoch", [])
    if not ran:
        return
    best = max((n for n, is_best in zip(ran, epochs["best"], strict=True) if is_best), default=0)
    yield Text(f"losses of {stage}, {ran[-1] + 1} epochs, best {best + 1}", style="dim")
    for name in ("train", "validation"):
        values = epochs.get(name, [])
        newest = "?" if not values or values[-1] is None else f"{values[-1]:.4g}"
        yield Text.assemble(
            f"  {name:<11}", (sparkline(values), "cyan" if name == "train" else "magenta"),
            f"  {newest}",
        )  # fmt: skip
    last = epochs.get("last") or {}
    terms = last.get("terms") or {}
    if len(terms) > 1:
        shown = ", ".join(f"{k} {v:.4g}" for k, v in terms.items() if v is not None)
        yield Text(f"  terms      {shown}")


def _pace(stage: Told) -> list[str]:
    rates = [rate_text(rate, name) for name, rate in (stage.get("rates") or {}).items()]
    if not rates and stage.get("rate") and stage.get("total", 0) > 1:
        rates = [rate_text(stage["rate"], stage.get("unit") or "")]
    left = stage.get("seconds_left")
    return [*rates, *([f"{duration(left)} left"] if left else [])]


def _after(words: str) -> str:
    return f", {words}" if words else ""


def _between(since: str | None, until: str | None) -> float:
    if since is None or until is None:
        return 0.0
    return max(0.0, (_time(until) - _time(since)).total_seconds())


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _clock(text: str) -> str:
    return _time(text).astimezone().strftime("%H:%M:%S")

"""What a sweep found, in sentences; nothing is called better than its errors allow."""

# ruff: noqa: RUF001  # signs that readers know: −, ×, –

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raybead.config import Sweep
from raybead.report.numbers import GLUE, thousands, with_error
from raybead.report.tried import in_short

NAMED = 12
"""Trials that a sentence lists."""


def objective_in_words(sweep: Sweep) -> str:
    """What was made as large as possible."""
    weights = sweep.weights
    if list(weights.values()) == [1.0]:
        return next(iter(weights))
    parts = [f"{weight:g}{GLUE}×{GLUE}{name}" for name, weight in weights.items()]
    return " + ".join(parts).replace("+ -", "− ")


def pm(value: float | None, error: float | None) -> str:
    """A number with its error, as far as they are known."""
    if value is None:
        return "–"
    return (f"{value:.4g}" if error is None else with_error(value, error)).replace("-", "−")


def tried_in_words(values: Mapping[str, Any]) -> str:
    """Values of swept keys."""
    return ", ".join(f"{key} = {in_short(value)}" for key, value in values.items())


def headline(summary: Mapping[str, Any]) -> str:
    """The best trial and its objective."""
    best = summary["best"]
    if best is None:
        return "No trial came to an objective"
    objective = best["objective"]
    return f"Best: trial {best['number']}, {pm(objective['value'], objective['error'])}"


def sentences(
    rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], sweep: Sweep
) -> list[str]:
    """The sweep's result in words.

    Args:
        rows: of the table of trials, the best first.
        summary: of them.
        sweep: that they are of.
    """
    said = [_counts(summary)]
    best = summary["best"]
    if best is None:
        return [*said, "None can be called the best."]
    how = "" if best["status"] == "done" else " (it was stopped early: no trial was finished)"
    said.append(
        f"The best{how} is trial {best['number']}, {best['trial']}:"
        f" {tried_in_words(best['values'])}. It was chosen by {objective_in_words(sweep)},"
        f" {pm(best['objective']['value'], best['objective']['error'])}; higher is better."
    )
    said.append(_level(rows, summary))
    ahead = [row for row in rows if row["behind_best"] is not None and row["behind_best"] < 0]
    if ahead:
        said.append(
            f"When stopped, {_numbers(ahead)} {'was' if len(ahead) == 1 else 'were'} ahead of it;"
            " finished trials go before stopped ones."
        )
    if summary["counts"]["done"] > 1:
        said.append(
            "The best of many is so by some luck too: on other events its objective is likely to"
            " be a little lower."
        )
    return said


def importance_in_words(importance: Mapping[str, Any]) -> list[str]:
    """Which keys matter, or why it can't be told."""
    if importance["reason"] is not None:
        return [f"Which key matters most: {importance['reason']}."]
    said = []
    if importance["predicted"] <= 0:
        said.append(
            "From their values a random forest can't tell the order of trials that it hasn't seen:"
            " importances of these keys mean nothing yet."
        )
    else:
        first, found = next(iter(importance["keys"].items()))
        said.append(
            f"The key that matters most is {first}: {100 * found['mean']:.0f} ±"
            f" {100 * found['spread']:.0f}{GLUE}% of the variance of the trials' order goes with"
            f" it. From all of them a random forest predicts {100 * importance['predicted']:.0f}"
            f"{GLUE}% of it for trials that it hasn't seen."
        )
    if importance["constant"]:
        said.append(f"Of one value only: {', '.join(importance['constant'])}.")
    return said


def _counts(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    parts = [f"{counts['done']} finished"]
    if counts["stopped"]:
        parts.append(f"{counts['stopped']} {_was(counts['stopped'])} stopped early")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    n = summary["trials"]
    return (
        f"Of {n} trial{'s' if n != 1 else ''} {', '.join(parts)}. Together they took"
        f" {thousands(summary['epochs'])} epochs and {duration(summary['seconds'])} of trials'"
        " time."
    )


def _level(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    if summary["level"] is None:
        return "Its objective has no bootstrap error, so it can't be told which are as good."
    others = [row for row in rows if row["trial"] in summary["level"] and row["rank"] != 1]
    if not others:
        return (
            (
                "No other trial is level with it: all are behind by more than two errors of the"
                " difference."
            )
            if sum(row["rank"] is not None for row in rows) > 1
            else "There is no other to compare."
        )
    return (
        f"{len(others)} other{'s are' if len(others) > 1 else ' is'} level with it, behind by at"
        f" most two errors of the difference: {_numbers(others)}. Between these the events decide"
        " nothing; take the one that is simplest."
    )


def _numbers(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = ", ".join(str(row["number"]) for row in rows[:NAMED])
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return f"trial{'s' if len(rows) > 1 else ''} {shown}{more}"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def duration(seconds: float) -> str:
    """A time in the unit that fits."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f}{GLUE}{unit}"
    return f"{seconds:.1f}{GLUE}seconds"

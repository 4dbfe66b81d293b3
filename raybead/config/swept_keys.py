"""Which keys of a job can be swept, and how they are written."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from raybead.config.dimension import Dimension

SWEPT_SECTIONS = ("jets", "graph", "model", "loss", "train", "score")
"""Sections whose keys can be swept: what decides a score. A hunt isn't chosen by its result."""
_SAME_EVENTS = "all trials are trained on and judged by the same events"
_BY_THE_SWEEP = "the sweep itself says what a trial is given"
_NO_MATTER = "it doesn't decide what a model is worth"
_ONE_START = "weights go with one model"
_WHY_HELD = {
    "train.test": _SAME_EVENTS, "train.validation": _SAME_EVENTS,
    "train.max_events": _SAME_EVENTS, "train.workers": _BY_THE_SWEEP,
    "train.use_gpu": _BY_THE_SWEEP, "train.start_from": _ONE_START,
    "train.max_failures": _NO_MATTER, "train.keep_every": _NO_MATTER, "score.store": _NO_MATTER,
    "score.controls": _NO_MATTER, "score.workers": _BY_THE_SWEEP, "score.use_gpu": _BY_THE_SWEEP,
    "score.batch_items": _NO_MATTER, "score.ensemble": _NO_MATTER,
}  # fmt: skip
HELD = frozenset(_WHY_HELD)
"""Keys of these that stay: all trials are judged by the same events, unseen by all."""


def flattened(raw: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with what is said of each, from tables in tables."""
    for key, value in raw.items():
        tables = isinstance(value, dict) and value and not set(Dimension.model_fields) & set(value)
        if tables and all(isinstance(inner, dict) for inner in value.values()):
            yield from flattened(value, f"{above}{key}.")
        else:
            yield above + key, value


def why_not(key: str) -> str | None:
    """Why a key can't be swept; None where it can."""
    section, *rest = key.split(".")
    if section in ("resources", "loggers"):
        return f"stays as the job says, since {_NO_MATTER}"
    if section not in SWEPT_SECTIONS:
        near = difflib.get_close_matches(section, SWEPT_SECTIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"only keys of {', '.join(SWEPT_SECTIONS)} can be swept{hint}"
    if not all(rest):
        return "write it as section.key"
    for held, why in _WHY_HELD.items():
        if f"{key}.".startswith(f"{held}."):
            return f"stays as the job says, since {why}"
        if held.startswith(f"{key}."):
            return f"holds {held}, which stays; sweep single keys of it"
    return None


def refuse_never(key: str, condition: str, over: Mapping[str, Dimension]) -> None:
    """Refuse a condition of a key on a swept key that never has the values that it names.

    Raises:
        ValueError: which.
    """
    named = over.get(condition)
    if named is None:
        return
    if named.ends is not None and not named.whole:
        raise ValueError(
            f"{key}: when: {condition} is drawn from a range, and is none of its values but by"
            " chance; give it a choice"
        )
    for value in over[key].accepted(condition):
        if not named.when and not named.holds(value):  # else it may be what the job says
            raise ValueError(f"{key}: when: {condition} never is {value!r}")

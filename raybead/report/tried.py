"""What was tried in a sweep: columns of its table, and their values as short text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

VALUE = "value:"
"""What names of columns of swept keys begin with."""
LEVEL = 2.0
"""Errors of the paired difference within which a trial is level with the best."""
FIXED = (
    "rank", "trial", "number", "status", "reason", "epochs", "of_epochs", "best_epoch", "seconds",
    "parameters", "objective", "objective_error", "behind_best", "behind_best_error",
)  # fmt: skip
"""Columns that every table of trials has."""
NOT_SET = "not set"


def swept(board: pa.Table) -> list[str]:
    """Keys of the job that the table has a column of."""
    return [name.removeprefix(VALUE) for name in board.column_names if name.startswith(VALUE)]


def quantities(board: pa.Table) -> list[str]:
    """Quantities that the table has a column of."""
    others = [n for n in board.column_names if n not in FIXED and not n.startswith(VALUE)]
    return [name for name in others if f"{name}_error" in others]


def values_of(board: pa.Table, key: str) -> list[Any]:
    """Each trial's value of a swept key, None where it wasn't set."""
    return board.column(f"{VALUE}{key}").to_pylist()


def in_short(value: Any) -> str:
    """A value as a person would write it: kinds of tables, and what they say besides."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return value
    match value:
        case None:
            return NOT_SET
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:.4g}".replace("e-0", "e-")
        case dict():
            kind = value.get("kind")
            said = [f"{k} {in_short(v)}" for k, v in value.items() if k != "kind"]
            head = [] if kind is None else [in_short(kind)]
            return " ".join([*head, f"({', '.join(said)})"] if said and head else head + said)
        case list() if any(isinstance(one, dict) for one in value):
            return " + ".join(in_short(one) for one in value)
        case list():
            return f"[{', '.join(in_short(one) for one in value)}]"
    return str(value)


def cut(text: str, width: int) -> str:
    """A text of at most so many characters; the end goes, and is marked as gone."""
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def labels(values: Sequence[Any], width: int) -> list[str]:
    """Short texts of different values, all different: those that aren't are numbered."""
    texts = [cut(in_short(value), width) for value in values]
    times = Counter(texts)
    seen: Counter[str] = Counter()
    for place, text in enumerate(texts):
        if times[text] > 1:
            seen[text] += 1
            texts[place] = f"{cut(text, width - 3)} #{seen[text]}"
    return texts

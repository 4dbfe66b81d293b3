"""BEAD's event CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Told:
    """What a file's name says of its events."""

    role: Literal["background", "search"]
    truth: int
    generator: str | None


PREFIXES: tuple[tuple[str, Literal["background", "search"], int], ...] = (
    ("bkg_train", "background", 0),
    ("bkg_test", "search", 0),
    ("sig_test", "search", 1),
)


def told_by_name(path: str) -> Told | None:
    """What a name as BEAD gives them says; None where it says nothing.

    ``bkg_train_<generator>`` trains; ``bkg_test_<generator>`` and ``sig_test_<description>`` are
    searched. What follows the prefix is the generator's label.
    """
    name = path.rpartition("/")[2].partition(".")[0]
    for prefix, role, truth in PREFIXES:
        if name.startswith(prefix):
            return Told(role, truth, name.removeprefix(prefix).strip("_") or None)
    return None

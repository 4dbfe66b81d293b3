"""Every event read is written, or dropped by a named cut and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Cutflow:
    """Events read, dropped by each cut in the order of the cuts, and written."""

    read: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    written: int = 0

    @property
    def adds_up(self) -> bool:
        return self.read == self.written + sum(self.dropped.values())

    def __add__(self, other: Cutflow) -> Cutflow:
        names = dict.fromkeys([*self.dropped, *other.dropped])
        return Cutflow(
            read=self.read + other.read,
            dropped={n: self.dropped.get(n, 0) + other.dropped.get(n, 0) for n in names},
            written=self.written + other.written,
        )

    @classmethod
    def total(cls, parts: Iterable[Cutflow]) -> Cutflow:
        return sum(parts, cls())

    def as_dict(self) -> dict[str, object]:
        return {"read": self.read, "dropped": dict(self.dropped), "written": self.written}

    @classmethod
    def from_dict(cls, raw: Mapping[str, object]) -> Cutflow:
        return cls(**raw)  # type: ignore[arg-type]

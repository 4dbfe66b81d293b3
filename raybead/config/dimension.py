"""Of ``[sweep.over]``: the values that a key of the job may take, and when it takes one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)

from raybead.config.section import Section


def canonical(value: Any) -> str:
    """A text that equal values share: 1 and 1.0 do, a list and a tuple; 1 and true don't."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case _:
            return value


def _ends(raw: Any) -> Any:
    """Whole numbers stay whole; one that isn't makes both floating-point numbers."""
    numbers = isinstance(raw, list | tuple) and len(raw) == 2
    if not numbers or not all(isinstance(x, int | float) and type(x) is not bool for x in raw):
        raise ValueError("give two numbers, from and to")
    if not all(map(math.isfinite, raw)):
        raise ValueError("the ends have to be finite")
    if not raw[0] < raw[1]:
        raise ValueError(f"from {raw[0]} to {raw[1]} doesn't run upwards")
    whole = all(isinstance(x, int) for x in raw)
    return tuple(raw) if whole else tuple(map(float, raw))


Range = Annotated[
    tuple[StrictInt, StrictInt] | tuple[StrictFloat, StrictFloat],
    Field(union_mode="left_to_right"),
    BeforeValidator(_ends),
]
Listed = Annotated[tuple[Any, ...], Field(min_length=1)]


class Dimension(Section):
    """One of ``[sweep.over]``: the values that a dotted key of the job may take."""

    choice: Listed | None = None
    """Values, of which each trial takes one."""
    grid: Listed | None = None
    """Values that are gone through in turn, so that all get the same number of trials."""
    uniform: Range | None = None
    """From, to; of two whole numbers whole ones are drawn, both ends among them."""
    log_uniform: Range | None = None
    """The same, uniform in the logarithm."""
    when: dict[str, Any] = Field(default_factory=dict)
    """Other keys, each with a value or a list of values: the key is set where all of them have
    one of theirs, and left as the job says elsewhere. What the job says of a key, a preset's
    values and defaults included, counts where the key isn't swept."""

    @field_validator("choice", "grid")
    @classmethod
    def _differ(cls, listed: Listed | None) -> Listed | None:
        seen: set[str] = set()
        for value in listed or ():
            if canonical(value) in seen:
                raise ValueError(f"{value!r} stands there twice")
            seen.add(canonical(value))
        return listed

    @field_validator("log_uniform")
    @classmethod
    def _have_logarithms(cls, ends: Range | None) -> Range | None:
        if ends is not None and ends[0] <= 0:
            raise ValueError(f"{ends[0]} has no logarithm; begin above 0")
        return ends

    @field_validator("when")
    @classmethod
    def _can_hold(cls, when: dict[str, Any]) -> dict[str, Any]:
        for key, accepted in when.items():
            if isinstance(accepted, list | tuple) and not accepted:
                raise ValueError(f"{key} has none of no values")
        return when

    @model_validator(mode="after")
    def _one_of_four(self) -> Dimension:
        kinds = ("choice", "grid", "uniform", "log_uniform")
        said = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(said) != 1:
            told = "says no values" if not said else f"says {' and '.join(said)}"
            raise ValueError(f"{told}; give one of {', '.join(kinds)}")
        return self

    @property
    def listed(self) -> tuple[Any, ...] | None:
        """The values, of a choice or a grid."""
        return self.choice if self.choice is not None else self.grid

    @property
    def ends(self) -> tuple[int, int] | tuple[float, float] | None:
        """The first and the last value, of a range."""
        return self.uniform if self.uniform is not None else self.log_uniform

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return self.ends is not None and all(isinstance(end, int) for end in self.ends)

    def holds(self, value: Any) -> bool:
        """Whether the key may take a value."""
        if self.listed is not None:
            return canonical(value) in map(canonical, self.listed)
        if self.ends is None or not isinstance(value, int | float) or isinstance(value, bool):
            return False
        fits = not self.whole or float(value).is_integer()
        return fits and self.ends[0] <= value <= self.ends[1]

    def accepted(self, key: str) -> tuple[Any, ...]:
        """The values of another key that this one is set with."""
        said = self.when[key]
        return tuple(said) if isinstance(said, list | tuple) else (said,)


def decides(condition: str, over: Mapping[str, Dimension]) -> Iterator[str]:
    """Swept keys that the value at ``condition`` follows from: itself, what lies in it or holds
    it, and the preset and kind of its section."""
    section, _, rest = condition.partition(".")
    above = {"": (), "preset": (), "kind": ("preset",)}.get(rest, ("preset", "kind"))
    fill_in = {f"{section}.{name}" for name in above}
    for key in over:
        nested = f"{key}.".startswith(f"{condition}.") or f"{condition}.".startswith(f"{key}.")
        if nested or key in fill_in:
            yield key


def in_order(over: Mapping[str, Dimension]) -> tuple[str, ...]:
    """Keys, each behind those that its ``when`` follows from; else as they were written.

    Raises:
        ValueError: some wait for one another.
    """
    placed: dict[str, None] = {}

    def place(key: str, waiting: tuple[str, ...]) -> None:
        if key in waiting:
            circle = " -> ".join([*waiting[waiting.index(key) :], key])
            raise ValueError(f"when: {circle} wait for one another")
        for condition in over[key].when:
            for other in decides(condition, over):
                if other not in placed:
                    place(other, (*waiting, key))
        placed[key] = None

    for key in over:
        if key not in placed:
            place(key, ())
    return tuple(placed)

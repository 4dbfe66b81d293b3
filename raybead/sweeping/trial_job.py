"""The job of a trial: that of the sweep with the trial's values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from raybead.config.dimension import canonical, decides
from raybead.config.fault import nearest_key
from raybead.config.jets import Jets
from raybead.config.job import Job, job_of
from raybead.config.sweep import Sweep
from raybead.errors import JobError, UnknownKeyError
from raybead.sweeping.space import Space, Values
from raybead.sweeping.written import changed, section_of, value_of

TRIES = 200
"""Combinations that are looked at for one that a job can be."""
_SHORT = frozenset({"model.preset", "model.variational", "loss.beta", "loss.reconstruction"})
"""Keys that a file may say and that no section keeps."""


def trial_job(raw: Mapping[str, Any], values: Mapping[str, Any]) -> Job:
    """The job of a trial, without its ``[sweep]``.

    Args:
        raw: the job file as read.
        values: by dotted key. A key that holds another one is set first.

    Raises:
        JobError: no job can have these values; in one line, why.
    """
    told = ", ".join(f"{key} = {value!r}" for key, value in values.items())
    return _job(raw, values, origin=f"trial of {told}" if told else "trial")


def variants(sweep: Sweep, raw: Mapping[str, Any]) -> list[Jets]:
    """What ``[jets]`` trials may have, each once; that of the first combination first.

    A section that can't be isn't among them: its trials are refused.
    """
    space = Space.of(sweep, raw)
    keys = tuple(key for key in space.over if key.split(".")[0] == "jets")
    found: dict[Jets, None] = {}
    for values in space.within(keys).combinations():
        chosen = {key: value for key, value in values.items() if key in keys}
        try:
            found[section_of(changed(raw, chosen, origin="sweep.over"), "jets")] = None
        except (JobError, ValidationError):
            continue
    return list(found)


def refuse_unknown_keys(sweep: Sweep, raw: Mapping[str, Any]) -> None:
    """Refuse a sweep of keys that no job has, and of values that no trial can have.

    Every value of a choice or a grid, and both ends of a range, have to go with some combination
    of the others'.

    Raises:
        JobError: which doesn't, and why.
    """
    space = Space.of(sweep, raw)
    for key, dimension in space.over.items():
        for condition in dimension.when:
            _refuse_unknown_condition(key, condition, space)
    size = space.size
    every = space.grid() if size is not None and size <= TRIES else None
    for key, dimension in space.over.items():
        for value in dimension.listed or dimension.ends or ():
            _refuse_impossible(space, key, value, every)


def _job(raw: Mapping[str, Any], values: Mapping[str, Any], origin: str) -> Job:
    return job_of(changed(raw, values, origin=origin), origin=origin)


def _refuse_unknown_condition(key: str, condition: str, space: Space) -> None:
    if any(decides(condition, space.over)) or value_of(space.raw, condition)[0]:
        return
    plain = ".".join(part for part in condition.split(".") if not part.isdigit())
    near = nearest_key(plain, Job)
    if near != plain and plain not in _SHORT:
        hint = f"; did you mean {near!r}?" if near else ""
        raise UnknownKeyError(f"sweep.over: {key}: when: unknown key {condition!r}{hint}")


def _refuse_impossible(space: Space, key: str, value: Any, every: list[Values] | None) -> None:
    first: JobError | None = None
    for values in _with(space, key, value, every):
        try:
            _job(space.raw, values, f"sweep.over: no trial can have {key} = {value!r}")
        except UnknownKeyError:
            raise  # whatever the others' values
        except JobError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first
    raise JobError(f"sweep.over: {key} is set in no trial: its `when` never holds")


def _with(space: Space, key: str, value: Any, every: list[Values] | None) -> Iterator[Values]:
    """Combinations in which a key has a value."""
    if every is not None:
        same = canonical(value)
        yield from (one for one in every if key in one and canonical(one[key]) == same)
        return
    for number in range(TRIES):
        # Half of them are drawn such that the key is set, however rare that is.
        granted = _granting(space, key, number // 2) if number % 2 == 0 else {}
        values = space.draw(number, 0, {**granted, key: value})
        if key in values:
            yield values


def _granting(space: Space, key: str, number: int) -> Values:
    """Values of other keys with which a key's ``when`` holds."""
    granted: Values = {}
    for condition in space.over[key].when:
        named = space.over.get(condition)
        accepted = space.over[key].accepted(condition)
        fitting = [value for value in accepted if named is not None and named.holds(value)]
        if fitting:
            granted[condition] = fitting[number % len(fitting)]
            granted |= _granting(space, condition, number)
    return granted

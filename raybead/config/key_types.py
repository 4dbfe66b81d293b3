"""What a key may be, in plain words, from its annotation."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, Strict

from raybead.config.section import Section

_NOT_EMPTY = ", not empty"
_PLAIN: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Any: "any value",
}


def type_in_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What values a key takes; that it may be left out is said by its default.

    Args:
        annotation: of the field, as pydantic has it.
        metadata: bounds and the like that belong to the whole of it.
    """
    bounds = [one for one in metadata if not isinstance(one, Strict)]
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return type_in_words(inner, [*_unpacked(more), *bounds])
    if get_origin(annotation) in (Union, types.UnionType):
        return _one_of(annotation, bounds)
    if get_origin(annotation) is Literal:
        return " or ".join(_listed([f"`{json.dumps(value)}`" for value in get_args(annotation)]))
    if get_origin(annotation) is tuple:
        return _list(get_args(annotation), bounds)
    if get_origin(annotation) is dict:
        key, value = get_args(annotation)
        by = "" if _bare(key) is str else f" by {type_in_words(key)}"
        return f"table of {_many(type_in_words(value))}{by}{_at_least(bounds)}"
    if annotation is ByteSize:
        return 'size, such as `"4GB"`'
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return _PLAIN[annotation] + _within(annotation, bounds)


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The sections that a key's value, or parts of it, may be."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


def _one_of(annotation: Any, bounds: list[Any]) -> str:
    members = [one for one in get_args(annotation) if one is not type(None)]
    words = [one for one in members if get_origin(one) is Literal]
    if len(words) > 1:
        at = members.index(words[0])
        every = Literal[tuple(value for one in words for value in get_args(one))]  # type: ignore[valid-type]
        members = [one for one in members if one not in words]
        members.insert(at, every)
    first, *others = dict.fromkeys(type_in_words(one, bounds) for one in members)
    # Many words once are enough: a kind, a list of these, a table of these.
    if '"' in first:
        others = [one.replace(first, "these") for one in others]
    return ", or ".join([first, *others])


def _list(members: tuple[Any, ...], bounds: list[Any]) -> str:
    if members[-1] is Ellipsis:
        of = type_in_words(members[0])
        if of == "table":
            return "table, or array of tables"
        return f"list of {_many(of)}{_at_least(bounds)}"
    said = {type_in_words(one) for one in members}
    return f"list of {len(members)} {_many(said.pop())}"


def _many(said: str) -> str:
    said = said.removesuffix(_NOT_EMPTY)
    for one, several in (
        ("whole number", "whole numbers"),
        ("number", "numbers"),
        ("text", "texts"),
        ("any value", "values"),
        ("table", "tables"),
        ("list of ", "lists of "),
    ):
        if said.startswith(one):
            return several + said.removeprefix(one)
    return said


def _within(annotation: Any, bounds: Iterable[Any]) -> str:
    said = []
    for one in bounds:
        gt, ge, lt, le = (getattr(one, name, None) for name in ("gt", "ge", "lt", "le"))
        pattern = getattr(one, "pattern", None)
        if gt is not None:
            said.append(f"{gt + 1:g} or more" if annotation is int else f"above {gt:g}")
        if ge is not None:
            said.append(f"{ge:g} or more")
        if lt is not None:
            said.append(f"below {lt:g}")
        if le is not None:
            said.append(f"at most {le:g}")
        if pattern is not None:
            said.append(f"matching `{pattern}`")
    return f" ({', '.join(said)})" if said else ""


def _at_least(bounds: Iterable[Any]) -> str:
    least = max((getattr(one, "min_length", None) or 0 for one in bounds), default=0)
    return f", at least {least}" if least > 1 else _NOT_EMPTY * least


def _unpacked(metadata: Iterable[Any]) -> Iterator[Any]:
    for one in metadata:
        yield from getattr(one, "metadata", None) or [one]  # of a Field, what it says


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _listed(words: list[str]) -> list[str]:
    """Joined by commas but for the last, so that " or " can go before it."""
    return [", ".join(words[:-1]), words[-1]] if len(words) > 1 else words

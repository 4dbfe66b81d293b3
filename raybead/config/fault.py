"""Why a file isn't a job: one line for a person, from what pydantic says."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

KINDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
                    "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a table"),
    "string_type": "text",
    "literal_error": "{expected}",
}  # fmt: skip
"""What a value has to be, by the fault that pydantic finds in one of another kind."""


def first_fault(
    error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]
) -> tuple[str, bool]:
    """What to mend first.

    Args:
        error: why a file isn't a ``model``.
        raw: the file.

    Returns:
        One line, and whether it is about a key that no file has.
    """
    # A typo often causes a second complaint (its right name is missing): say the typo first.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    written = list(_written_path(fault["loc"], raw))
    key = ".".join(written)
    if fault["type"] == "extra_forbidden":
        # A dotted part is a key of a table of keys, whose tables all hold the same; a number is a
        # place in an array, whose tables do, too.
        plain = ".".join(part for part in written if "." not in part and not part.isdigit())
        near = nearest_key(plain, model)
        if near == plain:
            return f"key {key!r} doesn't go with this kind of {key.rpartition('.')[0]}", False
        if near and any("." in part for part in written):
            near = ".".join([*written[:-1], near.rpartition(".")[2]])
        return f"unknown key {key!r}" + (f"; did you mean {near!r}?" if near else ""), True
    if fault["type"] in KINDS:
        return _of_another_kind(faults, key, raw), False
    return _said(fault, key), False


def _of_another_kind(faults: Sequence[ErrorDetails], key: str, raw: Any) -> str:
    """What the first fault's value may be, of whose kinds pydantic has a fault each."""
    named = [(".".join(_written_path(fault["loc"], raw)), fault) for fault in faults]
    for inside, fault in named:
        if inside.startswith(f"{key}."):  # it fits one of the kinds, but for this part
            return _said(fault, inside)
    kinds = [fault for name, fault in named if name == key and fault["type"] in KINDS]
    told = ", or ".join(dict.fromkeys(_kind(fault) for fault in kinds))
    return f"{key}: has to be {told}{_got(faults[0]['input'])}"


def _kind(fault: ErrorDetails) -> str:
    kind, given = KINDS[fault["type"]], fault["input"]
    if kind == "a list" and isinstance(given, (int, float, str)):
        return f"a list, as [{given!r}]"
    return kind.format_map(fault.get("ctx", {}))


def _got(given: Any) -> str:
    return "" if isinstance(given, dict) else f" (got {given!r})"


def _said(fault: ErrorDetails, key: str) -> str:
    place = fault["loc"][-1] if fault["loc"] else None
    if fault["type"] == "missing" and isinstance(place, int):
        return f"{key}: has to have {place + 1} or more{_got(fault['input'])}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    context = fault.get("ctx", {})
    if fault["type"] in KINDS:
        return f"{key}: has to be {_kind(fault)}{_got(fault['input'])}"
    if fault["type"] == "too_short":
        return f"{key}: has to have {context['min_length']} or more{_got(fault['input'])}"
    if fault["type"] == "too_long":
        return f"{key}: has to have at most {context['max_length']}{_got(fault['input'])}"
    message = fault["msg"].removeprefix("Value error, ")
    message = re.sub("^(Input|String) should ", "has to ", message)
    if fault["type"] == "union_tag_invalid":
        known = str(context["expected_tags"]).replace("'", "").split(", ")
        tag = str(context["tag"])
        near = difflib.get_close_matches(tag, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        discriminator = str(context["discriminator"]).strip("'")
        return f"{key}.{discriminator} = {tag!r} is none of {', '.join(known)}{hint}"
    return f"{key}: {message}{_got(fault['input'])}" if key else message


def _written_path(loc: Sequence[str | int], raw: Any) -> Iterator[str]:
    # pydantic puts a union's tag into the location; the file has no such level. A dotted key may
    # be written as tables in tables.
    for depth, part in enumerate(loc):
        inside = isinstance(raw, dict) and part in raw
        inside = inside or (isinstance(raw, list) and isinstance(part, int) and part < len(raw))
        if inside:
            raw = raw[part]  # type: ignore[index]
            yield str(part)
        elif (depth == len(loc) - 1 and isinstance(raw, dict)) or re.fullmatch(
            r"\w+(\.\w+)+", str(part)
        ):
            yield str(part)


def nearest_key(key: str, model: type[BaseModel]) -> str | None:
    """A key of ``model`` that may have been meant; the key itself where there is one."""
    # Which of an array's tables it is in doesn't matter for what it may be called.
    key = ".".join(part for part in key.split(".") if not part.isdigit())
    section, _, leaf = key.rpartition(".")
    known = set(_known_keys(model))
    siblings = {name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section}
    near = difflib.get_close_matches(leaf, siblings, n=1, cutoff=0.7)
    if near:
        return f"{section}.{near[0]}" if section else near[0]
    moved = sorted(name for name in known if name.rpartition(".")[2] == leaf)
    elsewhere = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return (moved or elsewhere or [None])[0]


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _models_in(field.annotation):
            yield from _known_keys(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)

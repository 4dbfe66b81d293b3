"""What every key of a job file means, read off the sections themselves: nothing is said twice."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from raybead.config.job import Job
from raybead.config.key_docs import key_docs, refusals, text_of
from raybead.config.key_types import sections_in, type_in_words
from raybead.config.model_presets import MODEL_PRESETS
from raybead.config.section import Section
from raybead.errors import JobError

TOP = "top"
"""Name of the table of keys that stand in no section."""


@dataclass(frozen=True)
class Key:
    """One key of a job file."""

    name: str
    type: str
    """What values it takes, in words."""
    default: str | None
    """As TOML, or in words; None of a key that has to be said."""
    says: str


@dataclass(frozen=True)
class Table:
    """One table of a job file, or of those that a section may be one kind of."""

    names: tuple[str, ...]
    """What it is asked for by; the first is the one to show."""
    header: str
    """How it begins in a job file."""
    says: str
    keys: tuple[Key, ...]
    refused: tuple[str, ...]
    """What its checks refuse, beyond the type of each key; what differs is an ellipsis."""


@cache
def tables() -> tuple[Table, ...]:
    """All of a job file, in the order of its sections."""
    places: dict[tuple[type[Section], str], list[tuple[str, str]]] = {}
    for place, by, section in _places(Job, ""):
        places.setdefault((section, by), []).append((place, by))
    top = Table((TOP,), "", text_of(Job.__doc__), tuple(_keys(Job, "")), refusals(Job))
    found = [_table(section, where) for (section, _), where in places.items()]
    last = max(place for place, table in enumerate(found) if table.names[0].startswith("loss."))
    return (top, *found[: last + 1], _VAE, *found[last + 1 :])


def find(name: str) -> tuple[tuple[Table, ...], str | None]:
    """The tables that a name means, and the key of the last where it means a single one.

    Raises:
        JobError: there is none of that name; the nearest is told.
    """
    whole = tuple(
        table for table in tables() if any(f"{own}.".startswith(f"{name}.") for own in table.names)
    )
    if whole:
        return whole, None
    place, _, key = name.rpartition(".")
    holding = tuple(
        table
        for table in tables()
        if (place or TOP) in _homes(table) and key in [one.name for one in table.keys]
    )
    if holding:
        return holding, key
    known = [own for table in tables() for own in table.names]
    known += [f"{home}.{one.name}" for table in tables() for home in _homes(table)
              for one in table.keys]  # fmt: skip
    near = difflib.get_close_matches(name, known, n=1)
    raise JobError(
        f"no section or key {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    )


def _homes(table: Table) -> set[str]:
    """Names of a table, and of the section that it is one kind of."""
    # A table of a kind is named by it, SECTION.KIND; a job file says SECTION.KEY all the same.
    above = {own.rpartition(".")[0] for own in table.names} if " = " in table.header else set()
    return {*table.names, *above} - {""}


def _places(section: type[Section], above: str) -> Iterator[tuple[str, str, type[Section]]]:
    for name, field in section.model_fields.items():
        place = f"{above}{name}"
        by = discriminator(field)
        for inner in dict.fromkeys(sections_in(field.annotation)):
            yield place, by, inner
            yield from _places(inner, f"{place}.")


def discriminator(field: FieldInfo) -> str:
    """The key that says which of several sections a field is; "" of one."""
    found = [getattr(one, "discriminator", None) for one in _all_metadata(field)]
    return next((one for one in found if isinstance(one, str)), "")


def _all_metadata(field: FieldInfo) -> Iterator[Any]:
    yield field
    yield from field.metadata

    def inside(annotation: Any) -> Iterator[Any]:
        if get_origin(annotation) is Annotated:
            yield from get_args(annotation)[1:]
        for argument in get_args(annotation):
            yield from inside(argument)

    yield from inside(field.annotation)


def _table(section: type[Section], places: list[tuple[str, str]]) -> Table:
    by = places[0][1]
    paths = list(dict.fromkeys(place for place, _ in places))
    if by:
        (kind,) = get_args(section.model_fields[by].annotation)
        common = paths[0] if len(paths) == 1 else paths[0].rpartition(".")[0]
        names = tuple(dict.fromkeys(f"{place}.{kind}" for place in (common, *paths)))
        header = ", ".join(f"[{path}]" for path in paths) + f' {by} = "{kind}"'
    else:
        names, header = tuple(paths), ", ".join(f"[{path}]" for path in paths)
    keys = tuple(_keys(section, by))
    says = re.sub(r"^`\[[\w.]+\]`: (\w)", lambda match: match[1].upper(), text_of(section.__doc__))
    return Table(names, header, says, keys, refusals(section))


def _keys(section: type[Section], by: str) -> Iterator[Key]:
    docs = key_docs(section)
    for name, field in section.model_fields.items():
        if name == by or (section is Job and list(sections_in(field.annotation))):
            continue
        of = type_in_words(field.annotation, field.metadata)
        yield Key(name, of, _default(field), docs.get(name, ""))
    yield from _SHORT.get(section.__name__, ())


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return "not given" if value is None else as_toml(value)


def as_toml(value: Any) -> str:
    """A value as a job file has it, in one line."""
    match value:
        case Section():
            return (
                as_toml(value.model_dump(exclude_unset=True)) if value.model_fields_set else "{}"
            )
        case dict():
            inside = ", ".join(f"{key} = {as_toml(one)}" for key, one in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case float():
            return f"{value:g}" if value.is_integer() is False else f"{value:.1f}"
        case _:
            return json.dumps(value)


_PRESET = Key(
    "preset",
    type_in_words(Literal[tuple(MODEL_PRESETS)]),  # type: ignore[valid-type]
    "not given",
    "A model by name: fills in whatever the section doesn't say, kind included. See"
    " docs/models.md.",
)
_VARIATIONAL = Key("variational", "`true`", "not given", 'Short for `posterior = "gaussian"`.')
_VAE = Table(
    ("loss.vae",),
    '[loss] kind = "vae"',
    "Short for two terms: a reconstruction, and `beta` times `kl`. Other keys are the"
    " reconstruction's.",
    (
        Key("reconstruction", "a kind that compares", '"mse"', "Kind of the reconstruction term."),
        Key("beta", "number (above 0)", "1.0", "Weight of `kl` against the reconstruction."),
        Key("weight", "number (above 0)", "1.0", "What both count in the sum."),
    ),
    (),
)
_SHORT: dict[str, tuple[Key, ...]] = {
    "NodeBottleneckModel": (_PRESET, _VARIATIONAL),
    "JetBottleneckModel": (_PRESET, _VARIATIONAL),
    "MetaLayerModel": (_PRESET,),
}
"""Keys that are short for others, which no field of a section stands for."""

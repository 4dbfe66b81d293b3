"""What a job file may say, in the terminal: the same words as docs/job-file.md."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from raybead.config.reference import TOP, Key, Table, find, tables
from raybead.console import Console

_WIDEST = 99


def keys(
    section: Annotated[
        str | None,
        Parameter(
            help="A section, one kind of it, or a key: train, loss.sinkhorn, hunt.cuts. Without"
            " one, all sections are listed."
        ),
    ] = None,
    /,
) -> None:
    """Say what a job file may say: every key with its type, default and meaning."""
    console = Console()
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    if section is None:
        for line in listed(width):
            console.say(line)
        return
    found, key = find(section.strip("[] "))
    for number, table in enumerate(found):
        if number:
            console.say("")
        for line in told(table, width, key):
            console.say(line)


def listed(width: int) -> Iterator[str]:
    """A line a table: what it is asked for by, and what it is."""
    widest = max(len(table.names[0]) for table in tables())
    for table in tables():
        first = table.says.partition(". ")[0].rstrip(".")
        yield _one_line(f"{table.names[0]:{widest}}  {first}", width)
    yield ""
    yield "raybead keys SECTION tells the keys of one, or of one kind of it: raybead keys loss.mse"


def told(table: Table, width: int, only: str | None = None) -> Iterator[str]:
    """A table, whole, or a single key of it."""
    yield table.header or f"({TOP} of the file)"
    if only is None:
        yield from _filled(table.says, width, "  ")
    for key in table.keys:
        if only in (None, key.name):
            yield ""
            yield from _told_key(key, width)
    if table.refused and only is None:
        yield ""
        yield "  Refused, besides values of another type:"
        for words in table.refused:
            yield from textwrap.wrap(words, width, initial_indent="  - ", subsequent_indent="    ")


def _told_key(key: Key, width: int) -> Iterator[str]:
    match key.default:
        case None:
            yield f"  {key.name}  (has to be said)"
        case "not given":
            yield f"  {key.name}  (not given)"
        case default:
            yield f"  {key.name} = {default}"
    yield from _filled(key.type, width, "      ")
    yield from _filled(key.says, width, "      ")


def _filled(text: str, width: int, indent: str) -> Iterator[str]:
    plain = text.replace("`", "")
    yield from textwrap.wrap(plain, width, initial_indent=indent, subsequent_indent=indent)


def _one_line(text: str, width: int) -> str:
    plain = text.replace("`", "")
    return plain if len(plain) <= width else plain[: width - 1].rstrip() + "…"

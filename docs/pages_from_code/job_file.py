"""docs/job-file.md: every key of a job file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raybead.config.reference import TOP, Key, Table, tables

_INTRO = """\
# Every key of a job file

`raybead keys` prints the same in a terminal: `raybead keys train`, `raybead keys loss.sinkhorn`,
`raybead keys hunt.cuts`. This page is written from the code by `make keys`; a test holds it to
it.

A job file is TOML. `name`, `[data.background]` and `[data.search]` are all it has to say. Keys
that no section has are refused, with the nearest that there is; so is what a section, or several
together, can't mean. On the command line `--set section.key=value` says a key in place of the
file: `--set train.epochs=20`, `--set 'hunt.cuts=[0.9, 0.99]'`, `--set loss.1.weight=0.1` of an
array's second table. Values are TOML; a bare word is a text. Energies, momenta and masses are in
GeV, angles in radians.

"Not given" is what a key is where the file doesn't say it and there is no value that it stands
for. A section that may be of several kinds has a heading for each: `[model]` is one of three,
`[[loss]]` an array of any, and keys of other kinds are refused.
"""


def job_file() -> str:
    """The page as Markdown."""
    parts = [_INTRO, "\n".join(_contents())]
    group = ""
    for table in tables():
        above = _group(table)
        if above != group:
            parts.append(f"## {_TITLES.get(above) or f'`[{above}]`'}")
            group = above
        parts.append("\n".join(_told(table)))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_TITLES = {TOP: "Top of the file"}


def _group(table: Table) -> str:
    return table.names[0].split(".")[0]


def _contents() -> Iterator[str]:
    yield "| section | |"
    yield "|---|---|"
    for group in dict.fromkeys(map(_group, tables())):
        inside = [table for table in tables() if _group(table) == group]
        shown = [f"[`{table.names[0]}`](#{_anchor(table)})" for table in inside]
        title = "top of the file" if group == TOP else f"`[{group}]`"
        yield f"| {title} | {', '.join(shown)} |"


def _title(table: Table) -> str:
    name = table.names[0]
    return f"Keys of `{name}`" if name != TOP else "Keys above all sections"


def _anchor(table: Table) -> str:
    """As a git host, and the site, make it of the heading."""
    return re.sub(r"[^\w\- ]", "", _title(table).lower()).replace(" ", "-")


def _told(table: Table) -> Iterator[str]:
    yield f"### {_title(table)}"
    if table.header:
        places, picked = _header(table)
        yield ""
        yield f"{places}{picked}. {table.says}" if picked else f"{places}. {table.says}"
    else:
        yield ""
        yield table.says
    if table.keys:
        yield ""
        yield "| key | value | default | meaning |"
        yield "|---|---|---|---|"
        yield from (_row(table, key) for key in table.keys)
    if table.refused:
        yield ""
        yield "Refused, besides values of another type (… stands for what differs):"
        yield ""
        yield from (f"- {_plain(words)}" for words in table.refused)


def _header(table: Table) -> tuple[str, str]:
    where, _, picked = table.header.rpartition("] ")
    if not where:
        return f"`{table.header}`".replace(", ", "`, `"), ""
    return f"`{where}]`".replace(", ", "`, `"), f" with `{picked}`"


def _row(table: Table, key: Key) -> str:
    match key.default:
        case None:
            default = "**has to be said**"
        case "not given":
            default = "not given"
        case said:
            default = f"`{said}`"
    cells = (f"`{key.name}`", _type(table, key), default, key.says)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(table: Table, key: Key) -> str:
    """The type, with links to the tables that the key may hold."""
    if "table" not in key.type:
        return key.type
    places = [word.strip("[]") for word in table.header.partition("] ")[0].split(", ")]
    if not table.header:
        places = [""]
    held = [
        other
        for other in tables()
        if any(f"{place.strip('[]')}.{key.name}" in _places(other) for place in places)
    ]
    links = ", ".join(f"[`{other.names[0]}`](#{_anchor(other)})" for other in held)
    return f"{key.type}: {links}" if links else key.type


def _places(table: Table) -> list[str]:
    where = table.header.rpartition("] ")[0] or table.header
    return [word.strip("[]") for word in where.split(", ")]


def _plain(words: str) -> str:
    """A refusal as text: nothing in it is markup."""
    return re.sub(r"([\[\]<>*_])", r"\\\1", words)

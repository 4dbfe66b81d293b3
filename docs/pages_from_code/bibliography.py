"""docs/bibliography.md: the papers that the code cites, and where."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1]
CODE = DOCS.parent / "raybead"
_CITED = re.compile(
    r"arXiv:\s?((?:[a-z-]+/\d{7})|\d{4}\.\d{4,5})|doi:\s?(10\.\d{4,}/[\w.():/-]*\w)"
)
_JOURNAL = re.compile(r"\b((?:[A-Z][A-Za-z]*\.? )+)(\d+) \(((?:19|20)\d\d)\),? (\d+)")
"""A journal, volume, (year) and page, as far as the code says them so."""

_INTRO = """\
# Papers

What the code follows, and where it says so: a docstring or comment there tells what was taken.
This page is written by `make keys`, from the citations in the code and the titles in
`papers.toml`; a test asks for every one.

Data: LHC Olympics 2020, Zenodo records 2629073, 4536624 and 6466204, described in
arXiv:2101.08320.
"""


def cited() -> dict[str, list[Path]]:
    """By identifier, the files of the package that cite it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(file for file in CODE.rglob("*") if file.suffix in (".py", ".c", ".h")):
        for name in _names(path.read_text(encoding="utf-8")):
            places = found.setdefault(name, [])
            if path not in places:
                places.append(path)
    return found


def _names(text: str) -> Iterator[str]:
    for match in _CITED.finditer(text):
        yield f"arXiv:{match[1]}" if match[1] else f"doi:{match[2]}"
    for match in _JOURNAL.finditer(" ".join(text.split())):
        yield f"{match[1]}{match[2]} ({match[3]}) {match[4]}"


def titles() -> dict[str, str]:
    """By identifier, authors and title."""
    return tomllib.loads((DOCS / "papers.toml").read_text(encoding="utf-8"))


def bibliography() -> str:
    """The page as Markdown.

    Raises:
        KeyError: a paper is cited that ``papers.toml`` doesn't hold.
    """
    known = titles()
    lines = [_INTRO, "| paper | | cited in |", "|---|---|---|"]
    for name, places in sorted(cited().items(), key=lambda item: _order(item[0])):
        where = ", ".join(f"`{path.relative_to(CODE.parent)}`" for path in places)
        lines.append(f"| {_linked(name)} | {known[name]} | {where} |")
    return "\n".join(lines) + "\n"


def _linked(name: str) -> str:
    scheme, _, rest = name.partition(":")
    match scheme:
        case "arXiv":
            return f"[{name}](https://arxiv.org/abs/{rest})"
        case "doi":
            return f"[{name}](https://doi.org/{rest})"
        case _:
            return name


def _order(name: str) -> tuple[int, bool, str]:
    """arXiv's first, old identifiers before new ones; then others."""
    scheme = name.partition(":")[0]
    return {"arXiv": 0, "doi": 1}.get(scheme, 2), "/" not in name, name

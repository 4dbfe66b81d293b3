"""What people read in this repository: pages, their headings, and what they quote."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_GENERATED = ("job-file.md", "command-line.md", "bibliography.md")


def pages() -> list[Path]:
    """All pages, the notebook among them."""
    folders = (ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md"), (ROOT / "cluster").rglob("*.md"))
    return [*sorted(path for folder in folders for path in folder), NOTEBOOK]


def text_of(path: Path) -> str:
    """A page's Markdown; of the notebook, that of its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "markdown")


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of fenced blocks."""
    for match in _FENCE.finditer(text):
        yield match[2], match[3]


def prose(text: str) -> str:
    """All but fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> Iterator[str]:
    """Targets of links and images that lead to files."""
    without_code = re.sub(r"`[^`\n]*`", "`code`", prose(text))
    for match in re.finditer(r"\]\(([^)\s]+)\)", without_code):
        if not re.match(r"[a-z]+:", match[1]):
            yield match[1]


def anchors(text: str) -> set[str]:
    """What a git host, and the site, make of the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def commands() -> list[tuple[str, tuple[str, ...], bool]]:
    """Page, words after ``raybead``, and whether the command stands there whole."""
    found: dict[tuple[str, tuple[str, ...], bool], None] = {}
    for path in pages():
        if path.name in _GENERATED:
            continue
        text, name = text_of(path), str(path.relative_to(ROOT))
        for language, block in fences(text):
            if language in ("", "sh", "console", "bash"):
                for line in block.replace("\\\n", " ").splitlines():
                    if words := _ours(line):
                        found[name, words, True] = None
        for quoted in re.findall(r"`(raybead [^`]+)`", prose(text).replace("\n", " ")):
            if words := _ours(quoted):
                found[name, words, False] = None
    return list(found)


def _ours(line: str) -> tuple[str, ...]:
    """Words after ``raybead``, of a line that calls it."""
    line = re.sub(r"\[(--[^\]]*)\]", r"\1", line)  # what is optional
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ()  # no line of a shell
    called = [place for place, word in enumerate(words) if word == "raybead"]
    if not called or (called[0] > 0 and words[called[0] - 1] not in ("-m", "--", "&&")):
        return ()
    return tuple(word for word in words[called[0] + 1 :] if word not in ("...", "…"))


def job_snippets() -> list[tuple[str, str]]:
    """Page and TOML of every quoted part of a job file."""
    return [
        (f"{path.relative_to(ROOT)}:{number}", block)
        for path in pages()
        for number, (language, block) in enumerate(fences(text_of(path)))
        if language == "toml"
    ]

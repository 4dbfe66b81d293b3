"""Whatever the docs quote can be done: links lead somewhere, commands and job files parse."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from typing import Any

import pytest
from cyclopts.exceptions import CycloptsError, MissingArgumentError
from texts import ROOT, anchors, commands, job_snippets, links, pages, text_of

from raybead.cli import app
from raybead.config import job_of, load_raw, parse_raw
from raybead.errors import JobError

WHOLE = """
name = "quoted"
[data.background]
source = "lhco"
path = "background.h5"
[data.search]
source = "lhco"
path = "search.h5"
"""
BASES: tuple[dict[str, Any], ...] = (
    {},
    {"loss": {"kind": "vae"}},
    {"model": {"preset": "conv-vae"}},
    {
        "model": {"preset": "conv-vae"},
        "loss": [{"kind": "mse"}, {"kind": "kl"}, {"kind": "supcon"}],
    },
    {"sweep": {"over": {"train.epochs": {"choice": [1, 5]}}}},
)
"""What a fragment may stand in: a plain job, one with a posterior or several losses, a sweep."""


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    lost = []
    for link in links(text_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT):
            lost.append(link)
        if anchor and target.suffix == ".md" and anchor not in anchors(text_of(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize(
    ("page", "words", "whole"), commands(), ids=lambda value: " ".join(value)[:60]
    if isinstance(value, tuple) else None,
)  # fmt: skip
def test_commands_parse(page, words, whole):
    if not words or words[0].isupper():  # a word that stands for any verb
        return
    assert words[0] in {name for name in app if not name.startswith("-")}, page
    try:
        app.parse_args(list(words), exit_on_error=False, print_error=False)
    except MissingArgumentError:
        assert not whole, f"{page}: {words}"
    except CycloptsError as error:
        pytest.fail(f"{page}: {words}: {error}")


@pytest.mark.parametrize(
    ("page", "words"),
    [(page, words) for page, words, _ in commands() if "--set" in words and ".toml" in words[1]],
)
def test_what_commands_set_can_be_set(page, words):
    given = [word for before, word in pairwise(words) if before == "--set"]
    there = ROOT / words[1]
    raw = load_raw(there, given) if there.exists() else parse_raw(WHOLE, given)
    assert job_of(raw, origin=page)


@pytest.mark.parametrize(("page", "text"), job_snippets())
def test_job_files_parse(page, text):
    told = tomllib.loads(text)
    if "name" in told and "data" in told:
        assert job_of(told, origin=page).name == told["name"]
        return
    refused = []
    for base in BASES:
        try:
            job_of(_merged(parse_raw(WHOLE), base, told), origin=page)
        except JobError as error:
            refused.append(str(error))
        else:
            return
    pytest.fail("\n".join(refused))


def _merged(*jobs: dict[str, Any]) -> dict[str, Any]:
    """Later ones win, table by table; samples and losses are replaced as they are."""
    found: dict[str, Any] = {}
    for job in jobs:
        for key, value in job.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict) and key != "loss"
            found[key] = {**found[key], **value} if both else value
    return found


def test_what_is_looked_at_is_there():
    """The tests above can fail: there is something of everything."""
    told = commands()
    assert len(told) > 60
    assert len(job_snippets()) > 15
    assert any("--set" in words for _, words, _ in told)
    assert sum(1 for page in pages() for _ in links(text_of(page))) > 100
    assert {"a-b-c_d", "a-b-c_d-1"} == anchors("# A `b`, c_d!\n\n```\n# no\n```\n## A b c_d\n")


def test_links_of_a_text():
    text = "[a](b.md#c) `[d](e)` ![f](g.png) [h](https://i.j)\n```\n[k](l)\n```\n"
    assert list(links(text)) == ["b.md#c", "g.png"]

"""Pages written from the code say what it says; no key and no option is left without words."""

from __future__ import annotations

import re

import pytest
from pages_from_code import DOCS, PAGES
from pages_from_code.bibliography import cited, titles
from pydantic import BaseModel, Field

from raybead.cli import app, main
from raybead.config import Job, parse_job
from raybead.config.key_docs import key_docs, refusals, text_of
from raybead.config.key_types import sections_in, type_in_words
from raybead.config.reference import TOP, find, tables
from raybead.config.section import Section
from raybead.errors import JobError


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make keys`"


def all_sections(section: type[BaseModel] = Job) -> dict[type[BaseModel], None]:
    """A slow way round: every section that a job can hold."""
    found: dict[type[BaseModel], None] = {section: None}
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            found |= all_sections(inner)
    return found


@pytest.mark.parametrize("section", all_sections(), ids=lambda one: one.__name__)
def test_every_key_has_words(section):
    docs = key_docs(section)
    kinds = {"kind", "source"}  # said by the section itself
    assert [name for name in section.model_fields if not docs.get(name) and name not in kinds] == (
        [name for name in Job.model_fields if name not in ("name", "output", "seed")]
        if section is Job
        else []
    )
    assert text_of(section.__doc__)


def test_every_key_is_told():
    told = {(name, key.name) for table in tables() for name in table.names for key in table.keys}
    for section in all_sections():
        names = {name for name, field in section.model_fields.items()}
        if section is Job:
            names = {"name", "output", "seed"}
        names -= {"kind", "source"}
        holding = [table for table in tables() if names <= {key.name for key in table.keys}]
        assert holding, section
    some = {
        ("train", "epochs"),
        ("loss.sinkhorn", "epsilon"),
        ("model.flow.spline", "bins"),
        ("data.search.lhco", "labels"),
        ("sweep.over", "when"),
        (TOP, "seed"),
    }
    assert some <= told


def test_defaults_are_the_jobs():
    """What the reference says of plain sections is what a job has that says nothing."""
    job = parse_job(
        'name="a"\n[data.background]\nsource="lhco"\npath="b"\n[data.search]\nsource="lhco"\npath="c"'
    )
    for table in tables():
        if not re.fullmatch(r"\[(train|jets|hunt|score|emd|calibrate|reach)\]", table.header):
            continue
        section = getattr(job, table.names[0])
        for key in table.keys:
            value = getattr(section, key.name)
            if value is None:
                assert key.default == "not given"
            elif not isinstance(value, Section) and value != ():
                assert key.default is not None
                said = parse_job(
                    'name="a"\n[data.background]\nsource="lhco"\npath="b"\n'
                    '[data.search]\nsource="lhco"\npath="c"',
                    [f"{table.names[0]}.{key.name}={key.default}"],
                )
                assert getattr(getattr(said, table.names[0]), key.name) == value


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("train.epochs", "whole number (1 or more)"),
        ("train.workers", 'whole number (1 or more), or `"auto"`'),
        ("train.clip_norm", "number (above 0)"),
        ("train.momentum", "number (0 or more, below 1)"),
        ("jets.recluster", "true or false"),
        ("hunt.cuts", "list of numbers (above 0, below 1), not empty"),
        ("hunt.widths", "list of 2 whole numbers (1 or more)"),
        ("data.lhco.path", "text, or list of texts, not empty"),
        ("prepare.damaged", '`"report"` or `"stop"`'),
        ("loss.wasserstein.weight", "number (above 0)"),
        ("loss.ntxent.views", 'list of `"noise"`, `"rotation"`, `"shift"` or `"splitting"`,'
         " not empty"),
        ("score.of", "text, or table of numbers"),
        ("resources.train.memory", 'size, such as `"4GB"`'),
        ("train.anneal.triggered.values", "list of numbers (0 or more), at least 2"),
        ("sweep.over.uniform", "list of 2 whole numbers, or list of 2 numbers"),
        ("name", "text (matching `^[A-Za-z0-9][A-Za-z0-9._-]*$`)"),
    ],
)  # fmt: skip
def test_types_in_words(key, words):
    found, name = find(key)
    assert {one.type for table in found for one in table.keys if one.name == name} == {words}


def test_words_of_other_types():
    class Inner(Section):
        """A part."""

    assert type_in_words(dict[str, float]) == "table of numbers"
    assert type_in_words(Inner | None) == "table"
    assert type_in_words(tuple[tuple[str, ...], ...]) == "list of lists of texts"
    assert list(sections_in(tuple[Inner, ...] | None)) == [Inner]


class Widened(Section):
    """A section of tests."""

    first: int = 1
    """Of the ``first``; see :class:`raybead.config.Job`."""
    second: int = Field(2, description="Said in the field.")
    third: int = 3


def test_words_are_those_beside_the_key():
    assert key_docs(Widened) == {
        "first": "Of the `first`; see `Job`.",
        "second": "Said in the field.",
    }


def test_refusals_are_what_is_raised():
    top = refusals(Job)
    assert "graph.efps: this model takes no polynomials; say [model.fusion]" in top
    assert "loss … needs a flow; say [model.flow]" in top
    with pytest.raises(JobError, match="needs a flow; say"):
        parse_job(
            'name="a"\nloss=[{kind="mse"},{kind="flow-kl"}]\nmodel={posterior="gaussian"}\n'
            '[data.background]\nsource="lhco"\npath="b"\n[data.search]\nsource="lhco"\npath="c"'
        )


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("loss.sinkhorn", ["loss.sinkhorn"]),
        ("hunt", ["hunt", "hunt.signal"]),
        ("data.search.root", ["data.root"]),
        ("jets.soft_drop", ["jets.soft_drop"]),
        ("model.kernel", ["model.jet-bottleneck"]),
        ("seed", [TOP]),
    ],
)
def test_what_is_asked_for_is_found(asked, held):
    assert [table.names[0] for table in find(asked)[0]] == held


def test_the_nearest_is_told():
    with pytest.raises(JobError, match=r"no section or key 'train\.epoch'; did you mean 'train"):
        find("train.epoch")


def test_keys_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main_of("keys", "loss.sinkhorn")
    told = capsys.readouterr().out
    assert '[loss] kind = "sinkhorn"' in told
    assert "epsilon = 0.01" in told
    assert "Entropic regularisation" in told
    main_of("keys", "[train]")
    assert "batch_items = 512" in capsys.readouterr().out
    main_of("keys", "hunt.cuts")
    told = capsys.readouterr().out
    assert "cuts = [0.9, 0.95, 0.99]" in told
    assert "toys" not in told
    main_of("keys")
    listed = capsys.readouterr().out
    assert all(table.names[0] in listed for table in tables())
    assert max(map(len, listed.splitlines())) <= 99


def main_of(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code in (0, None)


def test_every_option_has_words():
    page = PAGES["command-line.md"]()
    verbs = {name for name in app if not name.startswith("-") and app[name].show}
    assert verbs == set(re.findall(r"^## raybead (\S+)$", page, re.MULTILINE))
    for line in re.findall(r"^\* `.*$", page, re.MULTILINE):
        words = re.sub(r"\*\[[^]]*\]\*|\*\*required\*\*", "", line.partition("`:")[2])
        assert words.strip(), line


def test_every_paper_has_a_title_and_is_cited():
    assert set(cited()) == set(titles())
    assert len(cited()) > 60

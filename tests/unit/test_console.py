"""The console for machines: every line parses, and every stage is between its two ends."""

import json
import re
from datetime import datetime, timedelta

import pytest

from raybead.cli import main
from raybead.console import Console
from raybead.errors import InputError
from raybead.logline import asked_form, log_line


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_stage_is_told_from_start_to_end(capsys):
    console = Console(form="json")
    console.say("before [bold]all[/bold]\nelse")
    console.about("demo")
    with console.stage("prepare background", "events/background") as tick:
        tick(0, 2, "files")
        tick(1, 2, "files")  # too soon after the last to be worth a line
        console.say("in between")
        tick(2, 2, "files")
    console.table("Run", ["stage", "n"], [["a", "1"]])
    before, started, note, progress, finished, table = lines(capsys.readouterr().out)
    assert (before["message"], "run" in before) == ("before [bold]all[/bold]\nelse", False)
    told = [started, note, progress, finished]
    assert [one["event"] for one in told] == ["started", "note", "progress", "finished"]
    assert all((one["run"], one["stage"]) == ("demo", "events/background") for one in told)
    for one in (progress, finished):
        assert (one["done"], one["total"], one["remark"]) == (2, 2, "files")
        assert one["seconds"] >= 0
    assert "stage" not in table
    assert (table["columns"], table["rows"]) == (["stage", "n"], [["a", "1"]])
    for one in (before, *told, table):
        assert one["level"] == "info"
        assert datetime.fromisoformat(one["time"]).utcoffset() == timedelta(0)


def test_a_stage_that_fails_ends_in_a_fault(capsys):
    console = Console(form="json")

    def fail():
        with console.stage("outer"), console.stage("train"):
            raise InputError("row 7: negative pT")

    with pytest.raises(InputError):
        fail()
    *started, inner, outer = lines(capsys.readouterr().out)
    assert [(one["event"], one["stage"]) for one in started] == [
        ("started", "outer"), ("started", "train"),
    ]  # fmt: skip
    assert (inner["event"], inner["stage"], inner["level"]) == ("fault", "train", "error")
    assert (inner["message"], inner["error"]) == ("row 7: negative pT", "InputError")
    assert (outer["event"], outer["stage"]) == ("fault", "outer")


def test_without_a_terminal_lines_are_plain(capsys):
    console = Console()
    with console.stage("train", "model") as tick:
        tick(3, 3, "epochs")
    assert re.fullmatch(r"train \.\.\.\ntrain: 3/3 epochs, 0 s\n", capsys.readouterr().out)


def test_quiet_is_quiet(capsys):
    console = Console(quiet=True, form="json")
    console.say("no")
    with console.stage("train"):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "variable", "form"),
    [
        (["run", "--log", "json"], None, "json"),
        (["run", "--log=json"], None, "json"),
        (["--log", "run", "json"], None, "auto"),
        (["run"], "json", "json"),
        (["run"], "yes", "auto"),
        ([], None, "auto"),
    ],
)
def test_the_form_is_known_before_the_words_are(monkeypatch, words, variable, form):
    monkeypatch.delenv("RAYBEAD_LOG", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAYBEAD_LOG", variable)
    assert asked_form(words) == form


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "missing.toml", "--log", "json"], 2, "no such job file"),
        (["run", "missing.toml", "--log=json", "--sett", "a=1"], 2, "--sett"),
        (["run", "missing.toml", "--log", "xml"], 2, "xml"),
    ],
)
def test_the_last_line_of_a_failure_is_one_too(capsys, monkeypatch, words, code, says):
    monkeypatch.delenv("RAYBEAD_LOG", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr().err
    assert ended.value.code == code
    if "xml" in words:
        assert says in said
        return
    (line,) = lines(said)
    assert (line["event"], line["level"], line["exit"]) == ("fault", "error", code)
    assert says in line["message"]


def test_the_environment_says_it_for_a_command(capsys, monkeypatch):
    monkeypatch.setenv("RAYBEAD_LOG", "json")
    with pytest.raises(SystemExit):
        main(["run", "missing.toml"])
    (line,) = lines(capsys.readouterr().err)
    assert "no such job file" in line["message"]


def test_odd_facts_still_make_one_line():
    line = log_line("note", "a\nb", run=None, path=ValueError("x"), letters="µ")
    assert "\n" not in line
    found = json.loads(line)
    assert (found["path"], found["letters"], "run" in found) == ("x", "µ", False)

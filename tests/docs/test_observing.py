"""The tables of docs/observing.md have all keys that are written."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
from texts import ROOT

from raybead.console import Console
from raybead.distributed.metrics import COUNTERS
from raybead.pace import Remark
from raybead.profiling import PROFILE, Profile, StageProfile
from raybead.storage import Folder
from raybead.telling.live import Live
from raybead.training.progress import EpochRecord

PAGE = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")


def section(title):
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found is not None, title
    return found[1]


def missing(keys, text):
    return [key for key in keys if f"`{key}`" not in text]


@pytest.fixture
def run(tmp_path):
    return Folder.at(str(tmp_path / "run"))


def test_of_the_progress_file(run):
    console = Console(quiet=True)
    live = Live(run, "a", "run", [("model", "train", "waiting")], {"model": "k"}, console.say)
    console.listeners.append(live)
    epoch = {field.name: 0 for field in fields(EpochRecord)}
    with console.stage("train", "model") as tick:
        tick(1, 2, Remark("epochs", epochs=[epoch], facts={"best": 1.0}))
    told = json.loads(live.content())
    keys = {*told, *told["stages"][0], *told["epochs"]["model"], *epoch}
    assert len(keys) > 30
    assert missing(keys, section("From another shell: `raybead watch`")) == []


def test_of_the_profile(run):
    Profile(run).save()
    keys = {*run.read_json(PROFILE), *StageProfile("k", 1, 0).as_dict()}
    assert len(keys) > 25
    assert missing(keys, section("Profile")) == []


def test_of_the_metrics():
    assert missing([f"ray_{name}" for name in COUNTERS], section("Metrics")) == []


def test_of_the_log_and_a_training():
    logs = section("Logs")
    lines = [json.loads(line) for line in re.findall(r"^\{.*\}$", logs, re.M)]
    assert len(lines) > 3
    assert missing({key for line in lines for key in line} - {"piece", "counts"}, logs) == []
    assert missing([field.name for field in fields(EpochRecord)], logs) == []
    shown = [line for line in lines if line["event"] in ("progress", "finished")]
    for line in shown:
        if "total" in line:
            assert {"rate", "unit", "seconds_left"} <= line.keys()

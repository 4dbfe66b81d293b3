"""A run that is watched from beside: killed, found dead, gone on with, and seen to its end."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raybead.storage import Folder
from raybead.telling.progress import PROGRESS

JOB = """
name = "watched"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[graph]
nodes = 10
[model]
encoder = [[8, 8]]
head = [8]
decoder = [16, 16]
decode = 10
[train]
epochs = 50
patience = 50
batch_items = 32
workers = 1
[loggers]
tensorboard = true
"""


def start(log, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "raybead", *map(str, words)],
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def until(seen, process, seconds=600):
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert process.poll() is None, "ended before it was seen"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.timeout(900)
def test_what_is_seen_from_beside_is_what_happens(cluster, lhco_files, tmp_path):
    job, out = tmp_path / "job.toml", tmp_path / "log.txt"
    job.write_text(JOB.format(output=tmp_path / "runs", **lhco_files))
    run = Folder.at(str(tmp_path / "runs" / "watched"))

    def epochs_told():
        if not run.exists(PROGRESS):
            return []
        return run.read_json(PROGRESS)["epochs"].get("model", {}).get("epoch", [])

    first = start(out, "train", job, "--address", cluster.address)
    before = until(epochs_told, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert before[-1] < 49

    # As if an hour had gone by.
    told = run.read_json(PROGRESS)
    assert told["state"] == "running"
    assert told["process"]["pid"] == first.pid
    long_ago = datetime.fromisoformat(told["alive"]) - timedelta(hours=1)
    run.write_json(PROGRESS, told | {"alive": long_ago.isoformat()})
    dead = tmp_path / "dead.txt"
    assert start(dead, "watch", run, "--once").wait() == 1
    *_, last = dead.read_text().splitlines()
    assert last.startswith("raybead: watched: nobody seems to work on it any more")

    second = start(out, "train", job, "--address", cluster.address)
    until(lambda: run.read_json(PROGRESS)["process"]["pid"] == second.pid, second)
    seen = tmp_path / "seen.txt"
    watching = start(seen, "watch", job, "--log", "json")
    assert second.wait() == 0, out.read_text()
    assert watching.wait(60) == 0, seen.read_text()

    lines = [json.loads(line) for line in seen.read_text().splitlines()]
    events = [(one["event"], one.get("stage")) for one in lines]
    assert events.index(("started", "model")) < events.index(("finished", "model"))
    assert lines[-1]["message"].startswith("watched: train is done")
    history = run.read_json("model/metrics.json")["history"]
    told = run.read_json(PROGRESS)
    assert told["state"] == "done"
    for name in ("epoch", "train", "validation"):
        assert told["epochs"]["model"][name] == [one[name] for one in history], name
    (stage,) = (one for one in told["stages"] if one["name"] == "model")
    assert (stage["done"], stage["total"], stage["unit"]) == (50, 50, "epochs")

    # No epoch is logged twice, though two processes logged them, and some were run twice.
    (name,) = (run / "tensorboard").names()
    logged = EventAccumulator(f"{run}/tensorboard/{name}", size_guidance={"scalars": 0})
    logged.Reload()
    losses = logged.Scalars("loss/validation")
    assert [one.step for one in losses] == [one["epoch"] + 1 for one in history]
    expected = [one["validation"] for one in history]
    assert [one.value for one in losses] == pytest.approx(expected)

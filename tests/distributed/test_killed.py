"""A run that is killed, in prepare and in training, goes on to the same result."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from raybead.config import parse_job
from raybead.console import Console
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.storage import Folder

JOB = """
name = "killed"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[prepare]
rows_per_task = 20
[graph]
nodes = 10
[model]
encoder = [[8, 8]]
head = [8]
decoder = [16, 16]
decode = 10
[train]
epochs = 6
batch_items = 32
workers = 1
keep_every = 1
[[train.anneal]]
target = "train.learning_rate"
kind = "constant-pace"
start = 1e-3
end = 1e-4
epochs = 6
"""


def start(job, log, address):
    """A run in a process of its own, on the tests' Ray: it needn't start one, nor be unlike."""
    command = [sys.executable, "-m", "raybead", "train", str(job), "--address", address]
    return subprocess.Popen(
        command,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill_when(process, seen):
    """Kill a run without warning as soon as ``seen`` is true."""
    deadline = time.monotonic() + 240
    while not seen():
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def found(folder, pattern):
    """Files below a folder that a run is at work in: what it moves away meanwhile is not there."""
    with contextlib.suppress(FileNotFoundError):
        return list(folder.rglob(pattern))
    return []


@pytest.mark.timeout(900)
def test_the_result_is_that_of_an_unbroken_run(cluster, lhco_files, tmp_path, capsys):
    texts = {
        name: JOB.format(output=tmp_path / name, **lhco_files) for name in ("broken", "whole")
    }
    job, log = tmp_path / "broken.toml", tmp_path / "log.txt"
    job.write_text(texts["broken"])
    partial = tmp_path / "broken" / "killed" / ".partial"

    first = start(job, log, cluster.address)
    kill_when(first, lambda: len(found(partial, "rows-*.parquet")) > 2)
    kept = {path.name: path.stat().st_mtime_ns for path in found(partial, "rows-*.parquet")}
    assert 0 < len(kept) < 35
    # What is told is raybead's, not Ray's of itself.
    assert "prepare background" in log.read_text()
    assert "RAY_" not in log.read_text()
    second = start(job, log, cluster.address)
    kill_when(second, lambda: len(found(partial, "state.pt")) > 0)
    execute(parse_job(texts["whole"]), "train", Console(quiet=True))
    execute(parse_job(texts["broken"]), "train", Console())
    assert "train: resumed where it stopped" in capsys.readouterr().out

    runs = [Folder.at(str(tmp_path / name / "killed")) for name in ("broken", "whole")]
    for role in ("background", "search"):
        folders = [run / f"events/{role}" for run in runs]
        assert folders[0].names(".parquet") == folders[1].names(".parquet")
        for name in folders[0].names(".parquet"):
            assert folders[0].read(name) == folders[1].read(name)
    events = tmp_path / "broken" / "killed" / "events" / "background"
    unchanged = [name for name, at in kept.items() if (events / name).stat().st_mtime_ns == at]
    assert unchanged == list(kept)
    broken, whole = (Bundle.load(run / "model") for run in runs)
    assert {**broken.summary} == {**whole.summary}
    assert runs[0].read("model/metrics.json") == runs[1].read("model/metrics.json")
    for name, weight in whole.weights.items():
        assert weight.equal(broken.weights[name]), name
    # Epochs that came before the kill are kept like those after it.
    kept = whole.summary["epochs"]
    for number in range(1, kept + 1):
        epochs = [Bundle.load(run / f"model/epochs/{number:04d}") for run in runs]
        for name, weight in epochs[0].weights.items():
            assert weight.equal(epochs[1].weights[name]), (number, name)
    assert len((runs[0] / "model/epochs").names()) == kept

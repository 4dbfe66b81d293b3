"""What goes wrong while events are prepared: workers are killed, files are damaged."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import h5py
import psutil
import pytest
import ray
from made import lhco, make_particles
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo
from ray.data import ActorPoolStrategy
from ray.exceptions import ActorDiedError, NodeDiedError, WorkerCrashedError

from raybead.config import Jets, Prepare, PythiaSource, parse_job
from raybead.console import Console
from raybead.distributed import stream
from raybead.distributed.prepare import prepare
from raybead.distributed.stream import attempt, outcomes, result_of, told
from raybead.errors import DamagedError, RunError
from raybead.events import EventSample, read_parquet, write_lhco
from raybead.pipeline import execute
from raybead.preparing import Shard, prepare_shard
from raybead.storage import Folder, stage_facts

JOB = """
name = "damaged"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[prepare]
rows_per_task = 50
"""

pytestmark = pytest.mark.usefixtures("cluster")


def busy_workers() -> list[psutil.Process]:
    """Processes of this session's Ray, which this process started, that prepare events."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if title.startswith("ray::") and "_prepare_shards" in title:
            found.append(process)
    return found


class Killer(threading.Thread):
    """Kills a random worker at work without warning, again whenever a file more is done."""

    def __init__(self, folder: Folder, kills: int) -> None:
        super().__init__(daemon=True)
        self._folder, self._kills = folder, kills
        self._random = random.Random(7)
        self.killed: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        wanted = 0  # files that have to be there before the next is killed
        while len(self.killed) < self._kills and not self.over.wait(0.02):
            if len(self._folder.names(".parquet")) < wanted or not (busy := busy_workers()):
                continue
            time.sleep(self._random.uniform(0.0, 0.4))
            victim = self._random.choice(busy)
            if victim.is_running():  # and still the same process
                wanted = len(self._folder.names(".parquet")) + 1
                victim.send_signal(signal.SIGKILL)
                self.killed.append(victim.pid)


def test_killed_workers_cost_no_event_and_bring_none_twice(tmp_path):
    source = PythiaSource(source="pythia", events=160, seed=5, slice_events=20)
    pieces = EventSample.of([source], "search").pieces("auto")
    undisturbed = Folder.at(str(tmp_path / "undisturbed"))
    alone = [prepare_shard(Shard(of_task, undisturbed), Jets()) for of_task in pieces]

    folder = Folder.at(str(tmp_path / "events"))

    def half_written(*_):
        # What a worker leaves that is killed while it writes.
        folder.write(".rows-0000000020-0000000040.parquet.5e6f7a8b.tmp", b"half")

    def prepared_at_last():
        for _ in range(5):  # by chance the same piece may be hit again and again
            with contextlib.suppress(RunError):
                return prepare(pieces, Jets(), Prepare(), folder, half_written)
        return pytest.fail("never done")

    killer = Killer(folder, kills=3)
    killer.start()
    result = prepared_at_last()
    killer.over.set()
    killer.join()

    assert len(set(killer.killed)) == 3
    assert result.cutflow.read == 160
    assert result.cutflow.adds_up
    assert result.cutflow == sum((one.cutflow for one in alone[1:]), alone[0].cutflow)
    assert folder.names() == undisturbed.names()
    for name in folder.names():
        assert folder.read(name) == undisturbed.read(name), name
    events = [
        event
        for name in folder.names()
        for event in read_parquet(folder.read(name), name).column("event").to_pylist()
    ]
    assert events == sorted(set(events))
    assert len(events) == result.cutflow.written


def test_a_piece_that_kills_every_worker_ends_in_one_line(tmp_path, capfd):
    def deadly(pieces):
        def work(piece):
            if piece == 1:
                (tmp_path / f"{time.time_ns()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return piece

        return attempt(pieces, work)

    seen = []
    with pytest.raises(RunError) as caught:
        seen.extend(outcomes(3, deadly, num_cpus=1, max_retries=2))
    assert "worker processes died at the same piece of work again and again" in str(caught.value)
    assert f"{len(seen)} of 3 were done" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err
    assert len(list(tmp_path.iterdir())) == 3  # tried, and tried again twice


def test_a_file_that_kills_every_actor_ends_in_one_line(tmp_path):
    class Deadly:
        def __call__(self, pieces):
            def work(piece):
                if piece == 1:
                    (tmp_path / f"{time.time_ns()}").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return piece

            return attempt(pieces, work)

    pool = ActorPoolStrategy(size=1)
    with pytest.raises(RunError, match="worker processes died at the same piece of work again"):
        list(outcomes(3, Deadly, compute=pool, num_cpus=0.5, max_task_retries=2))
    assert len(list(tmp_path.iterdir())) == 3
    # What the pool had is to be had again, though nobody collects garbage: the next would wait.
    for _ in range(50):
        if ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"]:
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"CPUs are held on to: {ray.available_resources()}")


def test_a_task_whose_worker_always_dies_ends_in_one_line():
    @ray.remote(max_retries=1)
    @told
    def deadly():
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RunError, match="worker processes died at the same task") as caught:
        result_of(deadly.remote())
    assert "\n" not in str(caught.value)


def actor_died(**cause) -> ActorDiedError:
    return ActorDiedError(ActorDiedErrorContext(actor_id=bytes(16), **cause))


LOST = actor_died(error_message="The actor died because its node has died.")
PREEMPTED = actor_died(
    node_death_info=NodeDeathInfo(reason=NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED)
)


@pytest.mark.parametrize("gone", [NodeDiedError("gone"), LOST, PREEMPTED])
def test_lost_nodes_do_not_count_against_a_piece(monkeypatch, gone):
    """Whichever pieces are left begin anew, and each comes once; a crash ends it at once."""
    asked = []

    def round_of(error):
        def pieces(numbers, _work, _options):
            asked.append(numbers)
            for number in numbers[:2]:
                yield number, f"result {number}"
            if numbers[2:]:
                raise error

        return pieces

    monkeypatch.setattr(stream, "_round", round_of(gone))
    wanted = [(number, f"result {number}") for number in range(5)]
    assert list(outcomes(5, None)) == wanted
    assert asked == [[0, 1, 2, 3, 4], [2, 3, 4], [4]]
    monkeypatch.setattr(stream, "LOST_NODES", 1)
    with pytest.raises(RunError, match="4 of 5 were done: a node was lost"):
        list(outcomes(5, None))  # one more than may be
    for crash in (WorkerCrashedError(), actor_died()):
        monkeypatch.setattr(stream, "_round", round_of(crash))
        with pytest.raises(RunError, match="2 of 5 were done: killed"):
            list(outcomes(5, None))


def damage(path: Path, row: int) -> None:
    """Overwrite the chunk that holds a row of an LHC Olympics file."""
    with h5py.File(path) as file:
        values = file["df/block0_values"]
        chunk = row // values.chunks[0]
        info = values.id.get_chunk_info_by_coord((chunk * values.chunks[0], 0))
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset)
        raw.write(random.Random(1).randbytes(info.size))


def test_damaged_rows_fail_alone_and_are_counted(tmp_path, capsys):
    """Of the rows 100 to 149, one task, the chunk of row 123 is damaged: 119 to 125."""
    background, search = tmp_path / "background.h5", tmp_path / "search.h5"
    write_lhco(background, [make_particles(20, seed=1)], 20, "none")
    write_lhco(search, [make_particles(250, seed=2)], 250, "none")
    whole = Folder.at(str(tmp_path / "whole"))
    for of_task in EventSample.of([lhco(search)], "search").pieces(50):
        prepare_shard(Shard(of_task, whole), Jets())
    damage(search, 123)

    text = JOB.format(output=tmp_path / "runs", background=background, search=search)
    run = execute(parse_job(text), "prepare", Console())
    fault = f"{search}: rows 119 to 125 can't be read, the file is damaged"
    assert f"prepare search: left out: {fault}" in capsys.readouterr().out
    facts = stage_facts(run, "events/search")
    assert facts["cutflow"]["read"] == 250
    assert facts["cutflow"]["dropped"]["unreadable"] == 7
    assert facts["cutflow"]["written"] + sum(facts["cutflow"]["dropped"].values()) == 250
    (told,) = facts["faults"]
    assert told.startswith(fault)
    events = run / "events/search"
    assert events.names(".parquet") == whole.names()
    for name in whole.names():
        if name.startswith("rows-0000000100"):
            left = read_parquet(whole.read(name), name).to_pylist()
            left = [row for row in left if not 119 <= row["event"] <= 125]
            assert read_parquet(events.read(name), name).to_pylist() == left
        else:
            assert events.read(name) == whole.read(name), name

    job = parse_job(text, ["name=stopped", "prepare.damaged=stop"])
    with pytest.raises(DamagedError) as caught:
        execute(job, "prepare", Console(quiet=True))
    assert str(caught.value).startswith(f"{search}: rows 100 to 149 can't be read")
    assert "\n" not in str(caught.value)

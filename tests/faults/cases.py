"""The faults: each strikes a small job at one place, and tells what came of it."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from faults.bucket import Bucket, bucket
from faults.compare import Compared
from faults.nodes import environment_of, nodes
from faults.processes import Ended, end, raylet_of, started, wait_for, workers
from faults.runs import Begun, Failed, Runs, driver, finish
from faults.watch import TITLES, Watch

from raybead.config import parse_job
from raybead.stages import run_folder
from raybead.storage import Folder


@dataclass
class Told:
    """A case's line of the table."""

    struck: str
    seen: str
    compared: Compared


Case = Callable[[Runs, str], Told]
"""Called with the job, and the name of the place where it is done."""


@contextlib.contextmanager
def watching(root: int, begun: Begun, verb: str | None = None) -> Iterator[Watch]:
    """Who works, below a process, at the last stage of the verb that is done, or of another."""
    watch = Watch(root, TITLES[verb or begun.verb], str(begun.run))
    watch.start()
    try:
        yield watch
    finally:
        watch.over.set()
        watch.join()


def at_work(begun: Begun, watch: Watch, root: int) -> tuple[psutil.Process, str] | None:
    """A worker in the middle of the verb's last stage, and where it is, in words."""
    busy = workers(root, TITLES[begun.verb])
    if not busy:
        return None
    place = Path(str(begun.run))
    with contextlib.suppress(OSError):
        match begun.verb:
            case "prepare":
                n = len(list(place.rglob(".partial/*/rows-*.parquet")))
                return (busy[0], f"after {n} files") if n >= 3 else None
            case "train" | "sweep":
                # A worker that isn't the first has the others wait for it.
                n = watch.epochs
                return (busy[-1], f"after epoch {n[-1]}") if n else None
            case "score":
                n = len(list(place.rglob(".losses/*/*/*.parquet")))
                return (busy[0], f"after {n} files") if n >= 2 else None
            case _:
                return busy[0], "while it computes"
    return None


def worker_killed(runs: Runs, name: str, verb: str, crew: int = 2) -> Told:
    """A worker process ends by SIGKILL, on a cluster that the command starts itself."""
    begun = runs.begun(name, verb, crew)
    with (
        driver(begun.job, verb, begun.log, environment_of(runs.root)) as process,
        watching(process.pid, begun) as watch,
    ):
        victim, where = wait_for(lambda: at_work(begun, watch, process.pid), process)
        before = len(watch.epochs)
        victim.kill()
        finish(process, begun.log)
    return Told(f"{verb}, {where}", _seen(watch, before), begun.compared())


def _seen(watch: Watch, epochs_before: int, also: str = "") -> str:
    seen = [f"{len(watch.pids)} workers in all"]
    if watch.epochs[epochs_before:]:
        seen.append(f"next state is of epoch {watch.epochs[epochs_before]}")
    return ", ".join([*seen, *([also] if also else [])])


def node_lost(runs: Runs, name: str, verb: str, notice: float | None = None, *more: str) -> Told:
    """The node that a worker is on goes; after ``notice`` seconds, if there is a notice.

    Where what is left has no room for the crew, another node comes, as an autoscaler brings it.
    """
    begun = runs.begun(name, verb, 2)
    with (
        nodes(runs.root, [2, 2]) as cluster,
        driver(begun.job, verb, begun.log, cluster.environment, cluster.address, *more) as process,
        watching(cluster.pid, begun) as watch,
    ):
        victim, where = wait_for(lambda: at_work(begun, watch, cluster.pid), process)
        before, raylet = len(watch.epochs), raylet_of(victim)
        if notice is not None:
            cluster.give_notice(raylet, notice)
            if verb == "train":
                cluster.add(2)
            time.sleep(notice)
        cluster.lose(raylet)
        if notice is None and verb == "train":
            cluster.add(2)
        finish(process, begun.log)
    told = f"{notice:g} s after a notice" if notice is not None else "without notice"
    return Told(f"{verb}, {where}, {told}", _seen(watch, before), begun.compared())


def driver_killed(runs: Runs, name: str, verb: str) -> Told:
    """The driver ends by SIGKILL, its cluster stays; the same command is given again."""
    begun = runs.begun(name, verb, 2)
    with nodes(runs.root, [4]) as cluster, watching(cluster.pid, begun) as watch:
        command = partial(driver, begun.job, verb, begun.log, cluster.environment, cluster.address)
        with command() as process:
            _, where = wait_for(lambda: at_work(begun, watch, cluster.pid), process)
            before = len(watch.epochs)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with command() as process:
            finish(process, begun.log)
    return Told(f"{verb}, {where}", _seen(watch, before, _resumed(begun)), begun.compared())


def head_lost(runs: Runs, name: str, verb: str) -> Told:
    """All of the cluster goes at once; the same command is given again to another cluster."""
    begun, ended = runs.begun(name, verb, 2), ""
    for attempt in range(2):
        with (
            nodes(runs.root, [4]) as cluster,
            driver(begun.job, verb, begun.log, cluster.environment, cluster.address) as process,
            watching(cluster.pid, begun) as watch,
        ):
            if attempt:
                finish(process, begun.log)
                break
            _, where = wait_for(lambda: at_work(begun, watch, cluster.pid), process)
            end(cluster.process)
            ended = f"driver ended with {process.wait(120)}"
    if ended.endswith(" 0"):
        raise Failed(f"{ended} though its cluster was gone")
    return Told(f"{verb}, {where}", f"{ended}, {_resumed(begun)}", begun.compared())


def _resumed(begun: Begun) -> str:
    lines = begun.log.read_text().splitlines()
    return next((line for line in lines if "resumed" in line), "begun anew")


def store_too_small(runs: Runs, name: str) -> Told:
    """Every node's object store is full before the command begins: what it puts there finds room
    only because other objects are spilled to disk."""
    begun = runs.begun(name, "calibrate", 2, fresh=True)
    script = str(Path(__file__).with_name("ballast.py"))
    with nodes(runs.root, [2, 2], store_mb=80) as cluster:
        command = [sys.executable, script, cluster.address, "120", "calibrate", str(begun.job)]
        with started(command, begun.log, cluster.environment) as process:
            finish(process, begun.log)
    lines = begun.log.read_text().splitlines()
    seen = [line for line in lines if "pilled" in line]
    if not seen:
        raise Failed("nothing was spilled")
    return Told("from start to end", seen[0], begun.compared())


def in_bucket(
    runs: Runs, name: str, disturb: Callable[[Bucket, Folder], str], verb: str = "hunt"
) -> Told:
    """Inputs, output and training's state lie in a bucket that is disturbed."""
    begun = runs.begun(name, verb, 2, fresh=True)
    with bucket() as store:
        inputs = Folder.at(f"s3://{store.name}/inputs")
        for path in runs.inputs.glob("*.h5"):
            inputs.write(path.name, path.read_bytes())
        store.seen.clear()
        text = runs.text(f"s3://{store.name}", 2, verb, inputs.uri)
        begun.job.write_text(text)
        run = run_folder(parse_job(text))
        environment = environment_of(runs.root)
        where = disturb(store, run)
        with driver(begun.job, verb, begun.log, environment) as process:
            finish(process, begun.log)
        seen = store.told()
        faults = store.faults()
        store.be_well()
        if not faults:
            raise Failed("no request was disturbed")
        return Told(where, seen, begun.compared(run))


def large_file(_: Runs, name: str) -> Told:
    """A file that a store takes in parts gets there whole, and comes back whole."""
    content = random.Random(1).randbytes(101 * 2**20)
    with bucket() as store:
        folder = Folder.at(f"s3://{store.name}/{name}")
        store.refused, store.broken, store.lost = 0.3, 0.1, 0.1
        folder.write("large.bin", content)
        back = folder.read("large.bin")
        seen = store.told()
        if not store.faults():
            raise Failed("no request was disturbed")
    differs = [] if back == content else ["the file"]
    return Told("101 MB in parts", seen, Compared(differs=differs))


def refuses(store: Bucket, _: Folder) -> str:
    store.refused = 0.1
    return "a tenth of all requests"


def breaks_off(store: Bucket, _: Folder) -> str:
    store.broken, store.lost = 0.1, 0.05
    return "bodies in their middle, answers to writes"


AWAY = 12.0


def goes_away(store: Bucket, _: Folder) -> str:
    """Nothing is answered for a while, at the first file of events, of training's state, and of
    losses: each is a third of a minute after the one before, at least."""
    whole, struck = store._whole, set()
    places = {"rows-": "prepare", "state.pt": "train", ".losses": "score"}

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        for sign, stage in places.items():
            if sign in path and environ["REQUEST_METHOD"] == "PUT" and stage not in struck:
                struck.add(stage)
                threading.Timer(0.2, store.away, [AWAY]).start()
        return whole(environ, start_response)

    store._whole = application
    return f"{AWAY:g} s each in prepare, train and score"


def struck(case: Case, runs: Runs, name: str, tries: int = 3) -> Told:
    """A case, again where a stage was over before it could be struck: they are short."""
    for number in range(1, tries):
        with contextlib.suppress(Ended):
            return case(runs, f"{name}-{number}")
    return case(runs, name)


CASES: dict[str, Case] = {
    **{
        f"worker-{verb}": partial(worker_killed, verb=verb)
        for verb in ("prepare", "train", "score", "hunt", "calibrate", "sweep")
    },
    "worker-train-alone": partial(worker_killed, verb="train", crew=1),
    "node-prepare": partial(node_lost, verb="prepare"),
    "node-train": partial(node_lost, verb="train"),
    "node-score": partial(node_lost, verb="score"),
    "node-hunt": partial(node_lost, verb="hunt"),
    "node-calibrate": partial(node_lost, verb="calibrate"),
    **{
        f"driver-{verb}": partial(driver_killed, verb=verb)
        for verb in ("prepare", "train", "score", "hunt")
    },
    "head-train": partial(head_lost, verb="train"),
    "spot-prepare": partial(node_lost, verb="prepare", notice=3.0),
    "spot-train": lambda runs, name: node_lost(
        # No failure is allowed: a machine that is taken back is none.
        runs, name, "train", 6.0, "--set", "train.max_failures=0"
    ),
    "store-spills": store_too_small,
    "bucket-refuses": partial(in_bucket, disturb=refuses),
    "bucket-breaks-off": partial(in_bucket, disturb=breaks_off),
    "bucket-large-file": large_file,
    "bucket-away": partial(in_bucket, disturb=goes_away),
}  # fmt: skip
"""By name. What strikes, and the verb whose last stage it strikes."""

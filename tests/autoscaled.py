"""A Ray cluster on this machine that grows and shrinks, and a look at it while a job runs.

Nodes are Ray's own "fake" ones: raylets that its autoscaler starts when processes wait for what
they ask for, and stops when they have nothing to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = "ray.head.default"
MARK = "is-"
"""With its kind's name, a resource that tells a node's kind."""
EMPTY = ("auth", "docker", "file_mounts")
NONE = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files",
    "rsync_exclude", "rsync_filter",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Nodes that may come."""

    resources: Mapping[str, float]
    most: int


@dataclass(frozen=True)
class Seen:
    """The cluster at a moment."""

    at: float
    """Seconds."""
    nodes: Mapping[str, int]
    """By kind, the head left out."""
    waiting: Mapping[str, int]
    """Processes that wait, by what each asks for."""


@dataclass
class Growing:
    """A cluster that grows, with what was seen of it."""

    address: str
    environment: dict[str, str]
    seen: list[Seen] = field(default_factory=list)

    def most(self, kind: str, begin: float = 0.0, end: float = float("inf")) -> int:
        """Nodes of a kind that were up at a time at most, between two moments."""
        before = [seen for seen in self.seen if seen.at <= begin][-1:]
        within = [seen for seen in self.seen if begin < seen.at < end]
        return max((seen.nodes.get(kind, 0) for seen in (*before, *within)), default=0)

    def awaited_empty(self, seconds: float) -> bool:
        """Whether all nodes but the head are gone before so many seconds are over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.seen and not self.seen[-1].nodes:
                return True
            time.sleep(0.2)
        return False


@contextlib.contextmanager
def growing(kinds: Mapping[str, Kind], idle_seconds: float) -> Iterator[Growing]:
    """A head without CPUs, and an autoscaler that may bring nodes.

    Args:
        kinds: of nodes, by name.
        idle_seconds: after which a node without work goes.
    """
    from ray.util import get_node_ip_address

    folder = Path(tempfile.mkdtemp(prefix="rb"))  # Ray's sockets lie there: paths have to be short
    port, client_port = _free_ports(2)
    address = f"{get_node_ip_address()}:{port}"
    (folder / "token").write_text(secrets.token_hex(16))
    (folder / "cluster.json").write_text(json.dumps(_launcher(kinds, idle_seconds, address)))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }
    head = subprocess.Popen(
        [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
            "--num-cpus=0", f"--port={port}", "--include-dashboard=false",
            f"--ray-client-server-port={client_port}", "--dashboard-agent-listen-port=0",
            f"--temp-dir={folder}/ray", f"--autoscaling-config={folder}/cluster.json",
        ],
        env={
            **environment,
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "0",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        },
        stdout=(folder / "head.txt").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    cluster = Growing(address, environment)
    try:
        with _watched(cluster):
            yield cluster
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


def _launcher(kinds: Mapping[str, Kind], idle_seconds: float, address: str) -> dict[str, Any]:
    """What Ray's cluster launcher takes."""
    none = {HEAD: Kind({"CPU": 0}, 0)}
    return {
        "cluster_name": "growing",
        "provider": {
            "type": "fake_multinode",
            "gcs_address": address,
            "use_node_id_as_ip": True,
            "launch_multiple": True,
        },
        "available_node_types": {
            name: {
                # Each node takes its store's memory when it starts.
                "resources": {"object_store_memory": 2e8, **kind.resources, MARK + name: 1},
                "node_config": {},
                "min_workers": 0,
                "max_workers": kind.most,
            }
            for name, kind in {**none, **kinds}.items()
        },
        "head_node_type": HEAD,
        "max_workers": sum(kind.most for kind in kinds.values()),
        "idle_timeout_minutes": idle_seconds / 60,
        "upscaling_speed": 1.0,
        "file_mounts_sync_continuously": False,
        **{name: {} for name in EMPTY},
        **{name: [] for name in NONE},
    }


@contextlib.contextmanager
def _watched(cluster: Growing) -> Iterator[None]:
    """Fill in what is seen. Of a process of its own: one process knows one Ray alone."""
    watcher = subprocess.Popen(
        [sys.executable, __file__, cluster.address],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert watcher.stdout is not None
    lines = watcher.stdout

    def read() -> None:
        for line in lines:
            cluster.seen.append(Seen(**json.loads(line)))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + 60
        while not cluster.seen:
            assert watcher.poll() is None, "the head isn't up"
            assert time.monotonic() < deadline, "the head isn't up"
            time.sleep(0.1)
        yield
    finally:
        watcher.kill()
        watcher.wait()
        reader.join()


def run_on(cluster: Growing, *arguments: str) -> list[tuple[float, str]]:
    """What raybead says when it is run there, each line with its second."""
    process = subprocess.Popen(
        [sys.executable, "-m", "raybead", *arguments, "--address", cluster.address],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = [(time.time(), line.rstrip()) for line in process.stdout]
        assert process.wait() == 0, "\n".join(line for _, line in said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return said


def story(cluster: Growing, said: list[tuple[float, str]]) -> str:
    """What was said and what was seen, in order."""
    begin = said[0][0]
    told = [(at, line) for at, line in said if "logging.cc" not in line]
    for seen in cluster.seen:
        nodes = ", ".join(f"{n} {kind}" for kind, n in sorted(seen.nodes.items())) or "none"
        waits = ", ".join(f"{n} x {{{what}}}" for what, n in sorted(seen.waiting.items()))
        told.append(
            (seen.at, f"        nodes: {nodes}" + (f"; waiting: {waits}" if waits else ""))
        )
    return "\n".join(f"{at - begin:7.1f} s  {line}" for at, line in sorted(told))


def _look(address: str) -> None:
    """Print what is seen, whenever it is something else."""
    from ray._raylet import GcsClient
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply, NodeStatus

    last = None
    while True:
        with contextlib.suppress(Exception):  # a head that isn't up yet
            client = GcsClient(address=address)
            while True:
                reply = GetClusterStatusReply.FromString(client.get_cluster_status(timeout_s=5))
                state = reply.cluster_resource_state
                nodes: dict[str, int] = {}
                for node in state.node_states:
                    for name in node.total_resources if node.status != NodeStatus.DEAD else ():
                        if name.startswith(MARK):
                            kind = name.removeprefix(MARK)
                            nodes[kind] = nodes.get(kind, 0) + 1
                waiting: dict[str, int] = {}
                for one in state.pending_resource_requests:
                    _count(waiting, one.request.resources_bundle, one.count)
                for gang in state.pending_gang_resource_requests:
                    for each in gang.requests:
                        _count(waiting, each.resources_bundle, 1)
                if (nodes, waiting) != last:
                    last = nodes, waiting
                    now = {"at": time.time(), "nodes": nodes, "waiting": waiting}
                    print(json.dumps(now), flush=True)
                time.sleep(0.2)
        time.sleep(0.2)


def _count(waiting: dict[str, int], bundle: Mapping[str, float], n: int) -> None:
    wants = {k: v for k, v in bundle.items() if not k.startswith(("node:", "bundle_group"))}
    what = ", ".join(f"{name}: {amount:g}" for name, amount in sorted(wants.items()))
    waiting[what] = waiting.get(what, 0) + n


if __name__ == "__main__":
    _look(sys.argv[1])

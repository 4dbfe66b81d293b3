"""Several Ray nodes on this machine, in a process of their own, that come and go as told.

Run as a program it is that process: commands come a line each, answers go back as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = {
    # A node that is gone is noticed within seconds; Ray gives it half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def environment_of(folder: Path) -> dict[str, str]:
    """For all processes of one cluster: a token that they have in common, and this code."""
    token = folder / "token"
    if not token.exists():
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
    tests = Path(__file__).parents[1]
    kept = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return {
        **kept,
        **HERE,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
    }


class Nodes:
    """The cluster, as seen by who started it."""

    def __init__(self, process: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
        self.process, self.environment = process, environment
        self.raylets: list[int] = []
        """By process id, in the order that they came; the head is the first."""
        self.address = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, *words: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the cluster's process has ended")
        return json.loads(line)

    def add(self, cpus: int, store_mb: int = 150) -> int:
        """One node more; its raylet."""
        answer = self.tell("add", cpus, store_mb)
        self.address = answer["address"]
        self.raylets.append(answer["raylet"])
        return answer["raylet"]

    def lose(self, raylet: int) -> None:
        """All processes of a node are killed at once."""
        self.tell("lose", raylet)

    def give_notice(self, raylet: int, seconds: float) -> None:
        """As a cloud does that wants its machine back."""
        self.tell("drain", raylet, seconds)


@contextlib.contextmanager
def nodes(folder: Path, cpus: list[int], store_mb: int = 150, **more: str) -> Iterator[Nodes]:
    """A head without CPUs, and nodes with so many CPUs each."""
    from faults.processes import started

    environment = {**environment_of(folder), **more}
    # Paths of sockets have to be short, and the place where Ray notes its newest cluster is
    # another cluster's, too.
    with tempfile.TemporaryDirectory(prefix="rn", ignore_cleanup_errors=True) as short:
        environment["RAY_TMPDIR"] = short
        command = [sys.executable, __file__]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with started(command, folder / "nodes.log", environment, **pipes) as process:
            cluster = Nodes(process, environment)
            for number in [0, *cpus]:
                cluster.add(number, store_mb)
            yield cluster


def main() -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    known: dict[int, Any] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints goes to the log
    for line in sys.stdin:
        words = line.split()
        match words:
            case ["add", cpus, store]:
                node = _added(cluster, int(cpus), int(store) * 2**20)
                raylet = next(p.process.pid for p in node.all_processes["raylet"])
                known[raylet] = node
                answer = {"address": cluster.address, "raylet": raylet}
            case ["lose", raylet]:
                cluster.remove_node(known.pop(int(raylet)), allow_graceful=False)
                answer = {}
            case ["drain", raylet, seconds]:
                answer = {"taken": _drain(cluster, known[int(raylet)], float(seconds))}
            case _:
                raise ValueError(line)
        print(json.dumps(answer), file=answers, flush=True)


def _added(cluster: Any, cpus: int, store: int, tries: int = 3) -> Any:
    """A node; begun again where this machine is too busy to start it in Ray's half a minute."""
    while True:
        tries -= 1
        try:
            return cluster.add_node(
                num_cpus=cpus, object_store_memory=store, include_dashboard=False
            )
        except Exception as error:  # Ray's own is no other
            if not tries or "timed out" not in str(error):
                raise


def _drain(cluster: Any, node: Any, seconds: float) -> bool:
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    taken, why = GcsClient(address=cluster.address).drain_node(
        node.node_id,
        autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        "wanted back",
        time.time_ns() // 1_000_000 + int(seconds * 1000),
    )
    if not taken:
        raise RuntimeError(why)
    return taken


if __name__ == "__main__":
    main()

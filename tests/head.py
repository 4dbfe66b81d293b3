"""A Ray head of its own, with a dashboard that wants a token, as a cluster elsewhere is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

import raybead

TOKEN = "0123456789abcdef0123456789abcdef"
PORTS = (
    "port", "dashboard-port", "node-manager-port", "object-manager-port",
    "runtime-env-agent-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
    "metrics-export-port", "ray-client-server-port",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A running head."""

    address: str
    home: Path
    """Home folder of what runs there."""
    token_file: Path
    environment: dict[str, str]
    """For commands that talk to it: neither address nor token."""


@contextlib.contextmanager
def running_head(folder: Path, *, cpus: int = 4) -> Iterator[Head]:
    """A head in a process session of its own, ended by its process group."""
    home, elsewhere, token_file = folder / "home", folder / "elsewhere", folder / "token"
    for made in (home, elsewhere):
        made.mkdir()
    token_file.write_text(TOKEN)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    plain |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(raybead.__file__).parents[1]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    there = plain | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    }
    with contextlib.ExitStack() as stack:
        for left in (2, 1, 0):
            try:
                address = stack.enter_context(_started(folder, there, cpus))
                break
            except RuntimeError:  # Ray gives its own start 30 s, and the machine may be busy
                if not left:
                    raise
        yield Head(address, home, token_file, plain | {"HOME": str(elsewhere)})


@contextlib.contextmanager
def _started(folder: Path, environment: dict[str, str], cpus: int) -> Iterator[str]:
    """The address of a head; a RuntimeError if it doesn't come up."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    temp = Path(tempfile.mkdtemp(prefix="rb"))  # short: sockets have short names
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
        f"--num-cpus={cpus}", f"--temp-dir={temp}", "--dashboard-host=127.0.0.1",
        "--node-ip-address=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    log = folder / "head.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        _wait_for(address, process, log)
        yield address
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        shutil.rmtree(temp, ignore_errors=True)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the node is up, and jobs are taken."""
    deadline = time.monotonic() + 150
    headers = {"Authorization": f"Bearer {TOKEN}"}
    while time.monotonic() < deadline and process.poll() is None:
        if "Ray runtime started" in log.read_text():
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{address}/api/jobs/", headers=headers, timeout=5).ok:
                    return
        time.sleep(0.2)
    raise RuntimeError(log.read_text()[-2000:])

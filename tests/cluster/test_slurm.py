"""The Slurm script brings up Ray for real; only Slurm itself is played."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import validate

SCRIPT = validate.CLUSTER / "slurm/raybead.sbatch"
SRUN = """#!/usr/bin/env bash
echo "srun $*" | head -n 1 >> "$CALLS"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/usr/bin/env bash
echo "scontrol $*" >> "$CALLS"
if [[ $1 == show ]]; then printf 'node1\\nnode2\\n'; fi
"""
SEES = f"""#!{sys.executable}
import os, stat, sys, ray
token = os.environ["RAY_AUTH_TOKEN_PATH"]
print("mode", oct(stat.S_IMODE(os.stat(token).st_mode)))
print("told", *sys.argv[1:-1])
ray.init(address=sys.argv[-1], log_to_driver=False)
nodes = [node["NodeID"] for node in ray.nodes()]
@ray.remote(num_cpus=1)
def where():
    return ray.get_runtime_context().get_node_id()
on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
ran = ray.get([where.options(scheduling_strategy=on(node, soft=False)).remote() for node in nodes])
print("ran on", len(set(ran)), "of", len(nodes))
has = ray.cluster_resources()
print("memory", has["memory"] / 2**20)
sys.exit(7)
"""


@pytest.fixture
def slurm(tmp_path):
    """A job's environment on a machine that plays two nodes; programs may be put before others."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def program(name, text):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    program("srun", SRUN)
    program("scontrol", SCONTROL)
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as short:  # sockets lie there
        environment = {
            "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "CALLS": str(tmp_path / "calls"),
            "RAYBEAD_TMP": short,
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_MEM_PER_NODE": "1000",
        }
        yield program, environment, tmp_path
        assert list(Path(short).iterdir()) == []  # nothing of Ray's is left
    assert list((tmp_path / ".raybead").iterdir()) == []  # neither the token


def start(environment, *arguments):
    # In a session of its own, so that all it starts can be ended together.
    return subprocess.Popen(
        ["bash", SCRIPT, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ended(job, seconds):
    try:
        said, _ = job.communicate(timeout=seconds)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while living(job.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert living(job.pid) == []
    return said


def living(group):
    """Processes of a group, but for those that have ended and wait for their parents."""
    found = []
    for process in psutil.process_iter(["pid", "status", "cmdline"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != "zombie":
                found.append(process.info)
        except ProcessLookupError:
            continue
    return found


def test_brings_up_two_nodes_and_ends_as_raybead_does(slurm):
    program, environment, folder = slurm
    program("raybead", SEES)
    # What a job that was ended too hard has left: an address where nobody is.
    left = Path(environment["RAYBEAD_TMP"]) / "rb-4711"
    left.mkdir()
    (left / "ray_current_cluster").write_text("127.0.0.1:1")
    (folder / ".raybead/slurm-4711.old").mkdir(parents=True)
    job = start(environment, "mine.toml", "--set", "a=[1, 2]")
    said = ended(job, 150)
    assert job.returncode == 7, said
    assert "raybead: 2 nodes, 2 CPUs, 0 GPUs" in said
    assert "mode 0o600" in said
    assert "told run mine.toml --set a=[1, 2] --address\n" in said
    assert "ran on 2 of 2" in said
    assert "memory 1200.0" in said
    show, head, worker, clean = (folder / "calls").read_text().splitlines()
    assert show == "scontrol show hostnames node[1-2]"
    assert "--nodes=1 --ntasks=1 --cpus-per-task=1 --nodelist=node1 " in head
    assert "--nodes=1 --ntasks=1 --cpus-per-task=1 --exclude=node1 " in worker
    assert clean.startswith("srun --nodes=2 --ntasks=2 rm -rf ")


# What follows is about signals and faults, before or after Ray: nothing needs it to be there.
RAY = """#!/usr/bin/env bash
for word in "$@"; do [[ $word == --temp-dir=* ]] && folder=${word#*=}; done
mkdir -p "${folder:=$RAYBEAD_TMP/rb-4711}"
echo 10.0.0.1:6379 > "$folder/ray_current_cluster"
exec sleep 100
"""
PYTHON = f"""#!/usr/bin/env bash
if [[ $# == 4 ]]; then exit "${{JOINED:-0}}"; fi
exec {sys.executable} "$@"
"""
WAITS = """#!/usr/bin/env bash
trap 'echo "raybead was stopped"; exit 143' TERM
echo working
for ((i = 0; i < 1000; i++)); do sleep 0.1; done
"""


@pytest.mark.parametrize(("before", "requeued"), [("0", True), ("20", False)])
def test_the_time_limit_puts_it_back_in_line(slurm, before, requeued):
    program, environment, folder = slurm
    program("ray", RAY)
    program("python", PYTHON)
    program("raybead", WAITS)
    job = start(environment | {"SLURM_RESTART_COUNT": before}, "mine.toml")
    assert job.stdout is not None
    while (line := job.stdout.readline()) != "working\n":
        assert line, "ended before it worked"
    (token,) = (folder / ".raybead").glob("slurm-4711.*/token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    job.send_signal(signal.SIGUSR1)
    said = ended(job, 60)
    assert job.returncode == 75
    assert "raybead was stopped" in said
    assert ("scontrol requeue 4711\n" in (folder / "calls").read_text()) == requeued
    assert ("RAYBEAD_RESTARTS allows more" in said) != requeued


@pytest.mark.parametrize(
    ("programs", "given", "said"),
    [
        ({"ray": "#!/bin/sh\necho no such option >&2\nexit 2\n"}, {}, "the head on node1 ended"),
        (
            {"ray": "#!/bin/sh\nexec sleep 100\n"},
            {"RAYBEAD_JOIN_SECONDS": "1"},
            "no head on node1",
        ),
        ({"ray": RAY, "python": PYTHON}, {"JOINED": "1"}, "not all of 2 nodes joined"),
    ],
)
def test_a_cluster_that_does_not_come_ends_the_job(slurm, programs, given, said):
    program, environment, _ = slurm
    for name, text in programs.items():
        program(name, text)
    began = time.monotonic()
    job = start(environment | given, "mine.toml")
    assert f"raybead: {said}" in ended(job, 60)
    assert job.returncode == 1
    assert time.monotonic() - began < 60


def test_says_how_it_is_started(tmp_path):
    given = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(["bash", SCRIPT], env=given, capture_output=True, text=True)
    assert done.returncode != 0
    assert "is started by sbatch" in done.stderr
    given |= {"SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "1"}
    done = subprocess.run(["bash", SCRIPT], env=given, capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: sbatch" in done.stderr
    assert list(tmp_path.iterdir()) == []

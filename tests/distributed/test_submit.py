"""Jobs handed to a head with a dashboard and a token, as to a cluster elsewhere."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from conftest import JOB
from head import free_ports, running_head

from raybead.distributed.job_server import JobServer
from raybead.errors import RunError

PROBE = """
import json, os, pathlib, sys, time
told = json.loads(pathlib.Path("told.json").read_text())
print("arguments", json.dumps(sys.argv[1:]))
print("files", json.dumps(sorted(str(p) for p in pathlib.Path().rglob("*.*"))))
print("variables", os.environ.get("GIVEN"), len(os.environ.get("FROM_HERE", "")), flush=True)
for number in range(told["lines"]):
    print("line", number, flush=True)
    time.sleep(told["pause"])
sys.exit(told["code"])
"""
"""A package that stands before raybead in a working directory, and tells what reached it."""


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    with running_head(tmp_path_factory.mktemp("head")) as running:
        yield running


@pytest.fixture(scope="module")
def where(head):
    return "--address", head.address, "--token-file", str(head.token_file)


@pytest.fixture(scope="module")
def work(lhco_files, tmp_path_factory):
    """A working directory with the small job and its data."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "data").mkdir()
    inputs = {}
    for name, path in lhco_files.items():
        shutil.copy(path, folder / "data")
        inputs[name] = f"data/{path.name}"
    (folder / "job.toml").write_text(JOB.format(output="runs", **inputs))
    return folder


@pytest.fixture
def probe(work, tmp_path):
    """A working directory in which the probe takes raybead's place."""
    folder = tmp_path / "probe"
    (folder / "raybead").mkdir(parents=True)
    (folder / "raybead/__init__.py").write_text("")
    (folder / "raybead/__main__.py").write_text(PROBE)
    (folder / "left.out").write_text("")
    shutil.copytree(work / "data", folder / "data")
    shutil.copy(work / "job.toml", folder)

    def tell(*, lines=0, pause=0.0, code=0):
        told = {"lines": lines, "pause": pause, "code": code}
        (folder / "told.json").write_text(json.dumps(told))
        return folder

    return tell


@contextlib.contextmanager
def started(head, folder, *words, **variables):
    """The command, running where raybead isn't, as on somebody's laptop."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from raybead.cli import main; main()", *map(str, words)],
        cwd=folder,
        env=head.environment | variables | {"PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def done(head, folder, *words, **variables):
    with started(head, folder, *words, **variables) as process:
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".fetched.json"
    }


@pytest.fixture(scope="module")
def prepared(head, where, work, tmp_path_factory):
    """The small job, prepared there and fetched: what was said, and the folder."""
    got = tmp_path_factory.mktemp("got")
    code, out, err = done(
        head, work, "submit", "job.toml", *where, "--verb", "prepare", "--fetch", got,
        "--fetch-events", "--id", "the-first",
    )  # fmt: skip
    assert code == 0, out + err
    assert err == ""
    return out, got / "small"


def test_a_job_runs_there_and_its_run_comes_here(prepared, head):
    out, got = prepared
    there = head.home / "runs" / "small"
    assert f"the run is kept in {there}" in out
    assert "prepare background: 4/4 files of events" in out
    assert "the-first has ended well" in out
    assert "note: output: runs lies in the home folder there" in out
    fetched = contents(got)
    assert "events/background/rows-0000000000-0000000200.parquet" in fetched
    assert fetched == contents(there)
    assert "token" not in out.replace("--token-file", "")


@pytest.mark.usefixtures("prepared")
def test_plain_ray_job_submit_goes_on_with_the_same_run(head, work):
    """Another submission of the same job finds what the first left."""
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", head.address,
        "--working-dir", ".", "--", "python", "-m", "raybead", "prepare", "job.toml",
    ]  # fmt: skip
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.token_file)}
    there = head.home / "runs" / "small"
    before = contents(there)
    del before["progress.json"]  # which tells of the last that worked on the run
    told = subprocess.run(
        command, cwd=work, env=head.environment | token, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{there}: all is current" in told.stdout
    after = contents(there)
    del after["progress.json"]
    assert after == before


@pytest.mark.usefixtures("prepared")
def test_a_job_that_ended_is_followed_and_fetched_again(head, where, work, tmp_path):
    got = tmp_path / "got"
    code, out, err = done(head, work, "follow", "the-first", *where, "--fetch", got)
    assert (code, err) == (0, "")
    assert "prepare background: 4/4 files of events" in out
    # Events stay where they are.
    assert set(contents(got / "small")) == {"job.toml", "progress.json"}
    code, _, err = done(head, work, "follow", "no-such-job", *where)
    assert (code, "there is no job no-such-job" in err) == (1, True)


def test_all_that_was_asked_reaches_the_job(head, where, probe):
    overrides = ["train.epochs=2", "loss=[{kind='mse', weight=2.0}]"]
    code, out, err = done(
        head, probe(code=7), "submit", "job.toml", *where, "--verb", "train",
        "--set", overrides[0], "--set", overrides[1], "--overwrite", "--exclude", "*.out",
        "--env", "GIVEN=a-secret-word", "--env", "FROM_HERE", "--id", "asked",
        FROM_HERE="another-secret",
    )  # fmt: skip
    assert (code, err) == (7, ""), out
    said = dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
    assert json.loads(said["arguments"]) == [
        "train", "job.toml", "--set", overrides[0], "--set", overrides[1], "--overwrite",
    ]  # fmt: skip
    files = json.loads(said["files"])
    assert {"job.toml", "data/background.h5", "raybead/__main__.py"} <= set(files)
    assert "left.out" not in files
    assert said["variables"] == "*** 14"  # it had them; here they aren't told
    assert "secret" not in out
    assert "asked failed with exit code 7" in out
    facts = JobServer.at(head.address, head.token_file).info("asked")["metadata"]
    assert (facts["name"], facts["verb"], facts["output"]) == ("small", "train", "runs")
    code, _, err = done(head, probe(), "submit", "job.toml", *where, "--id", "asked")
    assert (code, "--id asked: there is such a job" in err) == (1, True)


def test_a_dropped_connection_is_taken_up_again(head, probe):
    """Between the command and the head is somebody who drops all connections now and then."""
    folder, lines = probe(lines=40, pause=0.15), []
    with (
        dropping(head.address) as (address, drop),
        started(
            head, folder, "submit", "job.toml", "--address", address,
            "--token-file", head.token_file,
        ) as process,
    ):  # fmt: skip
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line in ("line 5\n", "line 15\n"):
                drop()
        assert (process.wait(60), process.stderr.read()) == (0, "")
    assert [line for line in lines if line.startswith("line ")] == [f"line {n}" for n in range(40)]


def test_who_stops_following_leaves_the_job_running(head, where, probe):
    folder = probe(lines=600, pause=0.2)
    with started(head, folder, "submit", "job.toml", *where, "--id", "left-alone") as process:
        for line in process.stdout:
            if line == "line 3\n":
                break
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=150)
    assert (process.returncode, err) == (130, "")
    assert "left-alone goes on there" in out
    assert f"follow it: raybead follow left-alone --address {head.address}" in out
    server = JobServer.at(head.address, head.token_file)
    assert server.info("left-alone")["status"] == "RUNNING"
    assert server.stop("left-alone")
    code, out, err = done(head, head.home, "follow", "left-alone", *where)
    assert (code, err) == (1, "")
    assert "left-alone was stopped" in out
    assert not server.stop("left-alone")


def test_nobody_waits_who_does_not_want_to(head, where, probe):
    code, out, err = done(
        head, probe(code=3), "submit", "job.toml", *where, "--no-wait", "--id", "own"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[-2].startswith("follow it: raybead follow own --address")
    assert done(head, head.home, "follow", "own", *where)[0] == 3


def test_who_is_not_let_in_is_told_in_one_line(head, work, tmp_path, monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    code, out, err = done(head, work, "submit", "job.toml", "--address", head.address)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"raybead: {head.address}: wants a token; say --token-file, or set RAY_AUTH_TOKEN_PATH"
    ]
    wrong = tmp_path / "wrong"
    wrong.write_text("f" * 32)
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    with listening(socket.socket.close) as not_http:
        for address, token, says in (
            (head.address, None, "wants a token"),
            (head.address, wrong, "refuses the token; it is another cluster's"),
            (nobody, head.token_file, "nobody answers there"),
            (head.address.replace("http", "https"), head.token_file, "no TLS|HTTP instead"),
            (not_http, head.token_file, "closed the connection"),
            (f"{head.address}/elsewhere", head.token_file, "is no Ray dashboard"),
        ):
            with pytest.raises(RunError, match=says) as refused:
                JobServer.at(address, token)
            assert len(str(refused.value).splitlines()) == 1
            assert "f" * 32 not in str(refused.value)


@contextlib.contextmanager
def listening(serve):
    """A port of this machine; ``serve`` gets each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                serve(server.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@contextlib.contextmanager
def dropping(address):
    """A relay of connections, and what drops all that are open."""
    goal = ("127.0.0.1", int(address.rpartition(":")[2]))
    held = []

    def move(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(here):
        there = socket.create_connection(goal)
        held.extend((here, there))
        for pair in ((here, there), (there, here)):
            threading.Thread(target=move, args=pair, daemon=True).start()

    def drop():
        while held:
            with held.pop() as one, contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    with listening(serve) as relay:
        yield relay, drop
        drop()

"""What is handed to a cluster: files, command, variables; and who is refused there."""

import contextlib
import os
import shlex
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests

from raybead.cli import main
from raybead.config import parse_job
from raybead.console import Console
from raybead.distributed.fetch import RunThere, fetch_run
from raybead.distributed.job_log import Lines
from raybead.distributed.job_server import ADDRESSES, JobServer, _address, _headers
from raybead.distributed.submit import (
    Environment,
    entrypoint,
    exit_code,
    how_it_ended,
    new_id,
    submit,
)
from raybead.distributed.upload import Upload
from raybead.errors import JobError, RunError
from raybead.storage import Folder

JOB = """
name = "small"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "parquet"
path = {search}
"""


def job_of(output="runs", background="data/a.h5", search='"data/*.parquet"'):
    return parse_job(JOB.format(output=output, background=background, search=search))


@pytest.fixture
def folder(tmp_path):
    """A working directory with what people have in theirs."""
    work = tmp_path / "work"
    for name in (
        "jobs/job.toml", "data/a.h5", "data/b.parquet", "data/c.parquet", "notes.txt", ".env",
        ".git/objects/ab", ".venv/bin/python", "raybead/__init__.py", "raybead/cli.py",
        "raybead/__pycache__/cli.pyc", "build/lib/x.py", "x.egg-info/PKG-INFO",
        "runs/old/job.toml",
        "deep/runs/kept.txt", "big/one.bin", "big/two.bin", "ignored/x", "deep/secret.key",
    ):  # fmt: skip
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(b"x" * 10)
    (work / ".gitignore").write_text("/ignored\n")
    (work / "deep" / ".rayignore").write_text("*.key\n")
    return work


SENT = {
    ".gitignore", "jobs/job.toml", "data/a.h5", "data/b.parquet", "data/c.parquet", "notes.txt",
    "raybead/__init__.py", "raybead/cli.py", "deep/runs/kept.txt", "deep/.rayignore",
    "big/one.bin", "big/two.bin",
}  # fmt: skip


def test_what_is_told_is_what_ray_packs(folder, tmp_path):
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import create_package

    upload = Upload.of(folder, ["big/t*"], output="runs")
    assert set(upload.files) == SENT - {"big/two.bin"}
    assert upload.size == sum((folder / name).stat().st_size for name in upload.files)
    package = tmp_path / "package.zip"
    excludes = [*get_runtime_env_default_excludes(), *upload.excludes]
    create_package(str(folder), package, include_gitignore=True, excludes=excludes)
    with zipfile.ZipFile(package) as packed:
        assert {n for n in packed.namelist() if not n.endswith("/")} == set(upload.files)


@pytest.mark.parametrize(
    ("output", "left_out"),
    [
        ("runs", True), ("./runs/", True), ("{folder}/runs", True), ("s3://bucket/runs", False),
        ("..", False), (".", False), ("/elsewhere/runs", False), ("run?", False),
    ],
)  # fmt: skip
def test_the_job_s_own_output_is_not_sent(folder, output, left_out):
    upload = Upload.of(folder, output=output.format(folder=folder))
    assert set(upload.files) == SENT | (set() if left_out else {"runs/old/job.toml"})


def test_too_much_is_refused_with_what_is_largest(folder):
    (folder / "big/one.bin").write_bytes(b"x" * 5000)
    (folder / "data/a.h5").write_bytes(b"x" * 3000)
    upload = Upload.of(folder)
    with pytest.raises(JobError, match=r"more than the 2\.0 kB .*: big \(5\.0 kB\), data \(3\.0"):
        upload.refuse_more_than(2000)
    upload.refuse_more_than(upload.size + 1)
    with pytest.raises(JobError, match="more than"):
        upload.refuse_more_than(upload.size)  # Ray refuses this too


def test_ray_s_own_limit_holds(folder):
    with (folder / "big/one.bin").open("wb") as file:
        file.truncate(600 * 2**20)  # a hole; nothing is written
    with pytest.raises(JobError, match=r"629\.\d MB are more than the 536\.9 MB .* big \(629\.1"):
        Upload.of(folder)
    Upload.of(folder, ["/big"])


def test_the_job_file_has_to_be_sent(folder, tmp_path):
    upload = Upload.of(folder, ["notes.txt"])
    assert upload.job_file(folder / "jobs" / ".." / "jobs" / "job.toml") == "jobs/job.toml"
    outside = tmp_path / "outside.toml"
    outside.write_text("")
    with pytest.raises(JobError, match=r"outside\.toml: lies outside of --working-dir"):
        upload.job_file(outside)
    with pytest.raises(JobError, match="leaves it out"):
        upload.job_file(folder / "notes.txt")


def test_paths_are_followed_to_the_cluster(folder):
    upload = Upload.of(folder)
    home = "output: runs lies in the home folder there, not in what is sent"
    own = "raybead itself is taken from what is sent, without its compiled parts"
    first, second = upload.notes(job_of())
    assert first == home
    assert second.startswith(own)
    (folder / "raybead" / "models").mkdir()
    (folder / "raybead/models/_pairs.cpython-311-x86_64-linux-gnu.so").write_bytes(b"x")
    assert list(Upload.of(folder).notes(job_of())) == [home]
    upload = Upload.of(folder, ["/raybead"])
    notes = list(upload.notes(job_of("/shared/runs", "/shared/a.h5", '["s3://b/x", "data"]')))
    assert notes == [
        "data.background.path: /shared/a.h5 is taken as it is on the cluster",
        "output: /shared/runs is taken as it is on the cluster",
    ]
    for job, excludes, says in (
        (job_of(background="data/no.h5"), [], "data/no.h5 isn't in --working-dir"),
        (job_of(background="data/a.h5"), ["*.h5"], "data/a.h5: data/a.h5 isn't sent"),
        (job_of(background="../a.h5"), [], "a.h5 isn't sent: it lies outside"),
        # Some of a pattern's files would be events that are missing without a word.
        (job_of(), ["c.parquet"], r"data/\*.parquet: data/c.parquet isn't sent"),
    ):
        (folder.parent / "a.h5").write_bytes(b"x")
        with pytest.raises(JobError, match=says):
            list(Upload.of(folder, excludes).notes(job))


def test_the_command_survives_a_shell(tmp_path):
    overrides = ["loss=[{kind='mse'}, {kind=\"kl\"}]", "data.search.path=$HOME/`a b`; rm -rf *"]
    command = entrypoint("run", "my jobs/job.toml", overrides, from_sweep=True, overwrite=True)
    assert shlex.split(command) == [
        "python", "-m", "raybead", "run", "my jobs/job.toml", "--set", overrides[0], "--set",
        overrides[1], "--from-sweep", "--overwrite",
    ]  # fmt: skip
    shell = os.popen(f"cd {tmp_path} && printf '%s\\n' {command}").read().splitlines()
    assert shell == shlex.split(command)


def test_what_variables_hold_is_never_told(monkeypatch):
    monkeypatch.setenv("FROM_HERE", "sesame-open")
    environment = Environment.of(["FROM_HERE", "GIVEN=a=long=secret", "EMPTY=", "THREADS=4"])
    assert environment.values == {
        "FROM_HERE": "sesame-open", "GIVEN": "a=long=secret", "EMPTY": "", "THREADS": "4",
    }  # fmt: skip
    assert "sesame" not in repr(environment)
    said = environment.hidden("keys sesame-open and a=long=secret, 4 of them")
    assert said == "keys *** and ***, 4 of them"
    nested = Environment.of(["A=secret", "B=secretive"])  # the longer first
    assert nested.hidden("secretive") == "***"
    # A log comes line by line.
    key = Environment({"KEY": "-----BEGIN KEY-----\nAAAABBBB\nend"})
    assert key.hidden("it says AAAABBBB") == "it says ***"
    assert key.hidden("the end") == "the end"
    monkeypatch.delenv("NOT_HERE", raising=False)
    with pytest.raises(JobError, match="--env NOT_HERE: isn't set here"):
        Environment.of(["NOT_HERE"])
    with pytest.raises(JobError, match="--env number 2: say NAME") as refused:
        Environment.of(["A=1", "sesame open"])
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("info", "code", "says"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0, "has ended well"),
        ({"status": "FAILED", "driver_exit_code": 7}, 7, "failed with exit code 7"),
        ({"status": "FAILED", "driver_exit_code": -9}, 137, "failed with exit code -9"),
        ({"status": "FAILED", "driver_exit_code": 0}, 1, "failed: the cluster does not say why"),
        ({"status": "FAILED", "driver_exit_code": 256}, 1, "failed with exit code 256"),
        ({"status": "FAILED", "message": "no such package\nTrace"}, 1, "failed: no such package"),
        ({"status": "STOPPED", "driver_exit_code": None}, 1, "was stopped"),
    ],
)
def test_a_job_s_end_is_the_command_s(info, code, says):
    assert (exit_code(info), how_it_ended(info)) == (code, says)


def test_ids_differ():
    assert new_id("demo") != new_id("demo")
    assert new_id("demo").startswith("demo-2")


@pytest.mark.parametrize("pieces", [(5, 9, 100), (100,), (1,) * 30, (11, 3, 3, 20)])
@pytest.mark.parametrize("cuts", [(), (1,), (2, 2), (1, 1, 1)])
def test_lines_come_once_over_many_connections(pieces, cuts):
    """Every connection sends the log from its beginning, in other pieces."""
    text = "first\nsecond line\n\nlast, without an end"
    taken = []
    lines = Lines(taken.append)
    for connection in (*cuts, None):
        lines.restart()
        rest = text
        for size in pieces[:connection]:
            lines.add(rest[:size])
            rest = rest[size:]
        if connection is None:
            lines.add(rest)
    lines.end()
    assert taken == text.split("\n")


def test_addresses(monkeypatch):
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RunError, match="no cluster to submit to; say --address"):
        _address(None)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(RunError, match="RAY_ADDRESS auto: jobs go to the dashboard's address"):
        _address(None)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://api:8265/")
    assert _address(None) == "http://api:8265"
    assert _address("https://head/ray/") == "https://head/ray"
    for wrong in ("head:8265", "ray://head:10001", "ftp://head", "http://", "head"):
        with pytest.raises(RunError, match="such as http://HEAD:8265"):
            _address(wrong)


def test_a_name_or_password_in_an_address_is_refused_untold():
    for address in ("https://me:s3cr3t@host:8265", "http://s3cr3t@host:8265"):
        with pytest.raises(RunError, match="takes no name or password") as refused:
            JobServer.at(address)
        assert "s3cr3t" not in str(refused.value)


def test_the_token_is_sent_whatever_netrc_says(monkeypatch, tmp_path):
    class Dashboard(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["Authorization"])
            body = b'{"ray_version": "2.60.0"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    seen: list[str] = []
    (tmp_path / ".netrc").write_text("default login me password sesame\n")
    (tmp_path / "token").write_text("tok")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with HTTPServer(("127.0.0.1", 0), Dashboard) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = JobServer.at(f"http://127.0.0.1:{server.server_port}", tmp_path / "token")
        with found.client():  # Ray's own asks for the version as well
            pass
        server.shutdown()
    assert len(seen) >= 2
    assert set(seen) == {"Bearer tok"}


def test_a_file_that_cannot_be_sent_ends_in_one_line(monkeypatch):
    class Client:
        def submit_job(self, **_):
            raise PermissionError(13, "Permission denied", "notes.txt")

    @contextlib.contextmanager
    def client(_):
        yield Client()

    monkeypatch.setattr(JobServer, "client", client)
    with pytest.raises(RunError, match=r"the job isn't taken: .*notes\.txt"):
        submit(
            JobServer("http://here"), "true", "id", None,
            runtime_env={}, metadata={}, environment=Environment(),
        )  # fmt: skip


def test_tokens_are_looked_for_where_ray_does(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _headers(None) == {}

    def file(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    file(".ray/auth_token", "at-home\n")
    assert _headers(None) == {"Authorization": "Bearer at-home"}
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file("named", "named")))
    assert _headers(None) == {"Authorization": "Bearer named"}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "said")
    assert _headers(None) == {"Authorization": "Bearer said"}
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert _headers(None) == {}
    assert _headers(file("given", "given")) == {"Authorization": "Bearer given"}
    assert "given" not in repr(JobServer("http://head", _headers(tmp_path / "given")))
    for text, says in (("", "holds no token"), ("two words", "isn't one"), ("a\nb", "isn't one")):
        with pytest.raises(RunError, match=says) as refused:
            _headers(file("given", text))
        assert "words" not in str(refused.value)
    with pytest.raises(RunError, match="can't be read: No such file"):
        _headers(tmp_path / "none")


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"name": "a", "output": "runs"}, "~/runs/a"),
        ({"name": "a", "output": "/shared/"}, "/shared/a"),
        ({"name": "a", "output": "s3://b/runs/"}, "s3://b/runs/a"),
        ({"name": "..", "output": "runs"}, None),
        ({"name": "a/../../b", "output": "runs"}, None),
        ({"name": "a"}, None),
        (None, None),
    ],
)
def test_where_a_run_lies(metadata, path):
    if path is None:
        with pytest.raises(RunError, match="doesn't say where its run lies"):
            RunThere.of(metadata, "id")
    else:
        assert RunThere.of(metadata, "id").path == path


def test_nothing_is_sent_of_what_cannot_be_done(folder, monkeypatch, capsys):
    """Faults of the job and of the options are told before anybody is asked."""
    monkeypatch.chdir(folder)
    (folder / "jobs/job.toml").write_text(JOB.format(output="runs", background="data/a.h5",
                                                     search='"data"'))  # fmt: skip

    def nobody(*_, **__):
        raise AssertionError("asked")

    monkeypatch.setattr(requests, "get", nobody)
    (folder / "got" / "small").mkdir(parents=True)
    for options, code, says in (
        (("--set", "train.epoch=3"), 2, "did you mean 'train.epochs'"),
        (("--verb", "sweep"), 2, "needs a job with [sweep]"),
        (("--verb", "hnt"), 2, "hnt"),
        (("--env", "NOT_HERE_AT_ALL"), 2, "isn't set here"),
        (("--working-dir", "data"), 2, "outside of --working-dir"),
        (("--working-dir", "nowhere"), 2, "no such folder"),
        (("--exclude", "*.toml"), 2, "leaves it out"),
        (("--exclude", "*.h5"), 2, "isn't sent"),
        (("--no-wait", "--fetch", "x"), 2, "nothing to fetch yet"),
        (("--fetch", "got"), 1, "wasn't fetched"),
        (("--address", "ray://head:1"), 1, "such as http://HEAD:8265"),
        (("--address", "http://head", "--token-file", "no"), 1, "no: the token can't be read"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["submit", "jobs/job.toml", *options])
        said = capsys.readouterr()
        assert (ended.value.code, says in said.err) == (code, True), said.err
        assert len(said.err.strip().splitlines()) == 1
        assert said.out == ""


def test_a_run_in_a_store_is_read_from_here(tmp_path):
    there = Folder.at("memory://raybead-tests/runs/small")
    files = {"job.toml": b"x", "model/weights": b"y" * 100, "events/search/rows.parquet": b"z"}
    for name, content in {**files, ".partial/model/state.pt": b"half"}.items():
        there.write(name, content)
    run = RunThere.of({"name": "small", "output": "memory://raybead-tests/runs"}, "id")
    for events in (True, False):  # what was fetched before gives way
        fetch_run(
            run, tmp_path, JobServer("http://nobody"), Console(quiet=True), events=events,
            runtime_env={}, environment=Environment(),
        )  # fmt: skip
        here = Folder.at(str(tmp_path / "small"))
        kept = {name for name in files if events or not name.startswith("events")}
        assert {name: here.read(name) for name in kept} == {name: files[name] for name in kept}
        assert set(here.files()) == kept | {".fetched.json"}
    with pytest.raises(RunError, match="no run of raybead there"):
        fetch_run(
            RunThere("other", run.output), tmp_path, JobServer("http://nobody"),
            Console(quiet=True), events=False, runtime_env={}, environment=Environment(),
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["small"]

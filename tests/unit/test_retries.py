"""Stores that fail for a while, and stores that fail for good."""

import errno
import gzip
import io
import pickle
from types import SimpleNamespace

import h5py
import numpy as np
import pyarrow.fs
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fsspec.implementations.memory import MemoryFileSystem
from made import lhco, make_particles

from raybead.errors import InputError, StorageError
from raybead.events import Span, open_source, write_lhco
from raybead.storage import Folder, found_files, open_input, retries
from raybead.storage.retries import is_passing, patiently


def refusal(status, code, operation="GetObject"):
    facts = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(facts, operation)


NAMES = "info", "ls", "find", "glob", "cat_file", "pipe_file", "rm_file", "rm", "_open", "cp_file"


class Unsteady:
    """What becomes of requests to the store in memory."""

    asked = 0
    fails, error = 0, ConnectionResetError("reset")
    """Of so many requests all but the last fail, and how."""
    inside = False
    silent = 0
    """Deletions that do nothing."""
    lost_answers = 0
    """Deletions that are done though the answer says otherwise."""

    @classmethod
    def turn(cls):
        cls.asked += 1
        if cls.fails and cls.asked % cls.fails:
            raise cls.error

    @classmethod
    def spend(cls, name):
        left = getattr(cls, name)
        setattr(cls, name, max(left - 1, 0))
        return left > 0


class UnsteadyFile(io.BytesIO):
    def read(self, size=-1):
        content = super().read(size)
        Unsteady.turn()  # when the place is already another
        return content

    def readinto(self, _):
        raise AssertionError("parts are read by read")


@pytest.fixture
def store(monkeypatch):
    """A folder of a store in memory that does what it is asked only every so often."""
    kept = {name: vars(Unsteady)[name] for name in vars(Unsteady) if name[0] != "_"}
    for name, value in kept.items():
        monkeypatch.setattr(Unsteady, name, value)
    monkeypatch.setattr(retries, "time", SimpleNamespace(monotonic=Clock(), sleep=lambda _: None))
    whole = {name: getattr(MemoryFileSystem, name) for name in NAMES}

    def asked(name):
        def ask(self, path, *arguments, **options):
            if Unsteady.inside:  # what a store asks of itself is part of one request
                return whole[name](self, path, *arguments, **options)
            Unsteady.turn()
            if name == "rm" and Unsteady.spend("silent"):
                return None
            monkeypatch.setattr(Unsteady, "inside", True)
            try:
                done = whole[name](self, path, *arguments, **options)
            finally:
                monkeypatch.setattr(Unsteady, "inside", False)
            if name == "rm_file" and Unsteady.spend("lost_answers"):
                raise ConnectionResetError("reset")
            return UnsteadyFile(done.getvalue()) if name == "_open" else done

        return ask

    for name in whole:
        monkeypatch.setattr(MemoryFileSystem, name, asked(name))
    folder = Folder.at("memory://bucket/run")
    yield folder
    # Its traceback would hold what h5py opened until the process ends, and h5py then crashes.
    Unsteady.error.__traceback__ = Unsteady.error.__context__ = None
    Unsteady.fails = Unsteady.silent = 0
    Folder.at("memory://bucket").delete()


class Clock:
    """Every look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(
    "error",
    [
        refusal(500, "InternalError"),
        refusal(503, "SlowDown", "PutObject"),
        refusal(200, "SlowDown"),
        ConnectionResetError("reset"),
        BrokenPipeError(),
        TimeoutError(),
        EndpointConnectionError(endpoint_url="http://a"),
    ],
)
def test_what_passes_is_asked_again(store, error):
    Unsteady.fails, Unsteady.error = 3, error
    store.write("a.bin", b"12")
    assert store.read("a.bin") == b"12"
    assert store.exists("a.bin")
    assert not store.exists("b.bin")
    assert store.names() == ["a.bin"]
    assert found_files("memory://bucket/run/*.bin") == (True, ["memory:///bucket/run/a.bin"])
    with open_input("memory://bucket/run/a.bin") as file:
        assert file.read() == b"12"
    store.move_to(Folder.at("memory://bucket/there"))
    assert store.names() == []
    assert Folder.at("memory://bucket/there").read("a.bin") == b"12"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal(403, "AccessDenied"), "AccessDenied"),
        (refusal(404, "NoSuchBucket"), "NoSuchBucket"),
        (PermissionError(errno.EACCES, "Forbidden"), "Forbidden"),
        (FileNotFoundError(), "not there"),
    ],
)
def test_what_lasts_is_said_at_once(store, error, says):
    Unsteady.fails, Unsteady.error = 1_000_000, error
    with pytest.raises(StorageError, match=says):
        store.read("a.bin")
    assert Unsteady.asked == 1


def test_an_error_keeps_what_it_came_of():
    def handed_on(cause):
        try:
            try:
                raise cause
            except ClientError:
                raise OSError(errno.EIO, "Service Unavailable")  # noqa: B904  as s3fs does
        except OSError as error:
            return error

    assert is_passing(handed_on(refusal(503, "503")))
    assert not is_passing(handed_on(refusal(400, "InvalidRequest")))


def test_there_is_an_end_to_patience_and_it_is_one_line(store, caplog):
    Unsteady.fails, Unsteady.error = 1_000_000, refusal(503, "SlowDown")
    wanted = (
        r"^memory://bucket/run/a\.bin: An error .*SlowDown.* \(asked again and again for 120 s\)$"
    )
    with pytest.raises(StorageError, match=wanted):
        store.read("a.bin")
    assert Unsteady.asked == 120
    assert len(caplog.messages) == 1
    assert "asking again for up to 120 s" in caplog.text


def test_pauses_grow_and_are_bounded(monkeypatch):
    pauses = []
    clock = SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append)
    monkeypatch.setattr(retries, "time", clock)

    def never():
        raise ConnectionResetError

    with pytest.raises(OSError, match=r"asked again and again"):
        patiently(never, "x")
    assert 0.125 <= pauses[0] <= 0.25
    assert max(pauses) <= 15
    assert 120 <= sum(pauses) <= 135
    assert len(pauses) < 30


def test_what_was_done_though_the_answer_was_lost_is_done(store):
    store.write("a.bin", b"1")
    Unsteady.lost_answers = 1
    store.remove("a.bin")
    assert not store.exists("a.bin")
    with pytest.raises(StorageError, match="not there"):  # it never was
        store.remove("b.bin")
    store.remove("b.bin", missing_ok=True)


def test_a_folder_is_gone_or_it_is_said(store):
    store.write("a.bin", b"1")
    Unsteady.silent = 2
    store.delete()
    assert not store.exists()
    store.write("a.bin", b"1")
    Unsteady.silent = 1_000_000
    with pytest.raises(StorageError, match="not all of it was removed"):
        store.delete()


@pytest.fixture
def events(store, tmp_path):
    """An LHC Olympics file in the store."""
    write_lhco(tmp_path / "x.h5", [make_particles(12, seed=5)], 12, "column")
    store.write("x.h5", (tmp_path / "x.h5").read_bytes())
    return tmp_path / "x.h5"


def test_parts_of_an_input_are_read_again(store, events):
    Unsteady.fails = 3
    with open_input(f"{store}/x.h5") as file, h5py.File(file) as ours, h5py.File(events) as theirs:
        np.testing.assert_array_equal(ours["df/block0_values"][:], theirs["df/block0_values"][:])


@pytest.mark.parametrize("error", [refusal(503, "SlowDown"), refusal(403, "ExpiredToken")])
def test_a_store_that_fails_for_good_is_no_damaged_file(store, events, monkeypatch, error):
    """Rows of damaged files are left out and counted; these are there, and may be had later."""
    source = open_source(lhco(f"{store}/x.h5"))
    assert len(source.read(Span(0, 12))[0].event) == 12
    monkeypatch.setattr(Unsteady, "error", error)
    whole, place = MemoryFileSystem._open, []

    def opened(self, path, mode="rb", **more):
        file = whole(self, path, mode, **more)
        place.append(file)
        read = file.read

        def breaks(size=-1):
            if file.tell() > len(events.read_bytes()) // 2:
                raise error
            return read(size)

        file.read = breaks
        return file

    monkeypatch.setattr(MemoryFileSystem, "_open", opened)
    with pytest.raises(InputError) as caught:
        source.read(Span(0, 12))
    assert type(caught.value) is InputError
    assert "damaged" not in str(caught.value)
    assert error.response["Error"]["Code"] in str(caught.value)
    assert place


def test_packed_text_is_read_in_parts(store):
    content = b"".join(f"{n}\n".encode() for n in range(100_000))
    store.write("a.gz", gzip.compress(content))
    Unsteady.fails = 2
    with open_input(f"{store}/a.gz") as file, gzip.GzipFile(fileobj=file) as text:
        assert text.read() == content


def test_what_arrow_copies_gets_there_whole(store, tmp_path):
    """As Ray Train's checkpoints do, in a process that gets the file system pickled."""
    (tmp_path / "in").mkdir()
    content = np.random.default_rng(1).bytes(3_000_000)
    (tmp_path / "in/state.pt").write_bytes(content)
    Unsteady.fails = 2
    filesystem, path = pickle.loads(pickle.dumps(store.arrow()))
    local = pyarrow.fs.LocalFileSystem()
    pyarrow.fs.copy_files(f"{tmp_path}/in", f"{path}/0", local, filesystem)
    assert store.read("0/state.pt") == content
    (tmp_path / "out").mkdir()
    pyarrow.fs.copy_files(f"{path}/0", f"{tmp_path}/out", filesystem, local)
    assert (tmp_path / "out/state.pt").read_bytes() == content
    filesystem.delete_dir(f"{path}/0")
    assert not store.exists("0/state.pt")


def test_a_file_whose_writing_failed_is_not_there():
    store = retries.PatientStore(MemoryFileSystem())
    path = "/unfinished/state.pt"
    half = store.open(path, "wb")
    half.write(b"half")
    del half  # whoever wrote it went without closing it
    assert not store.exists(path)

    def breaks_off():
        with store.open(path, "wb") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert not store.exists(path)
    with store.open(path, "wb") as file:
        file.write(b"whole")
    assert store.cat_file(path) == b"whole"

import errno
import os

import pytest

from raybead.errors import InputError, RunError, StorageError
from raybead.storage import (
    Folder,
    Stage,
    fingerprint,
    found_files,
    is_current,
    open_input,
    stage_facts,
)


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    """A folder on a local disk, and one in an object store."""
    place = Folder.at(str(tmp_path / "run") if request.param == "local" else "memory://bucket/run")
    yield place
    place.delete()


def test_files_come_back(folder):
    folder.write("a/b.bin", b"12")
    folder.write("a/b.bin", b"3")
    folder.write_json("c.json", {"x": [1, 2.5]})
    assert (folder / "a").read("b.bin") == b"3"
    assert folder.read_json("c.json") == {"x": [1, 2.5]}
    assert (folder / "a").names(".bin") == ["b.bin"]
    assert (folder / "nowhere").names() == []
    with pytest.raises(StorageError, match=r"nothing\.json: not there"):
        folder.read_json("nothing.json")


def test_json_without_meaning_elsewhere_is_refused(folder):
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json("c.json", {"x": float("nan")})


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    place = Folder.at(str(tmp_path))
    place.write("old.bin", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        place.write("old.bin", b"new")
    assert place.names() == ["old.bin"]
    assert place.read("old.bin") == b"old"


def test_a_stage_is_stale_until_signed_and_says_why(folder):
    stage = Stage(folder, "hunt", {"hunt": {"cuts": [0.9]}, "seed": 0})
    assert stage.why_stale() == "not done yet"
    with pytest.raises(RunError):
        stage_facts(folder, "hunt")
    stage.beside.write("result.json", b"{}")
    assert stage.why_stale() == "resumed where it stopped"
    stage.finish({"n": 1})
    assert stage.why_stale() is None
    assert stage.folder.names() == ["_manifest.json", "result.json"]
    assert stage_facts(folder, "hunt") == {"n": 1}
    other = Stage(folder, "hunt", {"hunt": {"cuts": [0.95]}, "seed": 0})
    assert other.why_stale() == "changed: hunt"
    other.beside.write("other.json", b"{}")
    other.finish({})
    assert stage.folder.names() == ["_manifest.json", "other.json"]


def test_what_was_studied_in_another_manner_still_tells_of_the_same(folder):
    manner = frozenset({"how"})
    done = Stage(folder, "calibration", {"hunt": 1, "how": {"sets": 20}}, manner)
    done.beside.write("result.json", b"{}")
    done.finish({})
    other = Stage(folder, "calibration", {"hunt": 1, "how": {"sets": 30}}, manner)
    of_another_hunt = Stage(folder, "calibration", {"hunt": 2, "how": {"sets": 20}}, manner)
    assert done.held() == other.held() == done.key
    assert of_another_hunt.held() is None
    assert other.why_stale() == "changed: how"  # who asks for it gets it
    for stage, current in ((of_another_hunt, False), (other, True), (done, True)):
        stage.mark()
        assert is_current(folder, "calibration") is current
    (folder / "calibration").delete()
    assert other.held() is None


def test_a_fingerprint_follows_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = fingerprint(str(path))
    assert fingerprint(str(path)) == before
    path.write_bytes(b"12")
    assert fingerprint(str(path)) != before


def test_a_store_without_credentials_is_said_in_one_line(tmp_path, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()  # what other tests have opened has credentials
    folder = Folder.at("s3://bucket/run")
    for use in (folder.names, folder.exists, folder.size, lambda: folder.write("a", b"1")):
        with pytest.raises(
            StorageError, match=r"^s3://bucket/run.*: Unable to locate credentials$"
        ):
            use()
    for use in (fingerprint, found_files, lambda uri: open_input(uri).__enter__()):
        with pytest.raises(
            InputError, match=r"^s3://bucket/x\.h5: can't be read: Unable to locate"
        ):
            use("s3://bucket/x.h5")
    s3fs.S3FileSystem.clear_instance_cache()

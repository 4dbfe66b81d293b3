"""Downloads that are refused: one line, a non-zero exit, nothing wrong left behind."""

from __future__ import annotations

import fcntl
import hashlib
import shutil

import pytest
from zenodo import BOX, CONTENT, KEY, Answer, names_in

from raybead.cli import main
from raybead.events import LHCO_FILES


def refused(result, says, code=1):
    status, _, err = result
    assert status == code
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("blackbox4", "did you mean 'blackbox3'?"),
        ("BlackBox1", "did you mean 'blackbox1'?"),
        ("rnd-feature", "did you mean 'rnd-features'?"),
        ("events_LHCO2020_BlackBox1", f"did you mean '{BOX}'?"),
        ("zzz", "there are background, blackbox1,"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(downloaded, zenodo, tmp_path, name, says):
    refused(downloaded("blackbox1", name), says, code=2)
    assert zenodo.records_asked == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("before", [b"", CONTENT[:5000]])
def test_a_wrong_checksum_deletes_the_part(downloaded, zenodo, tmp_path, before):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{KEY}.part").write_bytes(before)
    zenodo.checksums[KEY] = "md5:" + "0" * 32
    right = hashlib.md5(CONTENT).hexdigest()
    says = f"what came is wrong and was deleted: its md5 is {right}, the record's {'0' * 32}"
    refused(downloaded("blackbox1-key"), says)
    assert names_in(tmp_path / "data") == []


def test_a_spoiled_part_is_found_out(downloaded, tmp_path, zenodo):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{KEY}.part").write_bytes(b"x" * 5000)
    refused(downloaded("blackbox1-key"), "was deleted: its md5 is")
    assert zenodo.ranges == ["bytes=5000-"]
    assert downloaded("blackbox1-key")[0] == 0
    assert (tmp_path / "data" / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT) - 7, len(CONTENT) + 7])
@pytest.mark.parametrize("before", [b"", CONTENT[:5000]])
def test_sizes_that_differ_are_refused_before_anything_is_written(
    downloaded, zenodo, tmp_path, size, before
):
    part = tmp_path / "data" / f"{KEY}.part"
    part.parent.mkdir()
    part.write_bytes(before)
    zenodo.sizes[KEY] = size
    refused(downloaded("blackbox1-key"), f"has {len(CONTENT)} bytes, the record's {size}")
    assert names_in(part.parent) == ([part.name] if before else [])
    assert not before or part.read_bytes() == before


def test_an_endless_answer_of_no_told_length_is_refused(downloaded, zenodo, tmp_path):
    zenodo.answers.append(Answer(length=False, extra=b"x"))
    refused(downloaded("blackbox1-key"), "sends more than the 200000 bytes of the record")
    assert names_in(tmp_path / "data") == []


def test_a_short_answer_of_no_told_length_is_a_cut(downloaded, zenodo):
    zenodo.answers.append(Answer(length=False, cut_at=100))
    code, out, _ = downloaded("blackbox1-key")
    assert (code, "cut at 100 of 200000 bytes" in out) == (0, True)


@pytest.mark.parametrize(
    ("answer", "says", "kept"),
    [
        (Answer(status=503), "HTTP 503 Service Unavailable; given up after 3 tries", 0),
        (Answer(status=404), "HTTP 404 Not Found", 0),
        (Answer(status=403), "HTTP 403 Forbidden", 0),
        (Answer(status=416), "HTTP 416", 0),
        (Answer(status=204), "HTTP 204, which isn't a file", 0),
        (Answer(unasked_206=True), "HTTP 206, which isn't a file", 0),
        (Answer(cut_at=0), "cut at 0 of 200000 bytes; given up after 3 tries", 0),
        (Answer(cut_at=9, ranges=False), "cut at 9 of 200000 bytes; given up after 3 tries", 9),
    ],
)
def test_what_stays_wrong_is_given_up(downloaded, zenodo, tmp_path, answer, says, kept):
    zenodo.answers.append(answer)
    zenodo.stuck = True
    refused(downloaded("blackbox1-key"), says)
    assert [path.stat().st_size for path in (tmp_path / "data").iterdir()] == [kept] * bool(kept)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ((404, b""), "HTTP 404 Not Found"),
        ((200, b"<html>"), "not a record with files: Invalid JSON"),
        ((200, b'{"id": 4536624}'), "not a record with files: files: Field required"),
        ((200, b'{"files": [{"key": "a"}]}'), "not a record with files: files.0.size: Field"),
        ((200, b'{"files": []}'), "it has none at all"),
    ],
)
def test_a_record_that_is_none_is_refused(downloaded, zenodo, body, says):
    zenodo.record_answers.append(body)
    refused(downloaded("blackbox1-key"), says)


@pytest.mark.parametrize("checksum", ["", "crc32:00000000", "md5:123", "d" * 32])
def test_what_cannot_be_checked_is_refused(downloaded, zenodo, checksum):
    zenodo.checksums[KEY] = checksum
    refused(downloaded("blackbox1-key"), "only md5, sha256 and sha512 can be checked")
    assert zenodo.sent == 0


def test_a_file_off_the_web_is_refused(downloaded, zenodo, monkeypatch):
    record = zenodo.record()
    record["files"][0]["links"]["self"] = "file:///etc/hostname"
    monkeypatch.setattr(zenodo, "record", lambda: record)
    refused(downloaded("blackbox1-key"), "lies at 'file:///etc/hostname', which isn't on the web")


def test_a_missing_file_is_said_before_any_is_fetched(downloaded, zenodo):
    refused(downloaded("blackbox1-key", "blackbox2"), f"no file '{LHCO_FILES['blackbox2'].key}'")
    assert zenodo.sent == 0


def test_no_server_is_said(downloaded):
    refused(
        downloaded("rnd", api="http://127.0.0.1:9/api"), "Connection refused; given up after 3"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--record-api", "ftp://x"), "record_api: String should match"),
        (("--record-api", "http://["), "http://["),
        (("--tries", "0"), "tries: Input should be greater than 0"),
        (("--wait", "nan"), "wait: Input should be a finite number"),
        (("--to", "s3://bucket/x"), "a local folder, not to a URI"),
    ],
)
def test_bad_options_end_in_one_line(capsys, options, says):
    with pytest.raises(SystemExit) as ended:
        main(["download", "rnd", *options])
    refused((ended.value.code, "", capsys.readouterr().err), says, code=ended.value.code)
    assert ended.value.code in (1, 2)


@pytest.mark.parametrize(
    ("theirs", "says"),
    [(b"precious", "it has 8 bytes"), (CONTENT[::-1], "its md5 is")],
)
def test_another_file_of_that_name_is_left_alone(downloaded, zenodo, tmp_path, theirs, says):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / KEY).write_bytes(theirs)
    refused(downloaded("blackbox1-key"), f"{KEY}: there already, but {says}")
    assert (tmp_path / "data" / KEY).read_bytes() == theirs
    assert zenodo.sent == 0


def test_a_folder_of_that_name_is_left_alone(downloaded, tmp_path):
    (tmp_path / "data" / KEY).mkdir(parents=True)
    refused(downloaded("blackbox1-key"), "there already, but it isn't a file")


def test_a_full_disk_is_one_line(downloaded, zenodo, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{KEY}.part").symlink_to("/dev/full")  # takes no byte, as Linux has it
    refused(downloaded("blackbox1-key"), "no space left on the device; what came is kept")
    assert len(zenodo.ranges) == 1  # and it isn't asked again as if the network had failed


def test_a_disk_too_small_is_known_beforehand(downloaded, zenodo, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{KEY}.part").write_bytes(CONTENT[:50_000])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=149_999))
    refused(
        downloaded("blackbox1-key"), "150.0 kB are still to come, and the disk has 150.0 kB free"
    )
    assert zenodo.ranges == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=150_000))
    assert downloaded("blackbox1-key")[0] == 0


def test_a_folder_that_cannot_be_made_is_one_line(downloaded, tmp_path):
    (tmp_path / "data").write_text("a file")
    refused(downloaded("blackbox1-key"), "File exists")


def test_two_at_once_do_not_mix(downloaded, tmp_path):
    (tmp_path / "data").mkdir()
    part = tmp_path / "data" / f"{KEY}.part"
    with part.open("wb") as other:
        other.write(CONTENT[:9])
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(downloaded("blackbox1-key"), "another process is fetching this file")
        assert part.read_bytes() == CONTENT[:9]
    assert downloaded("blackbox1-key")[0] == 0

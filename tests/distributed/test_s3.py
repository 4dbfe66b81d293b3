"""A run whose inputs and output lie in a bucket is the run on a disk."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from raybead.config import dump_job, parse_job
from raybead.console import Console
from raybead.errors import InputError, StorageError
from raybead.events import counts_of, read_parquet
from raybead.pipeline import execute
from raybead.stages import Stages, run_folder
from raybead.storage import JOB as JOB_FILE
from raybead.storage import Folder

pytestmark = pytest.mark.usefixtures("cluster")
SAMPLES = ("events/background", "events/search")


@pytest.fixture(scope="module")
def s3_text(s3, lhco_files, job_text):
    """The job of the finished run, its inputs and output URIs."""
    inputs = Folder.at(f"{s3}/inputs")
    for path in lhco_files.values():
        inputs.write(path.name, path.read_bytes())
        job_text = job_text.replace(str(path), f"{inputs}/{path.name}")
    return dump_job(parse_job(job_text, [f"output={s3}/runs", "score.workers=1"]))


@pytest.fixture(scope="module")
def in_bucket(cluster, s3_text):  # noqa: ARG001  Ray has to run
    return execute(parse_job(s3_text), "hunt", Console(quiet=True))


def rows_of(folder):
    """Events in order, without the address that they came from."""
    tables = [read_parquet(folder.read(n), n) for n in folder.names(".parquet")]
    return [row for table in tables for row in table.drop_columns("source").to_pylist()]


def test_the_result_is_that_of_a_run_on_a_disk(in_bucket, finished):
    for name in SAMPLES:
        ours, theirs = in_bucket / name, finished / name
        assert ours.names() == theirs.names()
        assert rows_of(ours) == rows_of(theirs)
    for name in ("model/metrics.json", "hunt/result.json"):
        assert in_bucket.read(name) == finished.read(name), name
    for name in ("background.parquet", "search.parquet"):
        ours, theirs = (
            read_parquet(run.read(f"scores/{name}"), name).drop_columns("source")
            for run in (in_bucket, finished)
        )
        assert ours.equals(theirs), name
    # Nothing half done, and no state of training, is left.
    left = ["events", "hunt", "job.toml", "model", "progress.json", "scores"]
    assert in_bucket.names() == left
    assert (in_bucket / "model").names() == (finished / "model").names()


@pytest.mark.usefixtures("in_bucket")
def test_a_second_run_keeps_what_is_current(s3_text, capsys):
    execute(parse_job(s3_text), "hunt", Console())
    assert "all is current" in capsys.readouterr().out


def test_a_broken_off_prepare_is_taken_up_again(in_bucket, s3_text, capsys):
    job = parse_job(s3_text, ["name=broken"])
    run_folder(job).write(JOB_FILE, dump_job(job).encode())
    done, search = Stages.of(job).search.folder, in_bucket / SAMPLES[1]
    for name in search.names():
        done.write(name, search.read(name))
    beside = Stages.of(job).background.beside
    whole = in_bucket / SAMPLES[0]
    first, _, *others = whole.names(".parquet")
    for name in others:
        beside.write(name, whole.read(name))
    # The same events in other bytes: only a file that is kept stays so.
    sink = pa.BufferOutputStream()
    pq.write_table(read_parquet(whole.read(first), first), sink, compression="none")
    other = sink.getvalue().to_pybytes()
    beside.write(first, other)
    assert counts_of(beside, first) == counts_of(whole, first)
    execute(job, "prepare", Console())
    run = run_folder(job)
    said = capsys.readouterr().out
    assert "prepare background: resumed where it stopped" in said
    assert "prepare search: current, kept" in said
    assert (run / SAMPLES[0]).read(first) == other
    assert rows_of(run / SAMPLES[0]) == rows_of(whole)


def test_a_bucket_that_is_not_there_is_said_and_not_made(s3, s3_text):
    job = parse_job(s3_text, ["output=s3://nowhere-at-all/runs"])
    wanted = r"s3://nowhere-at-all/runs/small/job\.toml: can't be written: .*bucket does not exist"
    with pytest.raises(StorageError, match=wanted):
        execute(job, "prepare", Console(quiet=True))
    job = parse_job(s3_text, ["data.search.0.path=s3://nowhere-at-all/x.h5"])
    with pytest.raises(InputError, match=r"s3://nowhere-at-all/x\.h5: no such file"):
        execute(job, "prepare", Console(quiet=True))
    assert s3fs.S3FileSystem().ls("") == [s3.removeprefix("s3://")]

"""Files that somebody else wrote run no code and reach nothing beside them."""

import io
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raybead.config import Columns, ParquetSource, PythiaSource, load_job, parse_job
from raybead.errors import InputError, JobError, RunError, StorageError
from raybead.events import Span, open_source, read_parquet
from raybead.events.sources.pythia_settings import refuse_reaching_out
from raybead.models import WEIGHTS, Bundle
from raybead.models.emd_bundle import DESCRIPTION
from raybead.storage import Folder
from raybead.training import STATE, LonePlace, state_of

JOB = """
name = "{name}"
output = "{output}"
[data.background]
source = "lhco"
path = "{path}"
[data.search]
source = "lhco"
path = "data/search.h5"
"""


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


class Restored:
    def restore(self, state):
        raise AssertionError(f"taken up: {state}")


def job(name="a", output="runs", path="data/b.h5"):
    return JOB.format(name=name, output=output, path=path)


@pytest.mark.parametrize("content", ["pickle", "torch", "zip", "nothing"])
def test_a_state_that_is_a_pickle_is_refused_unread(tmp_path, content):
    mark, sink = tmp_path / "mark", io.BytesIO()
    match content:
        case "pickle":
            pickle.dump(Bomb(mark), sink)
        case "torch":
            torch.save({"epoch": 1, "weights": Bomb(mark)}, sink)
        case "zip":
            sink.write(b"PK\x03\x04 and no more")
    folder = Folder.at(str(tmp_path / "resume"))
    folder.write(STATE, sink.getvalue())
    with pytest.raises(StorageError, match="not the state of a training") as caught:
        LonePlace(folder).take_up(Restored())
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_the_bomb_goes_off_where_nobody_looks_out(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


def test_a_state_comes_back_as_it_was_written():
    sink = io.BytesIO()
    state = {"epoch": 3, "weights": {"w": torch.arange(3.0)}, "rng": torch.get_rng_state()}
    torch.save(state, sink)
    again = state_of(sink.getvalue(), "here")
    assert again["epoch"] == 3
    assert again["weights"]["w"].equal(state["weights"]["w"])


def test_weights_that_are_a_pickle_are_refused_unread(tmp_path):
    """Of a bundle that is as it should be in all else."""
    folder, mark = Folder.at(str(tmp_path / "model")), tmp_path / "mark"
    whole = parse_job(job())
    described = {
        "graph": whole.graph.model_dump(mode="json"),
        "model": whole.model.model_dump(mode="json"),
        "loss": [term.model_dump(mode="json") for term in whole.loss],
        "scaling": {},
        "summary": {},
    }
    folder.write_json(DESCRIPTION, described)
    sink = io.BytesIO()
    torch.save({"weight": Bomb(mark)}, sink)
    for content in (pickle.dumps(Bomb(mark)), sink.getvalue()):
        folder.write(WEIGHTS, content)
        with pytest.raises(RunError, match=r"not a whole model bundle: .*[Hh]eader"):
            Bundle.load(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "line",
    [
        "Init:plugins = {libevil.so::Evil}",
        "INIT:PLUGINS={libevil.so::Evil}",
        "Init::plugins = {libevil.so::Evil}",
        "Init:plugins {libevil.so::Evil}",
        " Init:plugins = {libevil.so::Evil}",
        "init:reuseMpiIDiffSys0 = 1",
        "Vincia:MEplugin = evil",
        "PDF:pSet = LHAPDF6:evil/0",
        "PDF:pSet=cteq6l1.pds",
        "SLHA:file = /etc/passwd",
        "Beams:LHEF = /etc/passwd",
        "xmlPath = /tmp",
        "MultipartonInteractions:reuseInit = 3",
        "MultipartonInteractions:initFile = /tmp/x",
        "Main:spareWord1 = x",
        "HardQCD:all = on\nInit:plugins = {libevil.so::Evil}",
        "# Init:plugins = {libevil.so::Evil}",
        "",
    ],
)
def test_a_job_cannot_make_pythia_load_or_write(line):
    source = PythiaSource(source="pythia", events=4, settings=(line,))
    with pytest.raises(InputError, match="the Pythia setting"):
        open_source(source).read(Span(0, 4))


def test_every_setting_of_pythia_that_is_a_word_is_refused():
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    words = list(pythia.settings.getWordMap(""))
    assert len(words) > 20
    for word in words:
        with pytest.raises(InputError):
            refuse_reaching_out(pythia, f"{word} = somewhere")


@pytest.mark.parametrize(
    "line",
    [
        "PartonShowers:model = 2",
        "Tune:pp = 14",
        "PDF:pSet = 13",
        "6:m0 = 600",
        "24:onIfAny = 1 2 3",
        "HardQCD:all = on",
        "StringZ:aLund 0.7",
    ],
)
def test_showers_tunes_and_particles_are_for_the_job_to_say(line):
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    refuse_reaching_out(pythia, line)
    assert pythia.readString(line)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("https://me:s3cr3t@host/events.h5", "a password"),
        ("simplecache::https://me:s3cr3t@host/events.h5", "a password"),
        ("https://host/events.h5?X-Amz-Signature=s3cr3t&x=1", "X-Amz-Signature"),
        ("https://host/events.h5?sv=1&sig=s3cr3t", "sig"),
        ("https://host/events.h5?access_token=s3cr3t", "access_token"),
        ("https://host/events.h5?AWSAccessKeyId=s3cr3t", "AWSAccessKeyId"),
        ("https://ghp_s3cr3t@host/events.h5", "a password"),
        ("https://me:s3cr3t@[host/events.h5", "may be a password"),
        ("https://host/events.h5?jwt=s3cr3t", "jwt"),
        ("https://host/events.h5#access_token=s3cr3t", "access_token"),
        ("https://host/events.h5;sig=s3cr3t?a=1;sig=s3cr3t", "sig"),
        ("https://host/events.h5?GoogleAccessId=a&Signature=s3cr3t", "Signature"),
    ],
)
def test_credentials_stay_out_of_job_files(path, what, tmp_path):
    for text in (job(path=path), job(output=path)):
        with pytest.raises(JobError) as caught:
            parse_job(text)
        assert what in str(caught.value)
        assert "s3cr3t" not in str(caught.value)
        assert "\n" not in str(caught.value)
    file = tmp_path / "job.toml"
    file.write_text(job())
    with pytest.raises(JobError, match=r"data\.search\.path has"):
        load_job(file, [f"data.search.path='{path}'"])


@pytest.mark.parametrize(
    "path",
    ["https://host/design.h5?signal=1", "s3://bucket/key/secret/token.h5", "sftp://me@host/a.h5"],
)
def test_other_addresses_are_taken(path):
    assert parse_job(job(path=path)).data.background[0].paths == (path,)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["../a", "a/b", "..", ".a", "a\\b", "", "a b", "a\n"])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises(JobError, match="name"):
        parse_job(job(name=name.replace("\\", "\\\\").replace("\n", "\\n")))


def test_pickled_columns_of_parquet_are_refused(tmp_path):
    # Loaded, it makes pyarrow unpickle such columns by itself.
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray

    mark = tmp_path / "mark"
    objects = ArrowPythonObjectArray.from_objects([Bomb(mark)] * 2)
    table = pa.table({"event": [0, 1], "generator": objects})
    path = tmp_path / "events.parquet"
    pq.write_table(table, path)
    with pytest.raises(StorageError, match="column generator holds pickled objects"):
        read_parquet(path.read_bytes(), "here")
    columns = Columns(pt="a.pt", eta="a.eta", phi="a.phi")
    source = ParquetSource(source="parquet", path=str(path), columns=columns)
    with pytest.raises(InputError, match="column generator holds pickled objects"):
        open_source(source).spans(1)
    assert not mark.exists()
    pq.read_table(path).column("generator").to_pylist()  # what raybead doesn't do
    assert mark.exists()


@pytest.mark.parametrize("name", ["../../other", "/etc", "..", "a/b", ".hidden", ""])
def test_checkpoints_outside_of_their_run_are_refused(tmp_path, name):
    """In the form that Ray Train writes them."""
    from raybead.distributed.workers import SNAPSHOT, refuse_outside

    run = Folder.at(str(tmp_path))
    refuse_outside(run)  # there is nothing yet
    whole = {
        "checkpoint_results": [{"checkpoint_dir_name": "checkpoint_2026-11-22_1", "metrics": {}}],
        "latest_checkpoint_result": None,
        "validated_checkpoint_dir_names": ["checkpoint_2026-11-22_1"],
    }
    run.write_json(SNAPSHOT, whole)
    refuse_outside(run)
    for held in (
        {"checkpoint_results": [{"checkpoint_dir_name": name, "metrics": {}}]},
        {"latest_checkpoint_result": {"checkpoint_dir_name": name, "metrics": {}}},
        {"validated_checkpoint_dir_names": [name]},
    ):
        run.write_json(SNAPSHOT, whole | held)
        with pytest.raises(StorageError, match="is no name of a checkpoint"):
            refuse_outside(run)

"""TensorBoard and MLflow, read back by their own readers."""

import importlib.util
import json
import threading
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raybead.config import parse_job
from raybead.console import Console
from raybead.errors import JobError, StorageError
from raybead.pace import Remark
from raybead.stages import Stages
from raybead.storage import MANIFEST, Folder
from raybead.telling.loggers import About, logged, loggers_of, refuse_missing
from raybead.telling.loggers.sender import Sender
from raybead.telling.loggers.values import metrics_of, parameters_of, results_of

# MLflow's, of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")

JOB = """
name = "small"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
"""
RESULT = {
    "conclusion": {
        "p": 0.01,
        "significance": 2.3,
        "bonferroni": 0.02,
        "looks": 2,
        "resolved": True,
    },
    "cuts": [
        {
            "key": "0.9",
            "local": {"p": 0.001, "significance": 3.1},
            "window": {"low": 3000.0, "high": 3400.0, "observed": 12, "expected": 4.5},
        }
    ],
    "evaluation": {"scores": {"score": {"auc": 0.9, "sic": 3.0, "average_precision": None}}},
}


def epoch(n):
    terms = {"mse": 0.5 / (n + 1), "kl": 0.1}
    return {
        "epoch": n, "train": 1.0 / (n + 1), "validation": 1.5 / (n + 1), "learning_rate": 0.125,
        "best": True, "terms": terms, "train_terms": {"mse": 2.0, "kl": float("nan")},
        "annealed": {"loss.1.weight": 0.25 * n},
    }  # fmt: skip


@pytest.fixture
def job_text(lhco_files, tmp_path):
    return JOB.format(output=tmp_path / "runs", **lhco_files)


def about_of(job_text, *overrides):
    job = parse_job(job_text, ["loggers.tensorboard=true", *overrides])
    return About(job, Folder.at(f"{job.output}/{job.name}"), {"model": "a1b2c3d4e5f6"})


@pytest.fixture
def store(tmp_path):
    """An MLflow that needs no server: a database of one file."""
    return f"sqlite:///{tmp_path}/ml.db"


def do(about, first, last, *, ends=True, found=False):
    """A training from one epoch to another, with all loggers that the job asks for."""
    console = Console(quiet=True)
    with logged(loggers_of(about), about, console, found=found):
        with console.stage("train", "model") as tick:
            ran = [epoch(n) for n in range(first)]
            tick(first, 6, Remark("epochs", before=first, epochs=ran))
            for n in range(first, last):
                tick(n + 1, 6, Remark("epochs", epochs=[epoch(n)]))
        if not ends:
            raise KeyboardInterrupt


def broken_off_and_gone_on(about):
    with pytest.raises(KeyboardInterrupt):
        do(about, 0, 3, ends=False)
    do(about, 2, 6)  # the third epoch's state was lost, and it is run again


def finish(run):
    """What a run holds that is whole: the hunt's result, and a report."""
    for stage in ("hunt", "figures"):
        (run / stage).write_json(MANIFEST, {"current": True})
    (run / "hunt").write_json("result.json", RESULT)
    run.write("report.html", b"<h1>report</h1>")


def read_back(folder):
    events = EventAccumulator(folder.uri, size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_tensorboard_reads_what_was_written(job_text):
    about = about_of(job_text)
    broken_off_and_gone_on(about)
    events = read_back(about.run / "tensorboard" / "model-a1b2c3d4")
    assert set(events.Tags()["scalars"]) == {
        "loss/train", "loss/validation", "learning_rate", "term/train/mse", "term/validation/mse",
        "term/validation/kl", "annealed/loss.1.weight",
    }  # fmt: skip
    for tag in events.Tags()["scalars"]:
        told = events.Scalars(tag)
        assert [one.step for one in told] == [1, 2, 3, 4, 5, 6], tag
        expected = [metrics_of("model", epoch(n))[tag] for n in range(6)]
        assert [one.value for one in told] == pytest.approx(expected), tag
    (text,) = events.Tensors("job")  # once, though two commands told of it
    assert "| `train.epochs` | `" in text.tensor_proto.string_val[0].decode()


def test_results_are_there_once_and_again_when_they_are_others(job_text):
    about = about_of(job_text)
    finish(about.run)
    for significance in (2.3, 2.3, 2.9):
        changed = {**RESULT, "conclusion": {**RESULT["conclusion"], "significance": significance}}
        (about.run / "hunt").write_json("result.json", changed)
        do(about, 0, 1, found=True)
    events = read_back(about.run / "tensorboard" / "results")
    told = events.Scalars("hunt/significance")
    assert [one.step for one in told] == [1, 2]
    assert [one.value for one in told] == pytest.approx([2.3, 2.9])
    assert events.Scalars("evaluation/score/auc")[0].value == pytest.approx(0.9)


def test_event_files_that_were_broken_off_are_gone_on_from(job_text):
    about = about_of(job_text)
    do(about, 0, 3)
    folder = about.run / "tensorboard" / "model-a1b2c3d4"
    (name,) = folder.names()
    folder.write(name, folder.read(name)[:-5])  # of the third epoch's record, a part
    do(about, 3, 6)
    steps = [one.step for one in read_back(folder).Scalars("loss/train")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_store_takes_whole_files(job_text):
    about = about_of(job_text, "output=memory://loggers")
    broken_off_and_gone_on(about)
    folder = about.run / "tensorboard" / "model-a1b2c3d4"
    assert len(folder.names()) == 2
    from raybead.telling.loggers.tensorboard import read_events

    tags = [
        (event.step, value.tag) for event in read_events(folder) for value in event.summary.value
    ]
    assert [step for step, tag in tags if tag == "loss/train"] == [1, 2, 3, 4, 5, 6]


def test_what_a_store_did_not_take_is_there_once_when_it_does(job_text, monkeypatch):
    from raybead.telling.loggers import tensorboard

    monkeypatch.setattr(tensorboard, "UPLOAD_EVERY", 0.0)
    about, write = about_of(job_text, "output=memory://refusing"), Folder.write
    away = [False, True, False, True, True]  # of writings, the last first; then never

    def refusing(folder, name, content):
        if away and away.pop():
            raise StorageError("away")
        write(folder, name, content)

    monkeypatch.setattr(Folder, "write", refusing)
    logger = tensorboard.TensorBoard(about)
    for n, tries in enumerate((2, 1, 0)):
        for _ in range(tries):
            with pytest.raises(StorageError, match="away"):
                logger.epochs("model", [epoch(n)])
        logger.epochs("model", [epoch(n)])
    logger.close("done")
    assert not away
    folder = about.run / "tensorboard" / "model-a1b2c3d4"
    events = [*tensorboard.read_events(folder)]
    assert [event.file_version for event in events] == ["brain.Event:2", "", "", ""]
    assert [event.step for event in events[1:]] == [1, 2, 3]


def test_mlflow_reads_what_was_written(job_text, store):
    from mlflow.tracking import MlflowClient

    about = about_of(job_text, f'loggers.mlflow={{uri="{store}", experiment="lhco"}}')
    broken_off_and_gone_on(about)
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("lhco").experiment_id
    (run,) = client.search_runs([experiment])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "small")
    for tag in metrics_of("model", epoch(0)):
        history = client.get_metric_history(run.info.run_id, tag)
        told = [(one.step, one.value) for one in sorted(history, key=lambda one: one.step)]
        assert told == [(n + 1, metrics_of("model", epoch(n))[tag]) for n in range(6)], tag
    assert run.data.params == parameters_of(about.job)
    assert run.data.params["train.epochs"] == str(about.job.train.epochs)
    assert not [key for key in run.data.params if key.startswith("loggers")]

    # A hunt with other cuts, of the same training: the same run there.
    finish(about.run)
    again = about_of(
        job_text, f'loggers.mlflow={{uri="{store}", experiment="lhco"}}', "hunt.cuts=[0.5]"
    )
    do(again, 6, 6, found=True)
    (run,) = client.search_runs([experiment])
    assert run.data.metrics["hunt/significance"] == 2.3
    assert run.data.metrics["evaluation/score/sic"] == 3.0
    assert run.data.params["hunt.cuts"] == parameters_of(about.job)["hunt.cuts"]
    assert run.data.tags["job.hunt.cuts"] == "[0.5]"
    (artifact,) = client.list_artifacts(run.info.run_id)
    assert artifact.path == "report.html"

    # Another training is another run.
    other = About(about.job, about.run, {"model": "another"})
    do(other, 0, 1)
    assert len(client.search_runs([experiment])) == 2


def test_a_server_that_is_away_is_told_and_stops_nothing(job_text, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    about = about_of(job_text, 'loggers.mlflow={uri="http://127.0.0.1:9"}')
    console = Console()
    told = logged(loggers_of(about), about, console, found=False)
    with told, console.stage("train", "model") as tick:
        tick(1, 6, Remark("epochs", epochs=[epoch(0)]))
    said = capsys.readouterr().out
    assert said.count("mlflow can't be told, and the run goes on") == 1
    assert "mlflow: wasn't told everything" in said
    assert len(read_back(about.run / "tensorboard" / "model-a1b2c3d4").Scalars("loss/train")) == 1


class Failing:
    """A logger that can't be reached for a while, and counts what it is told."""

    name, faults = "failing", (OSError,)

    def __init__(self, failures, error=ConnectionError):
        self.failures, self.told, self.tried = failures, [], threading.Event()
        self.error = error

    def tell(self, what):
        if self.failures:
            self.failures -= 1
            self.tried.set()
            raise self.error("away\nand more of it")
        self.told.append(what)


@pytest.mark.parametrize(
    ("error", "told"), [(ConnectionError, "away"), (TypeError, "TypeError: away")]
)
def test_what_could_not_be_told_is_told_later_and_in_order(error, told):
    logger, said = Failing(2, error), []
    sender = Sender(logger, said.append, again=0.01)
    for n in range(5):
        sender.tell(lambda n=n: logger.tell(n))
    assert logger.tried.wait(30)
    deadline = time.monotonic() + 30
    while not logger.told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sender.close()
    assert logger.told == [0, 1, 2, 3, 4]
    assert said == [
        f"note: failing can't be told, and the run goes on: {told}", "note: failing is told again",
    ]  # fmt: skip


def test_a_result_that_cannot_be_told_ends_no_run(job_text, capsys):
    about, console = about_of(job_text), Console()
    finish(about.run)
    (about.run / "hunt").write("result.json", b'{"conclusion": {}')
    with logged(loggers_of(about), about, console, found=True):
        pass
    said = capsys.readouterr().out.splitlines()
    assert sum("tensorboard can't be told, and the run goes on" in one for one in said) == 1
    assert "tensorboard: wasn't told everything" in said[-1]
    assert "result.json" in said[-1]
    assert len(said) == 2


def test_what_is_asked_for_and_not_installed_is_one_line(job_text, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec",
        lambda name: None if name in ("tensorboard", "mlflow") else real(name),
    )  # fmt: skip
    with pytest.raises(JobError, match=r"loggers.tensorboard: .*raybead\[tensorboard\]"):
        refuse_missing(parse_job(job_text, ["loggers.tensorboard=true"]))
    with pytest.raises(JobError, match=r"loggers.mlflow: .*raybead\[mlflow\]"):
        refuse_missing(parse_job(job_text, ['loggers.mlflow={uri="http://a:1"}']))
    refuse_missing(parse_job(job_text))


def test_where_mlflow_keeps_runs(job_text, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    job = parse_job(job_text, ["loggers.mlflow={}"])
    with pytest.raises(JobError, match="MLFLOW_TRACKING_URI"):
        refuse_missing(job)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(JobError, match="plain folders"):
        refuse_missing(job)
    with pytest.raises(JobError, match="plain folders"):
        parse_job(job_text, ['loggers.mlflow={uri="file:///tmp/x"}'])


@pytest.mark.parametrize(
    "uri",
    ["https://me:hunter2@host", "https://me:hun::hunter2@host", "https://hunter2@host",
     "postgresql+psycopg2://me:hunter2@host:5432/ml", "mysql://me:hunter2/hunter2@host/ml"],
)  # fmt: skip
def test_a_password_of_mlflow_stays_out_of_the_job(job_text, uri):
    with pytest.raises(JobError, match=r"password in its.*MLFLOW_TRACKING_PASSWORD") as told:
        parse_job(job_text, [f'loggers.mlflow={{uri="{uri}"}}'])
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "uri",
    ["http://host:5000/a@b", "sqlite:////data/a:b@c/ml.db", "postgresql://me@host:5432/ml",
     "databricks://profile:scope"],
)  # fmt: skip
def test_an_address_without_one_is_taken(job_text, uri):
    asked = parse_job(job_text, [f'loggers.mlflow={{uri="{uri}"}}']).loggers.mlflow
    assert asked is not None
    assert asked.uri == uri


def test_loggers_decide_nothing(job_text):
    plain = Stages.of(parse_job(job_text)).keys()
    asked = parse_job(job_text, ["loggers.tensorboard=true", 'loggers.mlflow={uri="http://a:1"}'])
    assert Stages.of(asked).keys() == plain


def test_what_is_told():
    assert metrics_of("emd", {"epoch": 0, "train": 1.0, "validation": float("inf")}) == {
        "emd/loss/train": 1.0
    }
    told = results_of(RESULT)
    assert told["hunt/cut 0.9/local_significance"] == 3.1
    assert told["evaluation/score/auc"] == 0.9
    bound = {**RESULT, "conclusion": {**RESULT["conclusion"], "resolved": False}}
    assert (told["hunt/resolved"], results_of(bound)["hunt/resolved"]) == (1.0, 0.0)
    assert "evaluation/score/average_precision" not in told
    assert results_of({**RESULT, "evaluation": None}).keys() == {
        name for name in told if not name.startswith("evaluation/")
    }
    assert json.dumps(told)

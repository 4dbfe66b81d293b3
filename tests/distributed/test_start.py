"""Kept epochs of a run, and runs that begin with them."""

import pytest
import torch

from raybead.config import parse_job
from raybead.console import Console
from raybead.errors import RunError, TrainingError
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.stages import Stages
from raybead.storage import JOB as JOB_FILE
from raybead.storage import Folder

JOB = """
name = "first"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
generator = "made"
[data.search]
source = "lhco"
path = "{search}"
[graph]
nodes = 10
[model]
encoder = [[8, 8]]
head = [8]
decoder = [16, 16]
decode = 10
[train]
epochs = 3
batch_items = 128
workers = 2
keep_every = 2
deterministic = true
"""

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def text(lhco_files, tmp_path_factory):
    return JOB.format(output=tmp_path_factory.mktemp("runs"), **lhco_files)


@pytest.fixture(scope="module")
def first(text, cluster):  # noqa: ARG001  Ray has to run
    return execute(parse_job(text), "train", Console(quiet=True))


def test_an_epoch_is_a_whole_bundle(first):
    assert (first / "model/epochs").names() == ["0002"]
    kept, best = Bundle.load(first / "model/epochs/0002"), Bundle.load(first / "model")
    assert (kept.recipe, kept.scaling) == (best.recipe, best.scaling)
    history = (first / "model").read_json("metrics.json")["history"]
    assert kept.summary["validation_loss"] == history[1]["validation"]
    assert kept.summary["jets"] == best.summary["jets"]
    if best.summary["best_epoch"] != 2:
        assert any(not w.equal(best.weights[name]) for name, w in kept.weights.items())


def test_a_warm_start_begins_with_its_weights_and_scaling(first, text):
    start = first / "model/epochs/0002"
    # It hardly moves, and sees other events, which another scaling would be fitted to.
    settings = [
        "name=second", "train.workers=1", f"train.start_from='{start}'", "train.epochs=1",
        "train.learning_rate=1e-12", "train.max_events=300",
    ]  # fmt: skip
    job = parse_job(text, settings)
    second = execute(job, "train", Console(quiet=True))
    ours, theirs = Bundle.load(second / "model"), Bundle.load(start)
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], weight, rtol=0, atol=1e-8)
    assert ours.scaling == theirs.scaling
    assert Stages.of(job).model.why_stale() is None
    # Other weights at the same place make another model, and so does another scaling.
    copy = Folder.at(f"{first.uri}/copy")
    theirs.save(copy)
    moved = job.model_copy(update={"train": job.train.model_copy(update={"start_from": copy.uri})})
    assert Stages.of(moved).model.why_stale() is None  # it doesn't matter where they lie
    other = {name: weight + 1 for name, weight in theirs.weights.items()}
    Bundle(theirs.recipe, theirs.scaling, other, {}).save(copy)
    assert Stages.of(moved).model.why_stale() == "changed: start"


def test_a_start_that_cannot_be_is_refused_before_anything_runs(first, text):
    name = "name=third"
    for settings, says in (
        (["train.start_from=nowhere"], "start_from: no model bundle in"),
        ([f"train.start_from='{first}/model'", "model.latent=3"], "model.latent is 2"),
        ([f"train.start_from='{first}/model'", "graph.nodes=11"], "graph.nodes is 10"),
    ):
        with pytest.raises(RunError, match=says):
            execute(parse_job(text, [name, *settings]), "train", Console(quiet=True))
    own = [f"train.start_from='{first}/model/epochs/0002'"]
    with pytest.raises(RunError, match="is the model that this job makes"):
        execute(parse_job(text, own), "train", Console(quiet=True))
    assert not Folder.at(f"{first.uri.rpartition('/')[0]}/third").exists(JOB_FILE)


def test_one_generator_alone_cannot_be_told_from_others(first, text):  # noqa: ARG001
    supcon = "loss=[{kind='mse'}, {kind='supcon'}]"
    with pytest.raises(TrainingError, match="names made; two at least are needed"):
        execute(
            parse_job(text, ["name=fourth", "train.workers=1", supcon]),
            "train",
            Console(quiet=True),
        )

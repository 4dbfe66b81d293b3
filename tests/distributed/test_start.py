"""Kept epochs of a run, and runs that begin with them."""

import pytest
import torch

from raybead.config import parse_job
from raybead.console import Console
from raybead.errors import RunError, TrainingError
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.stages import Stages, run_folder
from raybead.storage import JOB as JOB_FILE
from raybead.storage import Folder

pytestmark = pytest.mark.usefixtures("cluster")


def test_an_epoch_is_a_whole_bundle(finished):
    assert (finished / "model/epochs").names() == ["0002"]
    kept, best = Bundle.load(finished / "model/epochs/0002"), Bundle.load(finished / "model")
    assert (kept.recipe, kept.scaling) == (best.recipe, best.scaling)
    history = (finished / "model").read_json("metrics.json")["history"]
    assert kept.summary["validation_loss"] == history[1]["validation"]
    assert kept.summary["jets"] == best.summary["jets"]
    if best.summary["best_epoch"] != 2:
        assert any(not w.equal(best.weights[name]) for name, w in kept.weights.items())


def test_a_warm_start_begins_with_its_weights_and_scaling(finished, copied, there, job_text):
    start = finished / "model/epochs/0002"
    # It hardly moves, and sees other events, which another scaling would be fitted to.
    settings = [
        there, "train.workers=1", f"train.start_from='{start}'", "train.epochs=1",
        "train.learning_rate=1e-12", "train.max_events=300",
    ]  # fmt: skip
    job = parse_job(job_text, settings)
    execute(job, "train", Console(quiet=True))
    ours, theirs = Bundle.load(copied / "model"), Bundle.load(start)
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], weight, rtol=0, atol=1e-8)
    assert ours.scaling == theirs.scaling
    assert Stages.of(job).model.why_stale() is None
    # Other weights at the same place make another model, and so does another scaling.
    copy = Folder.at(f"{copied.uri}/copy")
    theirs.save(copy)
    moved = job.model_copy(update={"train": job.train.model_copy(update={"start_from": copy.uri})})
    assert Stages.of(moved).model.why_stale() is None  # it doesn't matter where they lie
    other = {name: weight + 1 for name, weight in theirs.weights.items()}
    Bundle(theirs.recipe, theirs.scaling, other, {}).save(copy)
    assert Stages.of(moved).model.why_stale() == "changed: start"


def test_a_start_that_cannot_be_is_refused_before_anything_runs(finished, there, job_text):
    for settings, says in (
        (["train.start_from=nowhere"], "start_from: no model bundle in"),
        ([f"train.start_from='{finished}/model'", "model.latent=3"], "model.latent is 2"),
        ([f"train.start_from='{finished}/model'", "graph.nodes=11"], "graph.nodes is 10"),
    ):
        job = parse_job(job_text, [there, *settings])
        with pytest.raises(RunError, match=says):
            execute(job, "train", Console(quiet=True))
    assert not run_folder(job).exists(JOB_FILE)
    own = parse_job(job_text, [f"train.start_from='{finished}/model/epochs/0002'"])
    with pytest.raises(RunError, match="is the model that this job makes"):
        execute(own, "train", Console(quiet=True))


@pytest.mark.usefixtures("copied")
def test_one_generator_alone_cannot_be_told_from_others(there, job_text):
    supcon = "loss=[{kind='mse'}, {kind='supcon'}]"
    with pytest.raises(TrainingError, match="names made; two at least are needed"):
        execute(
            parse_job(job_text, [there, "train.workers=1", supcon]), "train", Console(quiet=True)
        )

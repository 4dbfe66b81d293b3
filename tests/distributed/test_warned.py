"""What ails a model is told when it is trained, by one worker as by several."""

import json

import pytest

from raybead.config import parse_job
from raybead.console import Console
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.storage import Folder
from raybead.training import JobTraining, LonePlace, warnings_of

pytestmark = pytest.mark.usefixtures("cluster")

# By every step all weights are replaced by the gradient's opposite, and soon there are none.
SICK = [
    "train.optimizer=sgd",
    "train.learning_rate=1.0",
    "train.weight_decay=1.0",
    "train.epochs=2",
]


def test_warnings_are_told_in_the_log_and_kept(job_text, tmp_path, capsys):
    job = parse_job(job_text, [f"output={tmp_path}", *SICK])
    run = execute(job, "train", Console(form="json"))
    warnings = (run / "model").read_json("metrics.json")["warnings"]
    assert any("hardly depends on the input" in line for line in warnings)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    told = [one for one in lines if "warning" in one["message"]]
    assert [one["message"] for one in told] == [f"train: warning: {line}" for line in warnings]
    assert {(one["event"], one["stage"]) for one in told} == {("note", "model")}
    # One process says of what the job's two workers trained what they said.
    bundle = Bundle.load(run / "model")
    place = LonePlace(Folder.at(str(tmp_path / "alone")))
    trainer = JobTraining.of(job, run / "events/background", place).trainer
    names = bundle.scaling.scaled_columns
    alone = (bundle.model(), trainer.items, trainer.split.validation, trainer.loss, names)
    assert warnings_of(*alone) == warnings

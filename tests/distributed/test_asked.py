"""Stages on a cluster that has what they ask for, and on one that never will."""

import pytest

from raybead.config import parse_job
from raybead.console import Console
from raybead.errors import ResourcesError
from raybead.pipeline import execute

pytestmark = pytest.mark.usefixtures("cluster")


def test_asks_are_met_and_change_nothing(finished, copied, there, job_text):
    for stage in ("events/search", "scores", "hunt"):
        (copied / stage).delete()
    asks = [
        "resources.prepare={cpus=0, memory='100MB'}",
        "resources.score={cpus=1}",  # as many actors as there are CPUs
        "resources.hunt={cpus=0.5, memory='100MB'}",
    ]
    execute(parse_job(job_text, [there, *asks]), "hunt", Console(quiet=True))
    for folder in ("events/search", "scores", "hunt"):
        for name in (finished / folder).names(".parquet"):
            assert (copied / folder).read(name) == (finished / folder).read(name), name
    assert copied.read("hunt/result.json") == finished.read("hunt/result.json")


@pytest.mark.parametrize(
    ("stage", "ask", "says"),
    [
        ("events/search", "prepare.cpus=5", "prepare.cpus = 5: the largest node here has 4"),
        ("model", "train.memory='900TB'", "train.memory = 9e+05 GB: the largest node here has"),
        ("scores", "score.custom={spot=1}", "score.custom.spot = 1: the largest node here has 0"),
        ("hunt", "hunt.cpus=4.5", "hunt.cpus = 4.5: the largest node here has 4"),
    ],
)
def test_what_no_node_has_ends_in_one_line(copied, there, job_text, stage, ask, says):
    (copied / stage).delete()
    with pytest.raises(ResourcesError, match=r"resources\.") as caught:
        execute(parse_job(job_text, [there, f"resources.{ask}"]), "hunt", Console(quiet=True))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)

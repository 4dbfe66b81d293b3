"""A cluster that grows with what stages ask for, and shrinks when they are done."""

import pytest
from autoscaled import Kind, growing, run_on, story

from raybead.config import parse_job
from raybead.console import Console
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.storage import Folder

KINDS = {"cpu": Kind({"CPU": 2}, 2), "trainer": Kind({"CPU": 0, "trainer": 1}, 1)}
"""A trainer stands for a node with a GPU: without CPUs, so that nothing else ever goes there."""
SMALL = [
    "name=grown",
    "train.workers=1",
    "train.epochs=2",
    "hunt.toys=400",
    "score.controls=false",
]
THERE = "\n[resources.train]\ncpus = 0\ncustom = { trainer = 1 }\n"


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("cluster")
def test_nodes_come_for_a_stage_and_go_when_it_is_done(job_text, tmp_path):
    plain, grown = tmp_path / "plain", tmp_path / "grown"
    job = tmp_path / "job.toml"
    job.write_text(job_text + THERE)
    settings = [argument for setting in SMALL for argument in ("--set", setting)]
    with growing(KINDS, idle_seconds=6) as there:
        said = run_on(there, "hunt", str(job), *settings, "--set", f"output={grown}")
        gone = there.awaited_empty(60)
    here = [*SMALL, f"output={plain}", "resources.train.cpus=1"]
    execute(parse_job(job_text, here), "hunt", Console(quiet=True))
    print(story(there, said))

    began = {line.removesuffix(" ..."): at for at, line in said if line.endswith(" ...")}
    preparing = said[0][0], began["train"]
    assert there.most("cpu", end=said[0][0]) == 0
    assert any(seen.waiting.get("CPU: 1", 0) > 1 for seen in there.seen)
    assert there.most("cpu", *preparing) == 2
    assert there.most("trainer", *preparing) == 0
    assert there.most("trainer", began["train"], began["score"]) == 1
    assert gone
    lines = "\n".join(line for _, line in said)
    assert "train: waiting for a node with 1 trainer; the cluster" in lines

    runs = [Folder.at(str(output / "grown")) for output in (plain, grown)]
    for folder in ("events/background", "events/search"):
        names = (runs[0] / folder).names(".parquet")
        assert names == (runs[1] / folder).names(".parquet") != []
        for name in names:
            assert (runs[0] / folder).read(name) == (runs[1] / folder).read(name)
    weights = [Bundle.load(run / "model").weights for run in runs]
    assert all(weights[1][name].equal(weight) for name, weight in weights[0].items())
    for name in ("scores/background.parquet", "scores/search.parquet", "hunt/result.json"):
        assert runs[0].read(name) == runs[1].read(name), name

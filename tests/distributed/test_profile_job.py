"""A job looked at closely on Ray: what is told, and what is left alone."""

import re

import pytest
import ray.data

from raybead.commands.profile import profile_job
from raybead.config import parse_job
from raybead.console import Console
from raybead.distributed.operators import gathering, tell_operators
from raybead.errors import TrainingError
from raybead.profiling.trace import read_trace, steps_in
from raybead.stages import Stages
from raybead.storage import JOB as JOB_FILE
from raybead.storage import Folder

pytestmark = pytest.mark.usefixtures("cluster")


def contents(run):
    """All files of a run but the profile's."""
    names = [name for name in run.files() if not name.startswith("profile/")]
    return {name: run.read(name) for name in names}


def test_a_run_is_looked_at_and_stays_as_it_was(copied, job_text, there, capsys):
    job = parse_job(job_text, [there, "train.workers=1"])
    before = contents(copied)
    folder = profile_job(job, Console(), steps=2, events=300)
    assert contents(copied) == before
    assert Stages.of(parse_job(job_text, [there])).hunt.why_stale() is None
    told = folder.read_json("profile.json")
    training, scoring, stages = told["training"], told["scoring"], told["stages"]
    # The run's own events are trained on, and pieces of the samples prepared and scored.
    assert told["events"] == {"background": 400, "search": 400, "origin": "run"}
    assert training["events"] == 700
    assert scoring["events"] == 700
    for seen, n in ((training, 2), (scoring, 2)):
        assert [len(seen["seconds"][kind]) for kind in ("plain", "parted", "traced")] == [n] * 3
        parts = seen["parts"].values()
        assert sum(p["seconds"] for p in parts) >= sum(seen["seconds"]["parted"])
        assert all(p["times"] == n for p in parts)
    assert training["counts"] == {"items_trained": pytest.approx(2 * 128, rel=0.1)}
    assert scoring["counts"] == {"events_scored": 1400, "items_scored": 2800, "jets": 2800}
    assert steps_in(read_trace(folder.read("trace.json.gz"))) == 2
    assert list(stages) == ["prepare background", "prepare search", "score"]
    assert [stage["pieces"] for stage in stages.values()] == [2, 2, 4 + 1]
    for stage in stages.values():
        items, mapped = stage["operators"]
        assert (items["name"], mapped["name"][:11]) == ("FromItems", "MapBatches(")
        assert mapped["tasks"] == mapped["rows"] == items["rows"]
        # Ray's clock is around raybead's of the pieces that went through Ray Data.
        assert mapped["cpu"] > 0
        assert 0 < mapped["wall"] <= stage["wall_seconds"] * 4
        assert mapped["peak_bytes"] > 2**20
    shown = capsys.readouterr().out
    for words in ("A training step", "aten::", "MapBatches(ScoreActor)", "profile.html"):
        assert words in shown


def test_ray_datas_numbers_are_those_that_it_prints():
    done = ray.data.from_items([{"id": n} for n in range(3)], override_num_blocks=3)
    done = done.map_batches(lambda rows: rows, batch_size=None, batch_format="pyarrow")
    with gathering() as found:
        for _ in done.iter_batches(batch_size=None, batch_format="pyarrow"):
            pass
        tell_operators(done)
    printed = done.stats()
    for one, text in zip(found, re.split(r"^Operator \d ", printed, flags=re.M)[1:], strict=True):
        assert text.startswith(f"{one.name}: {one.tasks} tasks executed, {one.blocks} blocks")
        assert f"* Total output num rows: {one.rows} rows" in text
        assert re.search(rf"Output size bytes per block: .* {one.bytes} total", text)
    tell_operators(done)
    assert len(found) == 2  # who doesn't ask isn't told


def test_what_fails_leaves_nothing_that_stops_a_run(job_text, tmp_path):
    job = parse_job(job_text, [f"output={tmp_path}", "train.batch_items=2000", "train.workers=1"])
    with pytest.raises(TrainingError, match=r"200 events give \d+ items .* say more --events"):
        profile_job(job, Console(quiet=True), steps=1, events=100)
    run = Folder.at(f"{tmp_path}/small")
    assert list(run.files()) == [JOB_FILE]

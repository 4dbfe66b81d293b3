"""What a run tells of itself: its profile, its metrics on a node's exporter, and its logs."""

import contextlib
import io
import json
import re
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
import ray

from raybead.config import parse_job
from raybead.console import Console
from raybead.distributed import metrics
from raybead.distributed.stream import Task, result_of
from raybead.distributed.watch import Watch, watching
from raybead.errors import InputError
from raybead.pipeline import execute
from raybead.profiling import PROFILE
from raybead.storage import stage_facts
from raybead.timing import count, timed

pytestmark = pytest.mark.usefixtures("cluster")

STAGES = ("events/background", "events/search", "model", "scores", "hunt")


@pytest.fixture(scope="module")
def observed(job_text, tmp_path_factory):
    """The job of ``finished`` under another name, profiled; and what its console said."""
    output = tmp_path_factory.mktemp("observed")
    job = parse_job(job_text, ["name=watched", f"output={output}"])
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run = execute(job, "hunt", Console(form="json"), profile=True)
    # Ray tells in lines of its own of workers that died, also of those that other tests killed.
    ours = [line for line in said.getvalue().splitlines() if line.startswith("{")]
    return run, [json.loads(line) for line in ours]


def test_results_are_the_same_bytes_with_a_profile(observed, finished):
    run, _ = observed
    for folder in ("events/background", "events/search", "scores", "model"):
        for name in (finished / folder).names(".parquet") + (finished / folder).names(
            ".safetensors"
        ):
            assert (run / folder).read(name) == (finished / folder).read(name), name
    ours, theirs = ((one / "hunt").read("result.json").decode() for one in (run, finished))
    assert ours.replace('"watched"', '"small"') == theirs
    for stage in STAGES:
        facts = stage_facts(run, stage)
        theirs = {**stage_facts(finished, stage), "seconds": facts["seconds"]}
        assert json.dumps(facts).replace('"watched"', '"small"') == json.dumps(theirs)


def test_parts_add_up_to_what_workers_were_busy(observed):
    run, _ = observed
    profile = run.read_json(PROFILE)
    assert tuple(profile["stages"]) == STAGES
    for name, stage in profile["stages"].items():
        parts = stage["parts"].values()
        assert sum(part["seconds"] for part in parts) == pytest.approx(stage["busy_seconds"])
        assert sum(part["cpu_seconds"] for part in parts) == pytest.approx(stage["cpu_seconds"])
        assert 0 < stage["busy_seconds"] <= stage["wall_seconds"] * stage["workers"] + 0.1, name
        assert 0 <= stage["idle_share"] <= 1
        assert stage["peak_rss_bytes"] > 50 * 2**20
        assert stage["faults"] == 0
    background, search, model, scores, hunt = profile["stages"].values()
    flow = stage_facts(run, "events/background")["cutflow"]
    assert (background["events"], background["pieces"]) == (flow["read"], 4)
    assert background["bytes_out"] == stage_facts(run, "events/background")["bytes"]
    assert {"read", "cluster", "to table", "write"} <= background["parts"].keys()
    assert (search["events"], search["counts"]["events_written"]) == (500, 500)
    assert {"load events", "fit scaling", "build", "forward", "backward", "optimizer",
            "validation", "checkpoint", "test"} <= model["parts"].keys()  # fmt: skip
    trained = stage_facts(run, "model")["jets"]["train"]
    assert (model["workers"], model["items"]) == (2, 3 * trained)
    assert model["counts"]["epochs"] == 3
    assert (scores["events"], scores["jets"], scores["items"]) == (1200, 2400, 2400)
    assert {"load model", "read", "controls", "forward", "write"} <= scores["parts"].keys()
    assert hunt["toys"] == 3000
    assert {"boxes", "toys", "trials", "limits"} <= hunt["parts"].keys()


def test_every_stage_is_told_from_start_to_end(observed):
    _, lines = observed
    events = [(one["event"], one.get("stage")) for one in lines if "stage" in one]
    bracketed = [one for one in events if one[0] in ("started", "finished")]
    assert bracketed == [(event, name) for name in STAGES for event in ("started", "finished")]
    assert {one["run"] for one in lines} == {"watched"}
    assert not [one for one in lines if one["level"] != "info"]


def exported():
    """Values on the exporters of all nodes, by name and the tags that are raybead's."""
    found = Counter()
    for node in ray.nodes():
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        for line in text.splitlines():
            if not line.startswith("ray_raybead_"):
                continue
            name, labels, value = re.fullmatch(r"ray_(\w+)\{(.*)\} (\S+)", line).groups()
            tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            own = [tags.get(tag, "") for tag in ("cut", "outcome", "sample")]
            found[name, tags["run"], tags["stage"], "".join(own)] += float(value)
    return found


def test_the_exporter_has_the_counts_of_the_cutflow(observed):
    run, _ = observed
    expected = {}
    for stage, pieces in (("events/background", 4), ("events/search", 3)):
        flow = stage_facts(run, stage)["cutflow"]
        expected |= {
            ("raybead_events_read_total", stage, ""): flow["read"],
            ("raybead_events_written_total", stage, ""): flow["written"],
            ("raybead_jets_total", stage, ""): 2 * flow["written"],
            ("raybead_bytes_written_total", stage, ""): stage_facts(run, stage)["bytes"],
            ("raybead_pieces_total", stage, "done"): pieces,
            ("raybead_piece_seconds_count", stage, ""): pieces,
            **{
                ("raybead_events_dropped_total", stage, cut): n
                for cut, n in flow["dropped"].items()
                if n
            },
        }
    trained = stage_facts(run, "model")["jets"]["train"]
    expected |= {
        ("raybead_epochs_total", "model", ""): 3,
        ("raybead_items_trained_total", "model", ""): 3 * trained,
        ("raybead_events_scored_total", "scores", ""): 1200,
        ("raybead_items_scored_total", "scores", ""): 2400,
        ("raybead_toys_total", "hunt", ""): 3000,
    }
    expected = {(name, "watched", *tags): n for (name, *tags), n in expected.items()}
    # A gauge is there while its process is: that of the training's is over.
    metrics.show_losses("driver", "model", {"validation": 0.5})
    expected["raybead_loss", "driver", "model", "validation"] = 0.5
    until = time.monotonic() + 40  # processes report every ten seconds
    while True:
        found = exported()
        got = {key: found[key] for key in expected}
        if got == expected or time.monotonic() > until:
            break
        time.sleep(1)
    assert got == expected


def test_workers_log_their_pieces_with_run_and_stage(observed):  # noqa: ARG001  it did the work
    told = Counter()
    for file in logs("worker-*.err"):
        for line in file.read_text().splitlines():
            if '"run": "watched"' in line:
                one = json.loads(line)
                told[one["stage"], one["event"]] += 1
    assert told["events/background", "started"] == told["events/background", "finished"] == 4
    assert told["model", "finished"] == 2
    assert told["scores", "finished"] == 7 + 1  # the event files, and the calibration
    assert all(told[stage, "fault"] == 0 for stage in STAGES)


@Task
def _at_work(fails: bool) -> int:
    with timed("work"):
        count("toys", 3)
    if fails:
        raise InputError("row 7: no")
    return 5


def test_a_task_in_a_fault_is_seen_too():
    seen = []
    with watching(Watch("here", "hunt", measured=True), seen.append):
        assert result_of(_at_work.remote(False)) == 5
        with pytest.raises(InputError, match="row 7: no"):
            result_of(_at_work.options(num_cpus=2).remote(True))
    assert [one.faulty for one in seen] == [False, True]
    assert [one.counts for one in seen] == [{"toys": 3}] * 2
    faults = [
        json.loads(line)
        for file in logs("worker-*.err")
        for line in file.read_text().splitlines()
        if '"run": "here"' in line and '"fault"' in line
    ]
    assert [(one["message"], one["level"]) for one in faults] == [("row 7: no", "error")]


def logs(pattern):
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    # Of many files Ray puts those of processes that ended aside, into logs/old.
    return sorted((session / "logs").rglob(pattern))


def test_all_that_is_counted_has_a_name():
    package = Path(metrics.__file__).parent.parent
    text = "\n".join(path.read_text() for path in package.rglob("*.py"))
    used = set(re.findall(r'\bcount\(\s*"(\w+)"', text))
    used |= {"events_scored", "items_scored", "pieces", "busy_seconds", "cpu_seconds"}
    assert {f"raybead_{name}_total" for name in used} == set(metrics.COUNTERS)
    page = (package.parent / "docs/observing.md").read_text()
    every = {**metrics.COUNTERS, **metrics.GAUGES, **metrics.HISTOGRAMS}
    assert set(re.findall(r"^\| `ray_(\w+)`", page, re.MULTILINE)) == set(every)
    asked = re.findall(r"ray_(raybead_\w+?)(?:_bucket)?[\[{]", page)
    assert set(asked) <= set(every)

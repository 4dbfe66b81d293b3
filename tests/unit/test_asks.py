"""What stages ask a cluster for, and what a cluster can never give."""

import json
import math

import pytest

from raybead.config import Ask, GpuAsk, Score, Train, parse_job
from raybead.config.swept_keys import why_not
from raybead.console import Console
from raybead.distributed.asks import LEAST_CPU, Wanted, on_gpus, refuse_never
from raybead.distributed.cluster import UNLIMITED, Cluster, Kind, follows_configuration
from raybead.distributed.workers import crew_of
from raybead.errors import JobError, ResourcesError, TrainingError
from raybead.stages import Stages

GB = 10**9
HEAD = {"CPU": 0.0, "memory": 8.0 * GB}
PLAIN = {"CPU": 8.0, "memory": 32.0 * GB}
FAST = {"CPU": 4.0, "GPU": 2.0, "memory": 64.0 * GB, "fast": 1.0}


def cluster(*nodes, grows=False, kinds=None):
    return Cluster("here", nodes, grows, kinds)


def wanted(**asked):
    return Wanted.of(GpuAsk(**asked), "train", cpus=1, gpus=asked.get("gpus") or 0)


def test_an_ask_in_rays_words():
    ask = Ask.model_validate({"memory": "2GB", "custom": {"spot": 0.5}})
    own = Wanted.of(ask, "prepare", cpus=1)
    assert own.options() == {"num_cpus": 1, "memory": 2 * GB, "resources": {"spot": 0.5}}
    assert own.bundle() == {"CPU": 1, "memory": 2 * GB, "spot": 0.5}
    assert str(own) == "1 CPU, 2 GB of memory and 0.5 spot"
    assert Wanted.of(Ask(cpus=0), "hunt", cpus=1).options() == {"num_cpus": 0}
    assert Wanted.of(Ask(cpus=0), "train", cpus=1).bundle() == {"CPU": LEAST_CPU}
    assert wanted(cpus=0, gpus=0.5).bundle() == {"GPU": 0.5}
    assert wanted(gpus=2).options() == {"num_cpus": 1, "num_gpus": 2}


def test_room_is_counted_node_by_node():
    both = cluster(HEAD, PLAIN, FAST)
    assert (both.cpus, both.gpus, both.largest("CPU")) == (12, 2, 8)
    assert both.room({"CPU": 1}) == 12
    assert both.room({"CPU": 3}) == 2 + 1
    assert both.room({"CPU": 5}) == 1
    assert both.room({"CPU": 0.1}) == 120
    assert both.room({"CPU": 1, "GPU": 1}) == 2
    assert both.room({"GPU": 0.5}) == 4
    assert both.room({"memory": 20 * GB}) == 1 + 3
    assert cluster(HEAD).room({"CPU": 0.01}) == 0
    assert cluster(HEAD).cpus == 0


@pytest.mark.parametrize(
    ("asked", "n", "says"),
    [
        ({"cpus": 9}, 1, "resources.train.cpus = 9: the largest node here has 8"),
        ({"gpus": 4}, 1, "resources.train.gpus = 4: the largest node here has 2"),
        ({"memory": "100GB"}, 1, "resources.train.memory = 100 GB: the largest node here has 64"),
        ({"custom": {"spot": 1}}, 1, "train.custom.spot = 1: the largest node here has 0"),
        ({"cpus": 6, "gpus": 1}, 1, "resources.train: no node here has 6 CPUs and 1 GPU at once"),
        ({"cpus": 4}, 4, "4 workers of 4 CPUs each are asked for, and there is room for 3"),
    ],
)
def test_what_can_never_be_had_is_refused_in_one_line(asked, n, says):
    with pytest.raises(ResourcesError) as caught:
        refuse_never(wanted(**asked), n, "workers", cluster(HEAD, PLAIN, FAST))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    refuse_never(wanted(**asked), n, "workers", cluster(HEAD, grows=True))


def test_what_an_autoscaler_may_bring_is_not_refused():
    kinds = (Kind(PLAIN, UNLIMITED), Kind(FAST, 2))
    growing = cluster(HEAD, grows=True, kinds=kinds)
    refuse_never(wanted(cpus=8), 1000, "workers", growing)
    refuse_never(wanted(gpus=1), 4, "workers", growing)
    for asked, n, says in (
        ({"cpus": 9}, 1, "the largest node that may come has 8"),
        (
            {"gpus": 1},
            5,
            "5 workers of 1 CPU and 1 GPU each are asked for, and there is room for 4",
        ),
        ({"cpus": 6, "gpus": 1}, 1, "no node that may come has 6 CPUs and 1 GPU at once"),
    ):
        with pytest.raises(ResourcesError, match=says):
            refuse_never(wanted(**asked), n, "workers", growing)


def test_gpus_are_taken_where_they_are_or_may_come():
    kinds = (Kind(FAST, 2),)
    assert on_gpus("auto", cluster(FAST))
    assert not on_gpus("auto", cluster(PLAIN, grows=True))
    assert on_gpus("auto", cluster(PLAIN, grows=True, kinds=kinds))
    assert not on_gpus("auto", cluster(PLAIN, grows=True, kinds=(Kind(PLAIN, 2),)))
    assert on_gpus(True, cluster(PLAIN))
    assert not on_gpus(False, cluster(FAST))


def crew(there, ask=None, **train):
    from raybead.distributed.workers import crew_of

    return crew_of(Train(**train), "train", 64, there, ask or GpuAsk())


def test_a_crew_has_what_is_there_as_far_as_the_batch_makes_it_worth_while():
    four = cluster({"CPU": 4.0})
    found = crew(four, batch_items=128)
    assert (found.workers, found.each.cpus, found.gpus) == (2, 2, 0)
    assert crew(four, workers=1).each.cpus == 4
    assert crew(cluster({"CPU": 3.0}, {"CPU": 5.0}), workers=2).each.cpus == 3
    assert crew(cluster(PLAIN, PLAIN), workers=1).each.cpus == 8
    # Memory and CPUs that are asked for bound the number.
    assert crew(cluster(PLAIN), GpuAsk.model_validate({"memory": "20GB"})).workers == 1
    assert crew(cluster(PLAIN), GpuAsk(cpus=4)).workers == 2
    with pytest.raises(TrainingError, match="as many CPUs, and there are 4 here"):
        crew(four, workers=5)


def test_a_crew_takes_one_gpu_where_none_is_there_yet():
    coming = cluster(HEAD, grows=True, kinds=(Kind(FAST, 8),))
    found = crew(coming)
    assert (found.workers, found.gpus, found.each.cpus) == (1, 1, 1)
    assert crew(coming, use_gpu=False).gpus == 0
    assert crew(coming, workers=4).workers == 4
    assert crew(cluster(FAST, FAST)).workers == 4
    assert crew(cluster(FAST), GpuAsk(gpus=0.5)).workers == 4
    nothing = crew(cluster(HEAD, grows=True))
    assert (nothing.workers, nothing.each.cpus, nothing.gpus) == (1, 1, 0)
    with pytest.raises(TrainingError, match="as many GPUs, and there are 0 here"):
        crew(cluster(PLAIN), use_gpu=True)


def test_a_pool_grows_where_nodes_may_come():
    from raybead.distributed.score import pool_of, scorer_of

    def sizes(there, pieces, **config):
        each = scorer_of(Score(**config), GpuAsk(), there)
        pool = pool_of(Score(**config), each, there, pieces)
        return each.cpus, each.gpus, pool.min_size, pool.max_size

    assert sizes(cluster({"CPU": 4.0}), 100) == (0.5, 0, 4, 4)
    assert sizes(cluster({"CPU": 4.0}), 3) == (0.5, 0, 3, 3)
    assert sizes(cluster(HEAD, grows=True), 100) == (0.5, 0, 1, 100)
    assert sizes(cluster(HEAD, PLAIN, grows=True), 100, workers=5) == (0.5, 0, 5, 5)
    assert sizes(cluster(FAST, FAST, grows=True), 100) == (0.5, 1, 4, 4)


def sweep_crew(there, ask, **keys):
    from raybead.config import Sweep
    from raybead.distributed.sweep import _crew

    over = {"train.learning_rate": {"choice": [1e-4, 1e-2]}}
    return _crew(Sweep.model_validate({"over": over, **keys}), ask, there)


def test_what_a_sweep_says_of_its_trials_goes_first():
    both = GpuAsk.model_validate({"cpus": 3, "gpus": 0.5, "memory": "1GB"})
    assert sweep_crew(cluster(FAST), GpuAsk()).each.amounts() == {"CPU": 1, "GPU": 1}
    asked = {"CPU": 3, "GPU": 0.5, "memory": GB}
    assert sweep_crew(cluster(FAST), both).each.amounts() == asked
    own = sweep_crew(cluster(FAST), both, cpus=2, gpus=0.25)
    assert own.each.amounts() == {"CPU": 2, "GPU": 0.25, "memory": GB}
    assert sweep_crew(cluster(FAST), both, gpus=0).gpus == 0
    with pytest.raises(TrainingError, match="asks for 3 CPUs, and there are 2 here"):
        sweep_crew(cluster({"CPU": 2.0}), both)


def test_an_autoscaler_is_known_by_the_kinds_of_its_nodes():
    def status(by_node, active):
        report = {"active_nodes": active, "idle_nodes": None, "node_type_mapping": by_node}
        return json.dumps({"autoscaler_report": report}).encode()

    assert not follows_configuration(status({"ab": "node_ab"}, {"node_ab": 1}))
    assert follows_configuration(status({"ab": "ray.head.default"}, {}))
    assert follows_configuration(status({"10.0.0.1": "headgroup"}, {"headgroup": 1}))
    for broken in (b"", b"[]", b'{"autoscaler_report": null}'):
        assert follows_configuration(broken)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("{ custom = { CPU = 1 } }", "CPU is Ray's own; say it as cpus"),
        ("{ gpus = 1.5 }", "a share of one GPU, or a whole number"),
        ("{ cpus = -1 }", "resources.train.cpus"),
        ("{ memory = 'much' }", "resources.train.memory"),
        ("{ disks = 1 }", "disks"),
    ],
)
def test_asks_that_nothing_can_mean_are_refused(lhco_files, asked, says):
    with pytest.raises(JobError, match=says):
        parse_job(job_text(lhco_files), [f"resources.train={asked}"])


def job_text(files):
    roles = "".join(
        f'[data.{role}]\nsource = "lhco"\npath = "{path}"\n' for role, path in files.items()
    )
    return f'name = "asks"\n{roles}'


def test_what_is_asked_for_decides_nothing_of_a_run(lhco_files):
    plain = Stages.of(parse_job(job_text(lhco_files)))
    asked = [
        f"resources.{stage}={{cpus=2, memory='1GB', custom={{spot=1}}}}"
        for stage in ("driver", "prepare", "train", "score", "hunt")
    ]
    other = Stages.of(parse_job(job_text(lhco_files), asked))
    names = ("background", "search", "model", "scores", "hunt", "calibration", "reach")
    names += ("diagnostics", "emd")
    for name in names:
        assert getattr(other, name).key == getattr(plain, name).key


def test_it_is_no_part_of_a_trials_name(lhco_files):
    from raybead.sweep import _identity

    job = parse_job(job_text(lhco_files), ["resources.train.cpus=2"])
    assert _identity(job) == _identity(parse_job(job_text(lhco_files)))
    assert "stays as the job says" in str(why_not("resources.train.cpus"))


def test_a_wait_is_a_note_among_json_lines_too(capsys):
    with Console(form="json").stage("train") as tick:
        tick(0, 0, "waiting for a node with 1 GPU")
        tick(5, 5, "epochs")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["started", "note", "progress", "finished"]
    assert lines[1]["message"] == "train: waiting for a node with 1 GPU"
    assert lines[3]["done"] == 5


def test_nothing_asked_for_fits_anywhere_and_often():
    nothing = Wanted.of(Ask(cpus=0), "hunt", cpus=1)
    for place in (cluster(PLAIN), cluster(HEAD, grows=True)):
        assert place.room(nothing.amounts()) == math.inf
        refuse_never(nothing, 3, "tasks", place)


def test_workers_that_ask_for_nothing_are_as_many_as_the_batch_makes_worth_while():
    crew = crew_of(Train(batch_items=512), "train", 64, cluster(PLAIN), GpuAsk(cpus=0))
    assert (crew.workers, crew.each.cpus) == (8, 0)


def test_a_note_is_said_at_once(capsys):
    with Console().stage("train") as tick:
        tick(0, 0, "waiting for a node with 1 GPU")
        tick(0, 5, "epochs")
    assert capsys.readouterr().out.splitlines() == [
        "train ...",
        "train: waiting for a node with 1 GPU",
    ]

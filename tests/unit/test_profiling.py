"""A profile's numbers against sums by hand, and what becomes of earlier ones."""

import contextlib

import pytest

from raybead.console import Console
from raybead.distributed.watch import Watch, at_stage, watch
from raybead.profiling import PROFILE, Profile, StageProfile, begun
from raybead.storage import Folder, Stage
from raybead.timing import Part, Seen, count, timed


def seen(worker, started, **parts):
    ended = started + sum(parts.values())
    of = {name: Part(seconds, seconds / 2, 1) for name, seconds in parts.items()}
    counts = {"events_read": 100, "jets": 150, "events_dropped:soft": 25, "bytes_read": 8}
    return Seen(worker, started, ended, of, counts, peak_bytes=int(10 * started))


def test_a_stage_adds_up():
    stage = StageProfile("key", cpus=4, gpus=0, began=1000.0)
    for one in (
        seen("a:1", 1002.0, read=1.0, other=0.5),
        seen("a:1", 1004.0, read=2.0, write=1.0, other=0.5),
        seen("b:1", 1003.0, read=3.0, other=2.0),
    ):
        stage.add(one)
    stage.wall = 10.0
    told = stage.as_dict()
    assert sum(part["seconds"] for part in told["parts"].values()) == told["busy_seconds"] == 10
    assert told["cpu_seconds"] == 5
    assert list(told["parts"]) == ["read", "write", "other"]
    assert told["parts"]["read"] == {"seconds": 6.0, "cpu_seconds": 3.0, "times": 3}
    assert (told["waiting_seconds"], told["closing_seconds"]) == (2.0, 2.0)
    assert told["idle_share"] == pytest.approx(1 - 10 / 40)
    assert told["overhead_seconds_a_piece"] == pytest.approx((2 * 10 - 10) / 3)
    assert told["peak_rss_bytes"] == 10_040
    assert (told["workers"], told["pieces"]) == (2, 3)
    assert (told["events"], told["jets"], told["toys"], told["bytes_in"]) == (300, 450, 0, 24)
    assert told["cpu_seconds_each"] == {"events": 5 / 300, "jets": 5 / 450}
    assert told["a_busy_second"]["events"] == 30
    assert told["counts"]["events_dropped:soft"] == 75


@pytest.fixture
def run(tmp_path):
    return Folder.at(str(tmp_path / "run"))


def done(run, name, profile=None, of="this"):
    """A stage that is done, with or without a profile."""
    stage = Stage(run, name, {"of": of})
    stage.beside.write("x", b"x")
    if profile is not None:
        with profile.stage(stage, 2, 0) as add:
            add(seen("a:1", 1000.0, work=1.0))
    stage.finish({"seconds": 1})
    return stage


def test_stages_of_earlier_profiles_stay_while_they_are_current(run):
    first = Profile(run)
    done(run, "model", first)
    done(run, "scores", first)
    done(run, "scores", of="other")  # done again, without
    done(run, "hunt", Profile(run))
    assert list(run.read_json(PROFILE)["stages"]) == ["model", "hunt"]


def test_a_stage_that_fails_leaves_the_profile_as_it_was(run):
    profile = Profile(run)
    done(run, "model", profile)
    before = run.read(PROFILE)

    def fail():
        with profile.stage(Stage(run, "scores", {}), 2, 0):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert run.read(PROFILE) == before


def test_the_table_tells_stages_and_parts(run, capsys):
    profile = Profile(run)
    with begun(contextlib.nullcontext("cluster"), profile) as cluster:
        assert cluster == "cluster"
        done(run, "model", profile)
    profile.show(Console())
    said = capsys.readouterr().out
    for words in ("starting Ray", "model", "work", "all", "100 events", "profile.json"):
        assert words in said
    Profile(run).show(Console())
    assert "nothing was done" in capsys.readouterr().out


def test_what_the_driver_does_itself_is_a_stage_too(run):
    profile = Profile(run)
    stage = Stage(run, "figures", {})
    with at_stage("demo", stage, None, profile), timed("draw"):
        count("events_read", 3)
    told = run.read_json(PROFILE)["stages"]["figures"]
    assert (told["pieces"], told["workers"], told["events"]) == (1, 1, 3)
    assert told["parts"].keys() == {"draw", "other"}
    with at_stage("demo", stage, None, None):
        assert watch() == Watch("demo", "figures", measured=False)
    assert watch() == Watch()


def test_a_cluster_without_cpus_yet_has_no_share_that_idles():
    stage = StageProfile("key", cpus=0, gpus=0, began=1000.0, wall=10.0, pieces=3)
    assert (stage.idle, stage.overhead) == (None, None)
    assert stage.as_dict()["idle_share"] is None


@pytest.mark.parametrize(
    "held", ["[]", "no json", '{"layout": 1}', '{"layout": 1, "stages": {"a": {}}}']
)
def test_a_profile_that_is_none_of_ours_is_begun_anew(tmp_path, held):
    run = Folder.at(str(tmp_path))
    run.write(PROFILE, held.encode())
    Profile(run).save()
    found = run.read_json(PROFILE)
    assert (found["layout"], found["stages"]) == (1, {})

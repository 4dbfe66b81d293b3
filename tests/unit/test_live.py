"""The progress file, and what ``raybead watch`` makes of it."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from rich.console import Console as RichConsole

from raybead.commands.watch import Watched, follow_run, watched_folder
from raybead.commands.watching import sparkline
from raybead.console import Console
from raybead.errors import InputError, JobError, RunError, StorageError
from raybead.pace import Remark
from raybead.storage import Folder
from raybead.telling import live as telling_live
from raybead.telling.live import AT_MOST, EPOCHS, NOTES, Live, told_live
from raybead.telling.progress import PROGRESS, read_progress

PLANNED = [("events/background", "prepare background", "current"), ("model", "train", "waiting"),
           ("hunt", "hunt", "waiting")]  # fmt: skip


def epoch(n, **more):
    losses = {"train": 1.0 / (n + 1), "validation": 1.5 / (n + 1)}
    return {"epoch": n, **losses, "learning_rate": 0.1, "best": True, **more}


@pytest.fixture
def run(tmp_path):
    return Folder.at(str(tmp_path / "runs" / "small"))


def live_in(run, console, every=0.02, key="k1", planned=PLANNED):
    return Live(run, "small", "run", planned, {"model": key}, console.say, every)


def train(console, first=0, last=3):
    before = [epoch(n) for n in range(first)]
    with console.stage("train", "model") as tick:
        tick(first, 10, Remark("epochs", before=first, epochs=before))
        for n in range(first, last):
            tick(n + 1, 10, Remark(f"epochs, loss {n}", epochs=[epoch(n, terms={"mse": 0.5})]))


def test_the_file_says_what_is_done_and_how_it_ended(run):
    console = Console(quiet=True)
    with told_live(live_in(run, console), console):
        deadline = time.monotonic() + 30
        while (told := read_progress(run)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert (told["state"], told["process"]["pid"]) == ("running", os.getpid())
        assert [(one["name"], one["state"]) for one in told["stages"]] == [
            ("events/background", "current"), ("model", "waiting"), ("hunt", "waiting"),
        ]  # fmt: skip
        train(console)
        console.say("note: a thing")
        first = read_progress(run)["alive"]
        while read_progress(run)["alive"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    told = read_progress(run)
    assert (told["state"], told["fault"], told["run"], told["verb"]) == (
        "done", None, "small", "run",
    )  # fmt: skip
    model = told["stages"][1]
    assert (model["state"], model["done"], model["total"]) == ("done", 3, 10)
    assert model["unit"] == "epochs"
    assert told["epochs"]["model"]["train"] == [1.0, 1 / 2, 1 / 3]
    assert told["epochs"]["model"]["last"]["terms"] == {"mse": 0.5}
    assert [one["text"] for one in told["notes"]] == ["note: a thing"]
    assert run.names() == [PROGRESS]


@pytest.mark.parametrize(
    ("error", "state", "fault"),
    [
        (InputError("row 7: negative pT"), "fault", "row 7: negative pT"),
        (ZeroDivisionError("by zero\nor so"), "fault", "ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), "interrupted", None),
        (SystemExit(143), "interrupted", "told to stop (143)"),
    ],
)
def test_how_a_run_fails_is_told(run, error, state, fault):
    console = Console(quiet=True)

    def fail():
        with told_live(live_in(run, console), console), console.stage("train", "model"):
            raise error

    with pytest.raises(type(error)):
        fail()
    told = read_progress(run)
    assert (told["state"], told["fault"]) == (state, fault)
    assert told["stages"][1]["state"] == state
    assert console.listeners == []


def test_losses_of_an_earlier_try_stay_if_it_is_the_same_training(run):
    console = Console(quiet=True)
    with told_live(live_in(run, console), console):
        train(console)
    with told_live(live_in(run, console), console), console.stage("train", "model") as tick:
        tick(3, 10, Remark("epochs", before=3))
        tick(4, 10, Remark("epochs", epochs=[epoch(3)]))
    assert read_progress(run)["epochs"]["model"]["epoch"] == [0, 1, 2, 3]
    with told_live(live_in(run, console, key="k2"), console):
        train(console, last=1)
    assert read_progress(run)["epochs"]["model"]["epoch"] == [0]


def test_epochs_that_were_lost_with_their_workers_are_not_told(run):
    console = Console(quiet=True)
    with told_live(live_in(run, console), console), console.stage("train", "model") as tick:
        for n in range(4):
            tick(n + 1, 10, Remark("epochs", epochs=[epoch(n)]))
        tick(2, 10, Remark("epochs", before=2, epochs=[epoch(0), epoch(1)]))
    assert read_progress(run)["epochs"]["model"]["epoch"] == [0, 1]
    assert read_progress(run)["epochs"]["model"]["last"]["epoch"] == 1


@pytest.mark.parametrize("rates", [5, "0.1", None])
def test_a_run_begins_anew_where_the_learning_rates_are_no_list(world, rates):
    column = {"epoch": [0], "train": [1.0], "validation": [1.0], "best": [True]}
    told = column | {"key": "k1", "learning_rate": rates, "last": {}}
    world.write(epochs={"model": told})
    with pytest.raises(StorageError, match=r"progress file.*: epochs\.model\.learning_rate"):
        read_progress(world.run)
    console = Console(quiet=True)
    with told_live(live_in(world.run, console), console):
        pass
    assert read_progress(world.run)["epochs"] == {}


def test_numbers_that_are_none_and_many_notes(run):
    console = Console(quiet=True)
    with told_live(live_in(run, console), console):
        for n in range(NOTES + 5):
            console.say(f"{n}")
        with console.stage("train", "model") as tick:
            tick(1, 10, Remark("epochs", epochs=[epoch(0, terms={"kl": float("nan")})]))
    told = read_progress(run)
    assert told["epochs"]["model"]["last"]["terms"] == {"kl": None}
    assert told["notes_left_out"] == 5
    assert [one["text"] for one in told["notes"]][:: NOTES - 1] == ["5", f"{NOTES + 4}"]


def test_a_store_that_refuses_is_told_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "run").write_text("a file is in the way")
    console = Console()
    with told_live(live_in(Folder.at(str(tmp_path / "run")), console), console):
        time.sleep(0.2)
        train(console)
    said = capsys.readouterr().out
    assert said.count("raybead watch can't see this run") == 1
    assert "train: 3/10" in said or "train ..." in said


@pytest.fixture
def slow_disk(monkeypatch):
    """A disk that takes a while to write; gives when each writing began, and what it wrote."""
    took, written, write = 0.05, [], Folder.write

    def slowly(folder, name, content):
        written.append((time.monotonic(), json.loads(content)))
        time.sleep(took)
        write(folder, name, content)

    monkeypatch.setattr(Folder, "write", slowly)
    return took, written


def written_times(run, written, times):
    console = Console(quiet=True)
    with told_live(live_in(run, console), console):
        deadline = time.monotonic() + 30
        while len(written) < times:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_file_says_how_long_until_the_next_sign_of_life(run, slow_disk):
    took, written = slow_disk
    written_times(run, written, 4)
    assert written[1][1]["every"] >= took / AT_MOST  # seldom, but it says so
    starts = [at for at, _ in written[:4]]
    for (before, after), (_, told) in zip(pairwise(starts), written, strict=False):
        # Writing takes longer than told on a busy machine, the rest in between doesn't.
        assert after - before < told["every"] + took + 0.4


def test_a_store_however_slow_is_written_to(run, slow_disk, monkeypatch):
    monkeypatch.setattr(telling_live, "SELDOM", 0.1)
    _, written = slow_disk
    written_times(run, written, 4)
    assert [told["every"] for _, told in written[:4]] == [0.02, 0.1, 0.1, 0.1]


def test_of_many_epochs_some_are_told(run, capsys):
    console, many, best = Console(quiet=True), 8 * EPOCHS + 3, 321
    ran = [epoch(n) | {"best": n in (0, best)} for n in range(many)]
    with told_live(live_in(run, console), console), console.stage("train", "model") as tick:
        tick(many, many, Remark("epochs", epochs=ran))
    told = read_progress(run)["epochs"]["model"]
    assert told["epoch"] == sorted({*range(0, many, 16), best, many - 1})
    assert len(told["epoch"]) <= EPOCHS + 2
    assert told["train"] == [ran[n]["train"] for n in told["epoch"]]
    assert len(run.read(PROGRESS)) < 100_000
    follow_run(Watched(run, 0.0), RichConsole(force_terminal=True, width=100), "auto", once=True)
    assert f"{many} epochs, best {best + 1}" in capsys.readouterr().out


# What watch makes of it


class World:
    """A run's folder, and clocks that a test moves; ``then`` is done at each sleep, in turn."""

    def __init__(self, run):
        self.run, self.now = run, 1000.0
        self.start = datetime(2026, 1, 1, tzinfo=UTC)
        self.skew, self.then = 0.0, []

    def wall(self, ahead=0.0):
        return self.start + timedelta(seconds=self.now + ahead)

    def sleep(self, seconds):
        self.now += seconds
        if self.then:
            self.then.pop(0)()

    def write(self, **changes):
        told = {
            "layout": 1, "run": "small", "verb": "run", "state": "running", "fault": None,
            "since": self.start.isoformat(), "ended": None, "every": 2.0,
            "process": {"host": "far", "pid": 7}, "alive": self.wall(self.skew).isoformat(),
            "stages": [], "epochs": {}, "facts": {}, "notes": [], "notes_left_out": 0,
        }  # fmt: skip
        self.run.write_json(PROGRESS, told | changes)

    def watched(self, wait=0.0):
        clock = {"clock": lambda: self.now, "wall": self.wall, "sleep": self.sleep}
        return Watched(self.run, wait, **clock)


@pytest.fixture
def world(run):
    return World(run)


def follow(world, log="auto", once=False, wait=0.0, rich=None):
    rich = rich or RichConsole(force_terminal=False)
    follow_run(world.watched(wait), rich, log, once=once)


def stage(state, done=0, total=10, **more):
    return {"name": "model", "title": "train", "state": state, "done": done, "total": total,
            "since": "2026-01-01T00:10:00+00:00", "remark": "epochs, loss 0.5", "unit": "epochs",
            "rate": 0.1, "rates": None, "seconds_left": (total - done) * 10, **more}  # fmt: skip


def test_lines_say_what_is_new_and_it_ends_with_the_run(world, capsys):
    note = {"time": world.start.isoformat(), "text": "note: odd"}
    world.write(stages=[stage("waiting", remark="")])
    after = [
        [stage("running", 1)],
        [stage("running", 2)],  # too soon for a line
        *([[stage("running", 9)]] * 10),
    ]
    world.then = [
        lambda s=s: world.write(stages=s, notes=[note]) for s in after
    ] + [
        lambda: world.write(
            stages=[stage("done", 10, ended="2026-01-01T00:12:00+00:00")],
            notes=[note], state="done", ended=world.wall().isoformat(),
        )
    ]  # fmt: skip
    follow(world)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "small: run, for 17 min by process 7 on far"
    assert said[1:] == [
        "train ...",
        "train: 1/10 epochs, loss 0.5, 6 epochs/min, 2 min left",
        "note: odd",
        "train: 9/10 epochs, loss 0.5, 6 epochs/min, 10 s left",
        "train: done, 10/10 epochs, loss 0.5, 2 min",
        "small: run is done, after 17 min",
    ]


def test_json_lines_are_those_of_a_log(world, capsys):
    world.write(
        state="done", ended=world.wall().isoformat(), stages=[stage("done", 10)],
    )  # fmt: skip
    follow(world, log="json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in lines] == ["note", "finished", "finished"]
    assert all(one["run"] == "small" for one in lines)
    assert (lines[1]["stage"], lines[1]["done"], lines[1]["rate"]) == ("model", 10, 0.1)


@pytest.mark.parametrize(
    ("state", "fault", "says"),
    [("fault", "row 7: negative pT", "failed after .*: row 7: negative pT"),
     ("interrupted", None, "was interrupted")],
)  # fmt: skip
def test_it_fails_as_the_run_did(world, state, fault, says):
    world.write(state=state, fault=fault, ended=world.wall().isoformat())
    with pytest.raises(RunError, match=says):
        follow(world)
    with pytest.raises(RunError, match=says):
        follow(world, once=True)


@pytest.mark.parametrize("once", [False, True])
def test_a_run_that_was_killed_is_told_as_such(world, once):
    world.write(stages=[stage("running", 3)])
    world.now += 600
    with pytest.raises(RunError, match=r"nobody seems to work on it.*process 7 on far is 10 min"):
        follow(world, once=once)
    assert world.now < 1700  # it didn't take long to say so


def test_a_run_that_falls_silent_while_it_is_watched(world):
    world.write()
    with pytest.raises(RunError, match="nobody seems to work on it"):
        follow(world)
    assert 1030 <= world.now < 1040


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong_is_no_death(world, skew):
    world.skew = skew
    world.write()
    world.then = [world.write] * 50 + [lambda: world.write(state="done")]
    follow(world)
    assert not world.then


def test_once_says_how_it_stands_and_ends(world, capsys):
    world.write(stages=[stage("running", 3)])
    follow(world, once=True)
    assert "train: 3/10 epochs, loss 0.5, 6 epochs/min, 70 s left" in capsys.readouterr().out


def test_a_run_that_has_not_begun_is_waited_for(world, capsys):
    world.then = [lambda: None] * 5 + [lambda: world.write(state="done")]
    follow(world, wait=60)
    assert "no run there yet; waiting up to 60 s" in capsys.readouterr().out
    world.run.delete()
    with pytest.raises(RunError, match="no run there"):
        follow(world, wait=60)
    with pytest.raises(RunError, match="no run there"):
        follow(world, once=True)


def test_a_view_for_a_terminal(world, capsys):
    losses = {"epoch": [0, 1, 2], "train": [1.0, 0.5, 0.25], "validation": [1.1, 0.6, None],
              "best": [True, True, False], "learning_rate": [0.1] * 3,
              "last": {"terms": {"mse": 0.2, "kl": 0.05}}}  # fmt: skip
    world.write(
        state="done", stages=[stage("done", 10), stage("waiting") | {"title": "hunt"}],
        epochs={"model": losses}, notes=[{"time": world.start.isoformat(), "text": "odd [x]"}],
    )  # fmt: skip
    follow(world, rich=RichConsole(force_terminal=True, width=100, color_system=None))
    said = capsys.readouterr().out
    for what in ("✓ train", "· hunt", "losses of model, 3 epochs, best 2", "█▃▁", "odd [x]",
                 "mse 0.2, kl 0.05", "is done"):  # fmt: skip
        assert what in said, what


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"layout": 1}', b'{"layout": 99, "state": "", '
                                     b'"stages": [], "alive": ""}'])  # fmt: skip
def test_a_broken_file_is_one_line(run, content):
    run.write(PROGRESS, content)
    with pytest.raises(StorageError, match=PROGRESS) as told:
        read_progress(run)
    assert "\n" not in str(told.value)
    assert read_progress(run / "elsewhere") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("alive", "yesterday"), ("stages", [{"name": "model"}]), ("epochs", {"model": {}}),
     ("notes", [1]), ("every", 0), ("process", None)],
)  # fmt: skip
def test_what_is_odd_in_a_file_is_named(world, name, value):
    world.write(**{name: value})
    with pytest.raises(StorageError, match=f"no progress file of raybead: {name}"):
        read_progress(world.run)
    console = Console(quiet=True)
    with told_live(live_in(world.run, console), console):
        pass  # a run begins anew with it
    assert read_progress(world.run)["state"] == "done"


def test_a_run_is_named_by_its_folder_or_its_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = tmp_path / "job.toml"
    job.write_text('name = "a"\n[data.background]\nsource="lhco"\npath="x.h5"\n'
                   '[data.search]\nsource="lhco"\npath="x.h5"\n')  # fmt: skip
    assert watched_folder("job.toml") == Folder.at("runs/a")
    assert watched_folder("job.toml", ("name=b",)) == Folder.at("runs/b")
    assert watched_folder("runs/a") == Folder.at("runs/a")
    assert watched_folder("s3://bucket/runs/a.toml") == Folder.at("s3://bucket/runs/a.toml")
    with pytest.raises(JobError, match="no such job file"):
        watched_folder("missing.toml")
    with pytest.raises(JobError, match="goes with a job file"):
        watched_folder("runs/a", ("name=b",))


def test_sparklines():
    assert sparkline([]) == ""
    assert sparkline([1.0, 2.0, 3.0, 8.0]) == "▁▂▃█"
    assert sparkline([0.001, 0.1, 10.0]) == "▁▅█"  # logarithms: the middle is in the middle
    assert sparkline([1.0, None, float("nan"), 2.0]) == "▁  █"
    assert sparkline([2.0, 2.0]) == "▁▁"
    many = sparkline([float(n) for n in range(1000)], width=10)
    assert (len(many), many[0], many[-1]) == (10, "▁", "█")

"""Rates and time left, against the obvious formula, on a clock that is told what to say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybead.console import Console
from raybead.pace import Pace, Remark, duration, rate_text, unit_of


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


steps = st.lists(
    st.tuples(st.floats(0.01, 1e4), st.integers(1, 1000)), min_size=1, max_size=20
)  # seconds that pass, pieces done in them


@given(before=st.integers(0, 10_000), steps=steps, more=st.integers(1, 1000))
def test_rate_and_time_left_are_what_anyone_would_work_out(before, steps, more):
    clock = FakeClock()
    pace, total = Pace(clock), before + sum(n for _, n in steps) + more
    clock.now += 7.0  # until it begins
    pace.at(before, total, "files of events")
    assert pace.rate is None
    assert pace.left is None
    done = before
    for seconds, n in steps:
        clock.now += seconds
        done += n
        pace.at(done, total, "files of events")
    elapsed = sum(seconds for seconds, _ in steps)
    rate = (done - before) / elapsed
    assert pace.rate == pytest.approx(rate)
    assert pace.left == pytest.approx((total - done) / rate)
    pace.at(total, total, "files of events")
    assert pace.left == 0


def test_what_was_done_before_is_not_done_now(clock):
    """A sweep tells how many trials of those that are over were known; a training which epochs."""
    pace = Pace(clock)
    pace.at(0, 10, Remark("trials", before=0))
    clock.now += 10
    pace.at(5, 10, Remark("trials, the last 0.9", before=4))
    assert pace.rate == pytest.approx(1 / 10)
    assert pace.left == pytest.approx(50)


def test_workers_that_begin_where_others_ended_are_measured_anew(clock):
    pace = Pace(clock)
    pace.at(0, 30, Remark("epochs", before=0, counts={"items": 0}))
    clock.now += 50
    pace.at(5, 30, Remark("epochs, loss 0.3", counts={"items": 100}))
    clock.now += 200  # a worker dies, and another one starts
    pace.at(5, 30, Remark("epochs, loss 0.3", before=5, counts={"items": 100}))
    assert (pace.rate, pace.left, pace.rates) == (None, None, {})
    clock.now += 20
    pace.at(6, 30, Remark("epochs, loss 0.2", counts={"items": 120}))
    assert pace.rate == pytest.approx(1 / 20)
    assert pace.rates == {"items": 1.0}
    assert pace.left == pytest.approx(480)


def test_another_count_is_measured_anew(clock):
    pace = Pace(clock)
    pace.at(0, 4, "files of pairs")
    clock.now += 8
    pace.at(4, 4, "files of pairs")
    clock.now += 100
    pace.at(0, 30, Remark("epochs", before=0))
    assert (pace.rate, pace.left) == (None, None)
    clock.now += 30
    pace.at(1, 30, "epochs, loss 0.3")
    assert pace.rate == pytest.approx(1 / 30)
    clock.now += 5
    pace.at(0, 30, Remark("epochs", before=0))  # workers were lost, and it begins again
    clock.now += 10
    pace.at(1, 30, "epochs, loss 0.3")
    assert pace.rate == pytest.approx(1 / 10)


def test_events_count_besides_files(clock):
    pace = Pace(clock)
    pace.at(2, 8, Remark("files of events", counts={"events": 500}))
    clock.now += 4
    pace.at(4, 8, Remark("files of events", counts={"events": 1100}))
    assert pace.rates == {"events": 150.0}
    assert pace.words() == "150 events/s, 8 s left"
    assert pace.as_dict() == {
        "rate": 0.5, "unit": "files", "rates": {"events": 150.0}, "seconds_left": 8.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "unit", "words"),
    [
        (1234.5, "events", "1,234 events/s"),
        (1.5, "events", "1.5 events/s"),
        (0.5, "epochs", "30 epochs/min"),
        (1 / 120, "epochs", "30 epochs/h"),
        (0, "trials", "0 trials/h"),
    ],
)
def test_rates_in_words(rate, unit, words):
    assert rate_text(rate, unit) == words


def test_who_may_stop_early_is_not_said_to_need_all_the_time(clock):
    pace = Pace(clock)
    pace.at(0, 10_000_000, "pseudo-experiments at most")
    clock.now += 10
    pace.at(1000, 10_000_000, "pseudo-experiments at most")
    assert (pace.rate, pace.left) == (100, None)
    assert pace.words() == "100 pseudo-experiments/s"
    pace.at(2000, 2000, "pseudo-experiments")
    assert pace.left == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (5400, "1 h 30 min"),
     (86400 * 2 + 4 * 3600, "2 d 4 h")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_what_is_counted_is_how_a_remark_begins():
    said = ("epochs, loss 0.1, validation 0.2", "files of events", "pseudo-experiments at most")
    assert [unit_of(one) for one in said] == ["epochs", "files", "pseudo-experiments"]


def test_a_log_has_rate_and_time_left(clock, capsys):
    console = Console(clock=clock)
    with console.stage("train", "model") as tick:
        clock.now += 20  # workers start
        tick(2, 10, Remark("epochs", before=2))
        clock.now += 30
        tick(3, 10, "epochs, loss 0.5, validation 0.6")
        clock.now += 30
        tick(10, 10, "epochs, loss 0.4, validation 0.6")
    first, going, again, last = capsys.readouterr().out.splitlines()
    assert first == "train ..."
    assert going == "train: 2/10 epochs, 20 s"
    assert again == (
        "train: 3/10 epochs, loss 0.5, validation 0.6, 50 s, 2 epochs/min, 4 min left"
    )
    assert last == "train: 10/10 epochs, loss 0.4, validation 0.6, 80 s, 8 epochs/min"


def test_json_has_them_too(clock, capsys):
    console = Console(form="json", clock=clock)
    epoch = {"epoch": 2, "train": 0.5, "validation": 0.6}
    with console.stage("train", "model") as tick:
        tick(2, 10, Remark("epochs", before=2))
        clock.now += 30
        tick(3, 10, Remark("epochs, loss 0.5", epochs=[epoch]))
    _, going, over = map(json.loads, capsys.readouterr().out.splitlines())
    for one in (going, over):
        assert one["rate"] == pytest.approx(1 / 30, rel=1e-3)
        assert (one["unit"], one["seconds_left"]) == ("epochs", 210)
        assert one["losses"] == {"train": 0.5, "validation": 0.6}
        assert one["seconds"] == 30


def test_listeners_hear_all_of_it_whatever_is_shown(clock):
    heard = []

    class Ear:
        def said(self, line):
            heard.append(line)

        def began(self, stage, title):
            heard.append((stage, title))

        def ticked(self, stage, pace, remark):
            heard.append((stage, pace.done, pace.total, remark))

        def ended(self, stage, error):
            heard.append((stage, error))

    console = Console(quiet=True, clock=clock)
    console.listeners.append(Ear())
    console.say("hello")
    wrong = ValueError("no")

    def fail():
        with console.stage("train", "model") as tick:
            tick(1, 2, "epochs")
            tick(0, 0, "waiting for a node")
            raise wrong

    with pytest.raises(ValueError, match="no"):
        fail()
    assert heard == [
        "hello", ("model", "train"), ("model", 1, 2, "epochs"), "train: waiting for a node",
        ("model", wrong),
    ]  # fmt: skip

"""Parts of a piece of work add up, however they are nested."""

import json
import threading
from collections import defaultdict
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybead import timing
from raybead.timing import OTHER, Recording, Seen, count, timed


class Clock:
    """Time that passes when it is told to; CPU time is a quarter of it."""

    def __init__(self):
        self.now = 0

    def module(self):
        return SimpleNamespace(
            time=lambda: 1000 + self.now,
            perf_counter=lambda: self.now,
            process_time=lambda: self.now / 4,
        )


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing, "time", made.module())
    return made


STEPS = st.recursive(
    st.integers(0, 9),  # seconds that pass
    lambda inner: st.tuples(st.sampled_from("abc"), st.lists(inner, max_size=4)),
    max_leaves=20,
)


@given(st.lists(STEPS, max_size=6))
def test_time_belongs_to_the_innermost_block(steps):
    clock, expected, calls = Clock(), defaultdict(int), defaultdict(int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "time", clock.module())

        def run(step, part):
            if isinstance(step, int):
                clock.now += step
                expected[part] += step
                return
            name, inner = step
            calls[name] += 1
            with timed(name):
                for one in inner:
                    run(one, name)

        with Recording() as recording:
            for step in steps:
                run(step, OTHER)
    got = {name: part.seconds for name, part in recording.parts.items()}
    assert got == {OTHER: 0, **dict.fromkeys(calls, 0), **expected}
    assert recording.seconds == clock.now == recording.ended - recording.started
    assert recording.cpu == clock.now / 4
    assert {n: part.calls for n, part in recording.parts.items()} == {OTHER: 1, **calls}


def test_what_raises_is_timed_up_to_there(clock):
    recording = Recording()

    def broken():
        with recording, timed("a"), timed("b"):
            clock.now += 3
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    clock.now += 5
    with timed("c"):  # in no recording
        clock.now += 1
    count("events", 1)
    assert {name: part.seconds for name, part in recording.parts.items()} == {
        OTHER: 0, "a": 0, "b": 3,
    }  # fmt: skip
    assert recording.counts == {}


def test_without_detail_all_is_one_part(clock):
    settled = []
    with Recording(detailed=False) as recording, timed("a", lambda: settled.append(1)):
        clock.now += 2
        count("jets", 4)
    assert {name: part.seconds for name, part in recording.parts.items()} == {OTHER: 2}
    assert recording.counts == {"jets": 4}
    assert settled == []


def test_a_device_is_waited_for_before_the_clock_is_read(clock):
    def settle():
        clock.now += 10  # what the device still had to do

    with Recording() as recording:
        clock.now += 1
        with timed("a", settle):
            clock.now += 2
    assert recording.parts[OTHER].seconds == 11  # ended before the block began
    assert recording.parts["a"].seconds == 12


def test_counts_add_up_by_kind():
    with Recording() as recording:
        for n in (2, 3):
            count("dropped", n, of="too soft")
        count("dropped", 1)
    assert recording.counts == {"dropped:too soft": 5, "dropped": 1}


def test_threads_do_not_share_a_recording(clock):
    def other():
        with timed("a"):
            clock.now += 7

    with Recording() as recording:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "a" not in recording.parts


def test_earlier_work_is_taken_in_and_told(clock):
    with Recording() as before, timed("load"):
        clock.now += 4
        count("models", 1)
    clock.now += 100
    with Recording() as recording:
        recording.take(before)
        with timed("load"):
            clock.now += 1
        count("models", 1)
    seen = Seen.from_dict(json.loads(json.dumps(recording.seen("here:1").as_dict())))
    assert (seen.started, seen.ended) == (1000, 1105)
    assert (seen.seconds, seen.parts["load"].calls, seen.counts) == (5, 2, {"models": 2})
    assert seen.peak_bytes > 1_000_000


def test_a_peak_can_be_forgotten_where_the_system_allows():
    held = bytearray(b"x" * 60_000_000)
    high = timing.peak_bytes()
    del held
    timing.forget_peak()
    assert timing.peak_bytes() <= high

"""What a trace says of parts, against counting microsecond by microsecond."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybead.profiling.trace import PART, STEP, Traced, parts_of, read_trace, steps_in


def window(name, start, length):
    return {"cat": "user_annotation", "name": name, "ts": start, "dur": length}


def kernel(start, length, cat="kernel"):
    return {"cat": cat, "name": "k", "ts": start, "dur": length}


def level(ts, size, kind=0):
    args = {"Total Allocated": size, "Device Type": kind}
    return {"cat": "cpu_instant_event", "name": "[memory]", "ts": ts, "args": args}


def slowly(events, kind):
    """Every microsecond belongs to the innermost window that is open, and to the kernels in it."""
    windows = [e for e in events if e.get("cat") == "user_annotation"]
    end = max(e["ts"] + e["dur"] for e in windows)
    found = {}
    for at in range(int(end)):
        inside = [e for e in windows if e["ts"] <= at < e["ts"] + e["dur"]]
        if not inside:
            continue
        name = min(inside, key=lambda e: (e["dur"], -e["ts"]))["name"]
        own = "other" if name == STEP else name.removeprefix(PART)
        busy = any(
            e["ts"] <= at < e["ts"] + e["dur"]
            for e in events
            if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
        )
        seen = [e for e in events if e["name"] == "[memory]" and e["args"]["Device Type"] == kind]
        levels = [(e["ts"], e["args"]["Total Allocated"]) for e in seen]
        before = [size for ts, size in levels if ts < at]
        held = max([*before[-1:], *(size for ts, size in levels if at <= ts < at + 1)], default=0)
        total, device, peak = found.get(own, (0, 0, 0))
        found[own] = (total + 1, device + busy, max(peak, held))
    return {
        name: Traced(pytest.approx(1e-6 * total), pytest.approx(1e-6 * device), peak)
        for name, (total, device, peak) in found.items()
    }


@st.composite
def traces(draw):
    events, at = [], draw(st.integers(0, 5))
    for _ in range(draw(st.integers(1, 3))):
        parts = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(2, 9)), max_size=4))
        start, at = at, at + draw(st.integers(0, 3))
        for name, length in parts:
            events.append(window(PART + name, at, length))
            if draw(st.booleans()):  # one within it, shorter
                events.append(window(PART + "within", at + 1, length - 1 - draw(st.booleans())))
            at += length + draw(st.integers(0, 3))
        at += 1
        events.append(window(STEP, start, at - start))
        at += draw(st.integers(0, 4))
    events = [e for e in events if e["dur"] > 0]
    for cat in draw(st.lists(st.sampled_from(["kernel", "gpu_memcpy", "gpu_user_annotation"]))):
        events.append(kernel(draw(st.integers(0, at)), draw(st.integers(1, 12)), cat))
    times = draw(st.lists(st.integers(0, at), unique=True, max_size=12))
    for ts in sorted(times):  # between microseconds: a moment belongs to one window
        kind = draw(st.sampled_from([0, 1]))
        events.append(level(ts + 0.5, draw(st.integers(0, 99)), kind))
    return events


@given(events=traces(), device=st.sampled_from(["cpu", "cuda"]))
def test_parts_are_what_counting_microseconds_gives(events, device):
    assert parts_of(events, device) == slowly(events, {"cpu": 0, "cuda": 1}[device])
    assert steps_in(events) == sum(e["name"] == STEP for e in events)


def test_work_of_several_streams_counts_once():
    events = [window(STEP, 0, 100), window(PART + "forward", 10, 50)]
    events += [kernel(20, 20), kernel(30, 20, "gpu_memcpy"), kernel(55, 25)]
    found = parts_of(events, "cuda")
    assert found["forward"].device_seconds == pytest.approx(35e-6)
    assert found["other"].device_seconds == pytest.approx(20e-6)


def test_a_trace_is_read_compressed_or_not():
    plain = json.dumps({"traceEvents": [window(STEP, 0, 1)]}).encode()
    assert read_trace(plain) == read_trace(gzip.compress(plain)) == [window(STEP, 0, 1)]

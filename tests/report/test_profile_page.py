"""A profile's shares, sentences, tables, figures and page."""

import json
import re

import numpy as np
import pytest

from raybead.config import parse_job
from raybead.report.figures.profile import draw_profile
from raybead.report.profile import write_profile
from raybead.report.profile_numbers import figures, shares, tables, top
from raybead.report.profile_words import sentences
from raybead.storage import Folder

JOB = """
name = "seen"
[data.background]
source = "lhco"
path = "<b>bold</b>.h5"
[data.search]
source = "lhco"
path = "b.h5"
"""


def part(seconds, cpu=None, device=0.0, peak=0):
    return {
        "seconds": seconds,
        "cpu_seconds": seconds if cpu is None else cpu,
        "times": 4,
        "traced_seconds": 1.5 * seconds,
        "device_seconds": device,
        "peak_bytes": peak,
    }


def operator(name, seconds, device=0.0, flops=0, calls=8):
    return {
        "name": name, "calls": calls, "seconds": seconds, "device_seconds": device,
        "flops": flops, "shapes": "64x32, 32",
    }  # fmt: skip


def steps(parts, operators, **more):
    plain = sum(one["seconds"] for one in parts.values())
    return {
        "steps": 4,
        "seconds": {"plain": [plain / 4] * 4, "parted": [plain / 4] * 4,
                    "traced": [1.5 * plain / 4] * 4},
        "cpu_seconds": sum(one["cpu_seconds"] for one in parts.values()),
        "counts": {"items_trained": 4000, "events_scored": 400},
        "parts": parts,
        "operators": operators,
        "operators_in_all": 40,
        "operator_seconds": sum(one["seconds"] for one in operators),
        "calls": sum(one["calls"] for one in operators),
        "flops": sum(one["flops"] for one in operators),
        "device_seconds": sum(one["device_seconds"] for one in parts.values()),
        "memory": {"rss_peak": 2**29, "device_allocated": 2**30},
        **more,
    }  # fmt: skip


def stage(**parts):
    busy = sum(parts.values())
    named = {n: {"seconds": s, "cpu_seconds": s / 2, "times": 1} for n, s in parts.items()}
    return {
        "wall_seconds": 4.0, "waiting_seconds": 3.0, "busy_seconds": busy, "cpu_seconds": busy / 2,
        "pieces": 2, "parts": named,
        "operators": [
            {"name": "MapBatches(_prepare_shards)", "tasks": 2, "blocks": 2, "elapsed": 1.0,
             "wall": 1.5, "cpu": 1.0, "rows": 2, "bytes": 2048, "peak_bytes": 2**27},
        ],
    }  # fmt: skip


def profile(**where):
    training = steps(
        {
            "other": part(0.1),
            "backward": part(0.8, peak=3 * 2**20),
            "batch": part(0.3),
            "forward": part(0.4, peak=2**20),
            "transfer": part(0.0),
        },
        [operator("aten::mm", 1.2, flops=8 * 10**9), operator("aten::add", 0.8)],
        warm_up=3, items=5000, jets_an_item=1.0, batch_items=1000, events=2500, parameters=1234,
        before={"load events": {"seconds": 0.5, "cpu_seconds": 0.5}},
    )  # fmt: skip
    scoring = steps({"controls": part(0.9), "forward": part(0.1)}, [], events=100)
    return {
        "where": {
            "device": "cpu", "device_name": "", "threads": 1, "workers": 1, "torch": "2.13",
            "ray": "2.60", "asks": "1 CPU", "cluster": "1 node with 2 CPUs and 0 GPUs", **where,
        },
        "training": training,
        "scoring": scoring,
        "stages": {"prepare background": stage(cluster=1.5, read=0.4, other=0.001)},
        "events": {"background": 2500, "search": 2000, "origin": "bounded"},
    }  # fmt: skip


def on_gpu():
    found = profile(device="cuda", device_name="A GPU", workers=2)
    found["training"]["parts"]["forward"]["device_seconds"] = 0.6
    found["training"]["device_seconds"] = 0.6
    found["training"]["operators"][1]["device_seconds"] = 3.0
    return found


def test_shares_are_of_the_whole_and_in_the_order_of_the_work():
    found = shares(profile()["training"])
    assert [one.name for one in found] == ["batch", "transfer", "forward", "backward", "other"]
    assert sum(one.share for one in found) == pytest.approx(1)
    assert found[3].share == pytest.approx(0.8 / 1.6)
    assert found[3].seconds == pytest.approx(0.2)
    assert [share for _, share in top(profile()["training"])] == pytest.approx([0.6, 0.4])
    assert [share for _, share in top(on_gpu()["training"])] == pytest.approx([0.24, 0.76])


def said(found):
    return " ".join(sentences(found))


def test_sentences_say_what_the_numbers_say():
    told = said(profile())
    # Four steps of 1000 items in 1.6 seconds.
    assert "A training step takes 400 ms: backward 50 %, forward 25 %, batch 19 %" in told
    assert re.search(r"2.500 items a second, each of them a jet", told)
    assert re.search(r"The data keeps up: making batches takes 18\.[78] % of a step", told)
    assert "1 of them busy on average, with its one CPU." in told
    assert "aten::mm: 60 % of all operators' time, in 2 calls a step" in told
    # 2e9 operations in 0.4 seconds.
    assert "2e+03 million floating point operations: 5 GFLOP a second" in told
    assert "Memory is highest in backward: 3.00 MiB" in told
    assert "90 % of it controls. score.controls = false leaves" in told
    assert "3.0 s passed before the first piece of work began" in told
    assert "traced ones 1.50 ×" in told  # noqa: RUF001
    assert "larger batches" not in told
    assert "workers;" not in told


def test_sentences_follow_the_numbers():
    waits = profile()
    waits["training"]["parts"]["batch"] = part(2.0)
    assert "The model waits for its data: 61 % of a step" in said(waits)
    between = profile()
    between["training"]["operator_seconds"] = 0.6  # of 2.4
    assert "75 % of the traced time lies between torch's 4 operator calls" in said(between)
    shared = profile()
    shared["training"]["cpu_seconds"] = 0.4
    assert "0.25 of them busy on average, with its one CPU. Others use" in said(shared)
    slack = profile(threads=4)
    assert "with 4 threads. Threads have too little to do" in said(slack)
    quick = profile()
    quick["stages"]["prepare background"]["waiting_seconds"] = 1.0
    assert "passed before" not in said(quick)
    events = profile()
    events["training"]["jets_an_item"] = 1.95
    assert "items a second, of 1.9 jets each." in said(events)


def test_a_gpu_is_told_of():
    told = said(on_gpu())
    assert "The GPU (A GPU) has work in 25 % of a traced step, and 1 CPUs meanwhile." in told
    assert "It waits for what the CPU hands to it" in told
    assert "on the GPU 1024 MiB at most" in told
    assert "Training takes 2 workers; these steps are one's share of a batch of 1000" in told
    columns = {table.key: list(table.columns) for table in tables(on_gpu())}
    assert "GPU [ms]" in columns["training"]
    assert "GPU [ms]" in columns["operators"]
    assert "GPU [ms]" not in columns["scoring"]


@pytest.mark.parametrize("made", [profile, on_gpu])
def test_tables_are_whole_and_add_up(made):
    for table in tables(made()):
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.key
    first = tables(made())[0]
    numbers = [float(row[1]) for row in first.rows]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], rel=0.01)


@pytest.mark.parametrize("made", [profile, on_gpu])
def test_figures_draw_their_numbers(made):
    plots = {plot.name: plot for plot in draw_profile("seen", made())}
    assert list(plots) == [
        "profile-parts", "profile-operators", "profile-memory", "profile-steps", "profile-data",
        "profile-workers",
    ]  # fmt: skip
    parts = plots["profile-parts"].chart.as_dict()["panels"][0]["marks"]
    ends = {}
    for mark in parts:
        columns = mark["columns"]
        for x1, x2, row in zip(columns["x1"], columns["x2"], columns["y"], strict=True):
            ends.setdefault(row, []).append((x1, x2))
    for spans in ends.values():  # one behind another, from nothing to all of it
        spans.sort()
        assert [0, *(x2 for _, x2 in spans)] == pytest.approx([*(x1 for x1, _ in spans), 100])
    data = plots["profile-data"].chart.as_dict()["panels"][0]
    assert [mark["columns"]["x2"] for mark in data["marks"]] == [[1.5], [1]]
    assert list(data["y"]["ticks"]) == ["prepare background: MapBatches(_prepare_shards)"]
    workers = plots["profile-workers"].chart.as_dict()["panels"][0]
    assert len(workers["y"]["ticks"]) == 2  # other is too small to be drawn
    for plot in plots.values():
        assert plot.png.startswith(b"\x89PNG")
        assert plot.section == "profile"


@pytest.mark.parametrize("made", [profile, on_gpu])
def test_the_page_holds_all_of_it(made, tmp_path):
    folder = Folder.at(str(tmp_path))
    whole = write_profile(parse_job(JOB), made(), folder)
    page = folder.read("profile.html").decode()
    assert folder.read_json("profile.json") == json.loads(json.dumps(whole))
    for name in ("parts", "operators", "memory", "steps", "data", "workers"):
        assert f'id="profile-{name}"' in page
        assert {f"profile-{name}.{end}" for end in ("png", "pdf", "json")} <= set(folder.names())
    assert page.count("<li>") == len(whole["says"]) > 8
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)


def test_digits():
    for value in np.geomspace(0.011, 9000, 50):
        assert float(figures(value)) == pytest.approx(value, rel=0.05)
    assert figures(0) == "0"

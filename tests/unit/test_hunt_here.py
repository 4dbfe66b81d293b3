"""A whole hunt in one process: strict JSON of whatever is asked for, or one clear line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Sample, Scores, hunt_here

KINDS = ("counts", "half", "mixed")
FITTED = ("dijet", "ratio-polynomial")


def sample(n, seed, kind="counts"):
    rng = np.random.default_rng(seed)
    mass = 2660 + rng.exponential(500, n)
    score = 0.8 * np.log(mass / 3000) + rng.normal(0, 1, n)
    weight = {
        "counts": np.ones(n),
        "half": np.full(n, 0.5),
        "mixed": rng.choice([1.0, -0.5], n, p=[0.85, 0.15]) * rng.lognormal(0, 0.3, n),
    }[kind]
    return Sample(np.arange(n), mass, score, weight)


def hunted(search, **asked):
    few = {"cuts": (0.8,), "toys": 40, "precision": 0.0, "signal": {"masses": 9}}
    config = Hunt(**few | asked)
    return hunt_here([Scores("run", search, sample(500, 2))], config)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        *((kind, {}) for kind in KINDS),
        *((kind, {"background": background}) for kind in KINDS for background in FITTED),
        ("counts", {"statistic": "likelihood"}),
        ("mixed", {"statistic": "likelihood"}),
        ("counts", {"statistic": "likelihood", "background": "dijet"}),
        *((kind, {"direction": "deficit"}) for kind in KINDS),
        *((kind, {"sidebands": True}) for kind in KINDS),
    ],
)
def test_what_is_found_is_strict_json(kind, asked):
    cuts = (0.8, 0.9) if len(asked) == 0 else (0.8,)
    found = hunted(sample(2000, 1, kind), cuts=cuts, **asked)
    told = json.loads(json.dumps(found, allow_nan=False))
    assert [cut["cut"] for cut in told["cuts"]] == list(cuts)
    assert told["refused"] == []
    conclusion = told["conclusion"]
    assert 1 / 41 <= conclusion["p"] <= conclusion["bonferroni"] <= 1
    assert conclusion["toys"] == 40
    for cut in told["cuts"]:
        window, histogram = cut["window"], cut["histogram"]
        inside = slice(*(histogram["edges"].index(window[end]) for end in ("low", "high")))
        total = sum(histogram["outliers"])
        assert window["observed"] == pytest.approx(sum(histogram["outliers"][inside]))
        assert total == pytest.approx(cut["events"]["outliers"])
        assert sum(histogram["expected"]) == pytest.approx(total, rel=0.3)
        assert 0 < cut["global"]["p"] <= 1
        assert cut["global"]["beyond"] <= 40
        assert min(cut["scan"]["p"]) == cut["local"]["p"]
        assert sum(cut["toys"]["counts"]) == 40
        if asked.get("direction") == "deficit" and cut["local"]["p"] < 0.5:
            assert window["excess"] < 0
        assert ("per_event" in histogram) == (kind != "counts")
        assert len(cut["peak"]["masses"]) == len(cut["limits"]["observed"]) == 9


def test_the_same_hunt_finds_the_same():
    assert hunted(sample(2000, 1)) == hunted(sample(2000, 1))


GOOD = sample(2000, 1)


def with_value(column, value):
    values = getattr(GOOD, column).copy()
    values[3] = value
    return replace(GOOD, **{column: values})


@pytest.mark.parametrize(
    ("search", "asked", "says"),
    [
        (replace(GOOD, score=np.ones(2000)), {}, "the scores of the .* are all 1: nothing tells"),
        (with_value("score", np.nan), {}, "event 3: its score is nan, not a number to hunt with"),
        (with_value("score", np.inf), {}, "event 3: its score is inf, not a number to hunt with"),
        (with_value("score", -np.inf), {}, "event 3: its score is -inf"),
        (with_value("weight", np.nan), {}, "event 3: its weight is nan"),
        (with_value("mass", np.nan), {}, "event 3: its mass is nan, not a number above 0"),
        (GOOD, {"mass_window": (9000.0, 14000.0)}, "no event of the search sample has 9067 <="),
        (
            GOOD,
            {"mass_window": (2659.0, 2900.0), "widths": (4, 5)},
            "windows of 4 bins are wider than the 2 bins",
        ),
        (sample(0, 1), {}, "no event of the search sample has 2659 <="),
        (sample(40, 1), {}, "cut 0.8: only .* lie beyond it, and 10 are needed"),
        (replace(GOOD, weight=np.zeros(2000)), {}, "sum to 0, which is not above 0"),
    ],
)
def test_hunts_that_cannot_be_are_refused_in_one_line(search, asked, says):
    with pytest.raises(HuntError, match=says) as refused:
        hunted(search, **asked)
    assert "\n" not in str(refused.value)


def test_broken_scores_of_the_background_are_refused_too():
    broken = with_value("score", np.nan)
    with pytest.raises(HuntError, match="event 3: its score is nan"):
        Scores("run", GOOD, broken)


def test_a_peak_that_does_not_fit_leaves_the_bump_hunt_standing():
    wide = {"signal": {"width": 0.45, "masses": 9}}
    cut = hunted(GOOD, **wide)["cuts"][0]
    assert cut["peak"] is None
    assert cut["limits"] is None
    assert any("no peak is fitted" in line for line in cut["background"]["warnings"])
    assert cut["window"]["observed"] == hunted(GOOD)["cuts"][0]["window"]["observed"]
    with pytest.raises(HuntError, match="doesn't fit into"):
        hunted(GOOD, **wide, statistic="likelihood")

"""What holds of a sweep's space, whatever its dimensions."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sweeps import space_of

from raybead.config.dimension import canonical
from raybead.errors import JobError
from raybead.sweeping.population import mutated, mutations

KEYS = ("model.latent", "model.heads", "train.patience", "train.batch_items", "graph.nodes")
values = st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True)


@st.composite
def overs(draw):
    """Up to five dimensions, some of which are set with values of those before."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
    over = {}
    for key in keys:
        over[key] = {draw(st.sampled_from(["choice", "grid"])): draw(values)}
        if len(over) > 1 and draw(st.booleans()):
            named = draw(st.sampled_from(list(over)[:-1]))
            held = over[named].get("choice") or over[named].get("grid")
            over[key]["when"] = {named: draw(st.sampled_from([held[0], held[:1], held]))}
    order = draw(st.permutations(list(over)))
    return {key: over[key] for key in order}


def by_hand(over):
    """Every combination of all, less what isn't set, each once: slow and obvious."""
    found = {}
    listed = [of.get("choice") or of.get("grid") for of in over.values()]
    for together in itertools.product(*listed):
        chosen = dict(zip(over, together, strict=True))
        for _ in over:  # one that isn't set may leave another one unset
            chosen = {key: value for key, value in chosen.items() if met(over[key], chosen)}
        found[canonical(chosen)] = chosen
    return list(found.values())


def met(dimension, chosen):
    return all(
        chosen.get(named) in (accepted if isinstance(accepted, list) else [accepted])
        for named, accepted in dimension.get("when", {}).items()
    )


def said(over):
    """The job says what no condition asks for, so that an unset key grants none."""
    raw = {}
    for key in over:
        section, name = key.split(".")
        raw.setdefault(section, {})[name] = 9
    return raw


@given(overs())
@settings(max_examples=150, deadline=None)
def test_a_grid_holds_every_combination_once(over):
    space, expected = space_of(over, said(over)), by_hand(over)
    grid = space.grid()
    assert sorted(map(canonical, grid)) == sorted(map(canonical, expected))
    assert space.size == len(grid)
    assert all(space.has(one) and list(one) == [key for key in over if key in one] for one in grid)
    drawn = {canonical(space.draw(number, 0)) for number in range(20)}
    assert drawn <= set(map(canonical, grid))


def test_without_conditions_a_grid_is_a_product_in_its_order():
    over = {"model.latent": {"choice": [2, 4]}, "loss": {"grid": [[{"kind": "mse"}], "x", 3]}}
    space = space_of(over)
    listed = [of.get("choice") or of.get("grid") for of in over.values()]
    assert [tuple(one.values()) for one in space.grid()] == list(itertools.product(*listed))
    assert space.size == 6


@given(overs(), st.integers(0, 99), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_draw_depends_on_its_number_alone(over, number, seed):
    one, other = space_of(over, said(over)), space_of(over, said(over))
    for before in range(3):
        one.draw(before, seed)
    assert one.draw(number, seed) == other.draw(number, seed)
    assert one.has(one.draw(number, seed))


def test_another_key_leaves_draws_as_they_are():
    rate = {"train.learning_rate": {"log_uniform": [1e-4, 1.0]}}
    alone = space_of(rate)
    beside = space_of({"model.latent": {"uniform": [2, 8]}, **rate})
    found = [
        [space.draw(number, 3)["train.learning_rate"] for number in range(20)]
        for space in (alone, beside)
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) == 20
    assert found[0] != [alone.draw(number, 4)["train.learning_rate"] for number in range(20)]


def test_grids_are_gone_through_in_turn():
    over = {
        "model.latent": {"grid": [2, 4, 8]},
        "train.learning_rate": {"uniform": [0.1, 0.2]},
        "model.heads": {"grid": [1, 2]},
    }
    space = space_of(over)
    drawn = [space.draw(number, 1) for number in range(12)]
    pairs = [(one["model.latent"], one["model.heads"]) for one in drawn]
    assert pairs == [*itertools.product([2, 4, 8], [1, 2])] * 2


@pytest.mark.parametrize(
    ("dimension", "law"),
    [
        ({"uniform": [-1.0, 3.0]}, stats.uniform(-1, 4)),
        ({"uniform": [0, 2.5]}, stats.uniform(0, 2.5)),
        ({"log_uniform": [1e-4, 1.0]}, stats.loguniform(1e-4, 1)),
    ],
)
def test_ranges_are_drawn_evenly(dimension, law):
    space = space_of({"score.x": dimension})
    drawn = [space.draw(number, 11)["score.x"] for number in range(1500)]
    assert stats.kstest(drawn, law.cdf).pvalue > 0.01
    assert all(type(value) is float for value in drawn)
    shifted = np.array(drawn) * 1.1 + 0.1
    assert stats.kstest(shifted, law.cdf).pvalue < 1e-3  # which the test would see


@pytest.mark.parametrize("kind", ["uniform", "log_uniform"])
def test_whole_numbers_are_drawn_to_both_ends(kind):
    low, high = 2, 7
    space = space_of({"score.x": {kind: [low, high]}})
    drawn = Counter(space.draw(number, 5)["score.x"] for number in range(3000))
    assert all(type(value) is int for value in drawn)
    weights = [1.0 if kind == "uniform" else math.log((k + 0.5) / (k - 0.5)) for k in range(2, 8)]
    expected = 3000 * np.array(weights) / sum(weights)
    counts = [drawn[k] for k in range(low, high + 1)]
    assert sum(counts) == 3000
    assert stats.chisquare(counts, expected).pvalue > 0.01
    assert space.size == 6
    assert [one["score.x"] for one in space.grid()] == list(range(2, 8))


def test_conditions_hold_of_what_presets_and_defaults_say():
    over = {
        "model.preset": {"choice": ["edgenet", "jet-dense"]},
        "model.head": {"choice": [[4]], "when": {"model.kind": "jet-bottleneck"}},
        "train.momentum": {"choice": [0.5], "when": {"train.optimizer": ["sgd", "rmsprop"]}},
        "loss.weight": {"choice": [2], "when": {"loss.kind": "vae"}},
        "train.patience": {"choice": [3], "when": {"seed": 0, "data.search.source": "lhco"}},
    }
    plain = space_of(over).grid()
    assert plain == [
        {"model.preset": "edgenet", "train.patience": 3},
        {"model.preset": "jet-dense", "model.head": [4], "train.patience": 3},
    ]
    raw = {"train": {"optimizer": "sgd"}, "seed": 1, "loss": {"kind": "vae"}}
    other = space_of(over, {**raw, "model": {"variational": True}})
    assert other.grid()[0] == {
        "model.preset": "edgenet",
        "train.momentum": 0.5,
        "loss.weight": 2,
    }


def test_what_a_whole_section_says_counts_in_conditions():
    over = {
        "loss.0.weight": {"choice": [1, 2], "when": {"loss.kind": ["l1", "mse"]}},
        "loss": {"choice": [{"kind": "l1"}, [{"kind": "mse"}, {"kind": "emd"}]]},
    }
    space = space_of(over)
    assert space.order == ("loss", "loss.0.weight")
    assert [one.get("loss.0.weight") for one in space.grid()] == [1, 2, None]
    assert not space.has({"loss": over["loss"]["choice"][0]})
    assert space.has({"loss": over["loss"]["choice"][1]})
    assert not space.has({"loss": over["loss"]["choice"][1], "loss.0.weight": 1})


def test_an_endless_space_has_no_size_and_no_grid():
    space = space_of({"model.latent": {"choice": [2]}, "score.x": {"uniform": [0.0, 1.0]}})
    assert space.size is None
    with pytest.raises(JobError, match=r"no end of the values of score\.x"):
        space.grid()


def test_a_large_space_is_counted_without_being_listed():
    over = {f"model.a{n}": {"choice": list(range(10))} for n in range(12)}
    over["model.b"] = {"choice": [1, 2, 3], "when": {"model.a0": [4, 5]}}
    assert space_of(over).size == 10**11 * (8 + 2 * 3)


@given(st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_a_mutation_stays_in_its_range(seed):
    over = {
        "train.learning_rate": {"log_uniform": [1e-3, 1e-1]},
        "loss.weight": {"uniform": [1, 9]},
        "model.latent": {"choice": [2, 99]},
        "train.clip_norm": {"uniform": [0.5, 2.0], "when": {"model.latent": 99}},
    }
    space = space_of(over, search="pbt")
    rng = np.random.default_rng(seed)
    before = {"train.learning_rate": 2e-3, "loss.weight": 1, "model.latent": 2}
    kept = dict(before)
    after = mutated(before, space, rng)
    assert before == kept
    assert space.has(after)
    assert type(after["loss.weight"]) is int
    assert after["model.latent"] == 2


def test_mutations_are_factors_or_drawn_anew():
    over = {"train.learning_rate": {"uniform": [0.0, 1.0]}, "train.momentum": {"choice": [0.5]}}
    space, rng = space_of(over, search="pbt"), np.random.default_rng(2)
    found = [
        mutated({"train.learning_rate": 0.5}, space, rng)["train.learning_rate"] / 0.5
        for _ in range(2000)
    ]
    shares = [np.isclose(found, factor).mean() for factor in (0.8, 1.25)]
    assert shares == pytest.approx([0.375, 0.375], abs=0.04)
    drawn = mutations(space, 1)
    assert list(drawn) == ["train.learning_rate"]
    anew = [drawn["train.learning_rate"]() for _ in range(500)]
    assert stats.kstest(anew, stats.uniform(0, 1).cdf).pvalue > 0.01

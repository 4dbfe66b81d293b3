"""Drift between samples against scipy, slow sums, and samples that are known not to differ."""

import json
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import make_particles
from scipy.stats import ks_2samp, kstest, wasserstein_distance

from raybead.config import Graph, Jets
from raybead.diagnostics import feature_drift
from raybead.diagnostics.two_samples import (
    Values,
    holm,
    ks_distance,
    ks_p_value,
    signs,
    wasserstein,
)
from raybead.events import event_table, make_jets
from raybead.report.drift_words import drift_in_words
from raybead.report.feature_words import feature_in_words

NUMBERS = st.lists(st.integers(-5, 5), min_size=2, max_size=30)


def values(x, weights=None, events=None):
    events = np.arange(len(x)) if events is None else events
    weights = np.ones(events.max() + 1) if weights is None else weights
    return Values.of(np.asarray(x, dtype=float), events, np.asarray(weights, dtype=float))


def p_of(ours, theirs, generator, draws=299):
    pair = (signs(draws, len(one.weight_E), generator) for one in (ours, theirs))
    return ks_p_value(ours, theirs, *pair)


@given(NUMBERS, NUMBERS)
def test_the_distance_is_scipys_also_with_ties(ours, theirs):
    expected = ks_2samp(ours, theirs, method="asymp").statistic
    assert ks_distance(values(ours), values(theirs)) == pytest.approx(expected, abs=1e-12)


@given(NUMBERS, NUMBERS, st.randoms(use_true_random=False))
def test_a_weight_is_as_many_values(ours, theirs, random):
    times, other_times = ([random.randint(1, 4) for _ in one] for one in (ours, theirs))
    expected = ks_2samp(np.repeat(ours, times), np.repeat(theirs, other_times), method="asymp")
    distance = ks_distance(values(ours, times), values(theirs, other_times))
    assert distance == pytest.approx(expected.statistic, abs=1e-12)


def test_the_wasserstein_distance_is_in_the_first_samples_standard_deviations():
    generator = np.random.default_rng(1)
    x, y = generator.normal(5, 3, 200), generator.normal(6, 2, 150)
    w, v = generator.uniform(0.5, 2, 200), generator.uniform(0.5, 2, 150)
    spread = np.sqrt(np.cov(x, aweights=w, ddof=0))
    expected = wasserstein_distance(x, y, w, v) / spread
    assert wasserstein(values(x, w), values(y, v)) == pytest.approx(expected)
    # A shift is its own length, whatever the unit.
    assert wasserstein(values(1e3 * x), values(1e3 * x + 1e3)) == pytest.approx(1 / x.std())


def test_what_has_no_distance():
    assert wasserstein(values([1.0, 1.0]), values([1.0, 1.0])) == 0.0
    assert wasserstein(values([1.0, 1.0]), values([2.0, 1.0])) is None
    assert wasserstein(values([1.0, 2.0], [1, -0.5]), values([2.0, 1.0])) is None


def plain(generator):
    return values(generator.normal(size=80)), values(generator.normal(size=60))


def counts(generator):
    return tuple(values(generator.poisson(3, size=n)) for n in (120, 90))


def weighted(generator):
    """Weights make the one what the other is without: no event could take another's place."""
    x = generator.uniform(-4, 4, 300)
    return values(x, np.exp(-(x**2) / 2)), values(generator.normal(size=120))


def weighted_few(generator):
    theirs, ours = weighted(generator)
    return ours, theirs


def bunched(generator):
    """Up to 20 nodes an event, which share most of what they are, and weights on top."""
    found = []
    for n in (200, 150):
        event = np.repeat(np.arange(n), generator.integers(1, 20, n))
        shared = generator.normal(size=n)
        x = shared[event] + 0.3 * generator.normal(size=len(event))
        found.append(values(x, generator.lognormal(0, 0.5, n), event))
    return tuple(found)


@pytest.mark.parametrize("samples", [plain, counts, weighted, weighted_few, bunched])
def test_p_values_are_uniform_where_there_is_no_drift(samples):
    p_values = []
    for seed in range(250):
        generator = np.random.default_rng(seed)
        p_values.append(p_of(*samples(generator), generator, draws=199))
    assert kstest(p_values, "uniform").pvalue > 0.01
    share = np.mean(np.array(p_values) <= 0.05)
    assert 0.01 <= share <= 0.10  # 0.05, within more than three standard deviations


def test_counting_nodes_as_events_would_not_be():
    """The samples that the test above is about tell a wrong p-value from a right one."""
    naive = []
    for seed in range(60):
        ours, theirs = bunched(np.random.default_rng(seed))
        naive.append(ks_2samp(ours.value_N, theirs.value_N, method="asymp").pvalue)
    assert kstest(naive, "uniform").pvalue < 1e-6


def test_a_drift_is_seen():
    generator = np.random.default_rng(2)
    x = generator.uniform(-4, 4, 1500)
    ours = values(x, np.exp(-(x**2) / 2))
    theirs = values(generator.normal(0.5, 1, 400))
    assert p_of(ours, theirs, generator) == 1 / 300


def test_holms_correction():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def events(n, seed, signal=0.0, weights=None):
    table = event_table(make_jets(make_particles(n, seed=seed, signal=signal), Jets()))
    if weights is not None:
        place = table.schema.get_field_index("weight")
        table = table.set_column(place, table.schema.field(place), pa.array(weights(len(table))))
    return table


def scores_of(table, seed, shift=0.0):
    generator = np.random.default_rng(seed)
    n = len(table)
    return pa.table({"score": generator.normal(shift, 1, n), "weight": np.ones(n)})


def test_the_drift_of_a_run():
    background, search = events(300, 1), events(250, 2)
    scores = {"background": scores_of(background, 3), "search": scores_of(search, 4, shift=1.0)}
    graph = Graph(nodes=10)
    found = feature_drift(background, search, graph, scores=scores, seed=5, draws=399)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    names = [one["name"] for one in found["features"]]
    jets = ["multiplicity", "jet_pt", "jet_mass"]
    assert names == [*graph.columns, *jets, "mjj", "score"]
    assert (found["looked_at"], found["draws"]) == (8, 399)
    assert found["differ"] == ["score"]
    words = partial(feature_in_words, pt_power=1.0, node="constituent")
    # 1 in 400 is the least that so many draws can tell, and there were 8 looks.
    assert drift_in_words(found, words).startswith(
        "8 features and observables were looked at; 1 differs between background and search"
        " sample at 5\xa0%, corrected for that many looks (Holm): anomaly score (p\xa0≤\xa00.02)."
    )
    by_name = {one["name"]: one for one in found["features"]}
    mjj = by_name["mjj"]
    ours, theirs = (table.column("mjj").to_numpy() for table in (background, search))
    assert mjj["distance"] == pytest.approx(ks_2samp(ours, theirs).statistic)
    assert mjj["wasserstein"] == pytest.approx(wasserstein_distance(ours, theirs) / ours.std())
    assert mjj["background"]["mean"] == pytest.approx(ours.mean())
    masses = pc.list_flatten(background.column("jets")).to_pylist()
    assert by_name["jet_mass"]["background"]["mean"] == pytest.approx(
        np.mean([jet["mass"] for jet in masses])
    )
    for one in found["features"]:
        assert len(one["edges"]) == len(one["shares"]["background"]) + 1
        for role in ("background", "search"):
            assert sum(one["shares"][role]) == pytest.approx(1)
        assert one["p_adjusted"] >= one["p"]
    counted = by_name["multiplicity"]["edges"]
    assert np.allclose(np.diff(counted), np.diff(counted)[0])
    assert (np.array(counted) % 1 == 0.5).all()
    assert found == feature_drift(background, search, graph, scores=scores, seed=5, draws=399)


def test_samples_that_are_alike_do_not_differ_and_weights_count():
    graph = Graph(nodes=10)
    table = events(300, 1)
    same = feature_drift(table, table, graph, draws=99)
    assert same["differ"] == []
    assert {one["distance"] for one in same["features"]} == {0.0}
    assert {one["p"] for one in same["features"]} == {1.0}
    mjj = table.column("mjj").to_numpy()
    rising = events(300, 1, weights=lambda n: np.argsort(np.argsort(mjj)) / n + 0.01)
    drifted = feature_drift(rising, table, graph, draws=199)
    assert "mjj" in drifted["differ"]


def test_what_cannot_be_known_is_none_and_not_counted():
    table = events(60, 1)
    nothing = events(60, 2, weights=np.zeros)
    for other in (nothing, table[:1], table[:0]):
        found = feature_drift(table, other, Graph(nodes=10), draws=9)
        assert found["looked_at"] == 0
        assert {one["p"] for one in found["features"]} == {None}
        assert drift_in_words(found, str).startswith("None of the 7 features and observables")
        assert json.dumps(found, allow_nan=False)


def test_values_that_are_not_finite_are_counted():
    background, search = events(60, 1), events(60, 2)
    scores = {"background": scores_of(background, 1), "search": scores_of(search, 2)}
    some = scores["search"].column("score").to_numpy().copy()
    some[:3] = np.nan
    scores["search"] = scores["search"].set_column(0, "score", pa.array(some))
    found = feature_drift(background, search, Graph(nodes=10), scores=scores, draws=9)
    assert found["features"][-1]["search"]["missing"] == 3
    assert found["features"][-1]["search"]["events"] == len(search) - 3


def test_at_event_level_and_of_fewer_events():
    graph = Graph(level="event", nodes=10, jets=2)
    found = feature_drift(events(90, 1), events(80, 2), graph, events=40, draws=9)
    assert found["events"] == {"background": 40, "search": 40}
    assert found["features"][0]["background"]["events"] == 40

"""What holds of weighted samples, whatever their weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raybead.hunt.weights import effective, quantile, relative, shared_weight

weights = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60).map(np.array)
shares = st.floats(0.01, 0.99)


@given(weights, shares, st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_quantile_has_its_share_of_the_weight_below(weight, q, seed, ties):
    values = np.random.default_rng(seed).normal(size=len(weight))
    if ties:
        values = np.round(values)
    found = quantile(values, weight, q)
    if shared_weight(weight) is not None:
        assert found == np.quantile(values, q)
        return
    last = values[values <= found].max()
    rounding = 1e-9 * weight.sum()
    assert weight[values > found].sum() <= (1 - q) * weight.sum() + rounding
    assert weight[values >= last].sum() >= (1 - q) * weight.sum() - rounding


@given(st.lists(st.integers(1, 5), min_size=2, max_size=40), shares, st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_a_whole_weight_is_as_many_events(times, q, seed):
    values, times = np.random.default_rng(seed).normal(size=len(times)), np.array(times)
    found = quantile(values, times.astype(float), q)
    if len(set(times)) > 1 and abs(q * times.sum() % 1 - 0.5) < 0.49:  # rounding has no say
        repeated = np.quantile(np.repeat(values, times), q, method="inverted_cdf")
        assert values[values <= found].max() == repeated


@given(weights, st.floats(1e-6, 1e6))
@settings(max_examples=50, deadline=None)
def test_effective_events_are_no_more_than_events_whatever_the_unit(weight, unit):
    n = effective(weight)
    assert 0 < n <= len(weight) * (1 + 1e-12)
    np.testing.assert_allclose(effective(unit * weight), n, rtol=1e-9)
    assert (relative(np.full(7, unit)) == 1).all()


def test_with_negative_weights_the_highest_value_that_qualifies_is_taken():
    values, weight = np.arange(6.0), np.array([1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    # Running sums 1 2 3 2 3 4: a share of 0.6, that is 2.4, lies below from 2, and again from 4.
    assert quantile(values, weight, 0.6) == 4.5

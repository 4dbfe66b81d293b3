"""Whatever the counts: finite results, and the best fit is the best of its neighbours."""

import json
from dataclasses import asdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from spectra import KINDS, SHAPE, models, templates

from raybead.hunt.histogram import Histogram
from raybead.hunt.limits import limits, reach
from raybead.hunt.scan import scan
from raybead.hunt.scan.newton import fit

COUNTS = hnp.arrays(np.int64, len(SHAPE), elements=st.integers(0, 40) | st.integers(0, 3))
AT = templates(2800.0, 3700.0, 5600.0)


@settings(max_examples=10, deadline=None)
@given(
    COUNTS, hnp.arrays(np.int64, len(SHAPE), elements=st.integers(0, 400)), st.sampled_from(KINDS)
)
def test_any_counts(outliers, others, kind):
    others = np.maximum(others, outliers)  # so that a leak of a half is no more than background's
    outliers[3] += 1  # a cut that nothing passes is refused long before
    others[3] += 2
    model = models(Histogram.counted(outliers), Histogram.counted(others), AT)[kind]
    for result in (scan(model), limits(model), reach(model)):
        json.dumps(asdict(result), allow_nan=False)
    found = scan(model)
    assert min(found.error_low) > 0
    assert min(found.error_high) > 0
    peaks, null = model.peaks()
    free = fit(peaks, null.s_P, null.theta_PK)
    assert (free.value_P <= null.value_P + 1e-9).all()
    for step in (-1e-3, 1e-3):
        s = free.s_P + step * np.maximum(found.error_high, 1.0)
        beside = fit(peaks, s, free.theta_PK, held=True)
        assert (beside.value_P >= free.value_P - 1e-6).all()


@settings(max_examples=10, deadline=None)
@given(
    hnp.arrays(
        np.float64, (2, len(SHAPE)), elements=st.integers(-2000, 5000).map(lambda x: x / 100)
    ),
    hnp.arrays(np.float64, (2, len(SHAPE)), elements=st.floats(1, 100)),
    st.sampled_from(KINDS),
)
def test_any_weights(sums, squares, kind):
    sums[1, 0] = 2000 + abs(sums).sum()
    parts = [Histogram(*part) for part in zip(sums, squares + np.abs(sums), strict=True)]
    model = models(*parts, AT)[kind]
    for result in (scan(model), limits(model), reach(model)):
        json.dumps(asdict(result), allow_nan=False)

"""Events to deal pseudo-experiments from, and whether they were dealt well."""

from __future__ import annotations

import numpy as np
from scipy import stats


def sample(n=3000, bins=14, seed=0, cuts=(0.9, 0.95, 0.99), slope=3.0):
    rng = np.random.default_rng(seed)
    share = np.exp(-np.arange(bins) / slope)
    place = rng.choice(bins, n, p=share / share.sum())
    score = rng.random(n)
    return place, np.stack([score > cut for cut in cuts], axis=1)


def chi2_p(counts, chances):
    """Of observed counts where the chances are enough to judge by."""
    expected = np.asarray(chances) * np.sum(counts)
    used = expected >= 5
    seen = np.append(np.asarray(counts)[used], np.sum(np.asarray(counts)[~used]))
    mean = np.append(expected[used], expected[~used].sum())
    assert not seen[mean < 1e-9].any()
    seen, mean = seen[mean >= 1e-9], mean[mean >= 1e-9]
    if len(mean) == 1:
        return 1.0
    return stats.chi2.sf(np.sum((seen - mean) ** 2 / mean), len(mean) - 1)

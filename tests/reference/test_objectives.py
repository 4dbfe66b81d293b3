"""What trials are judged by: against scikit-learn, closed forms and slow loops."""

import numpy as np
import pyarrow as pa
import pytest
from judged import KINDS, masses, sweep, table, tables
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import evaluate
from raybead.hunt.evaluation.placements import Placements
from raybead.sweeping.draws import draws
from raybead.sweeping.objectives import objective, quantities

PLAIN, AT_MASS = Hunt(conditional="none"), Hunt()


def column(judged, name, what="score"):
    return judged[name].column(what).to_numpy()


def by_sklearn(judged, kind, rows=slice(None)):
    """AUC of rows of both, all masses together."""
    which = ("background", kind)
    score, weight = (
        np.concatenate([column(judged, name, what)[rows] for name in which])
        for what in ("score", "weight")
    )
    truth = np.repeat([0, 1], len(score) // 2)
    return roc_auc_score(truth, score, sample_weight=weight)


def rounded(judged):
    """With many ties."""
    return {
        name: t.set_column(2, "score", pa.array(np.round(t.column("score").to_numpy(), 1)))
        for name, t in judged.items()
    }


@pytest.mark.parametrize("weighted", [False, True])
def test_separations_are_scikit_learns_and_so_are_their_replicas(weighted):
    judged = rounded(tables(600, weighted=weighted))
    found = quantities(judged, sweep(replicas=20), PLAIN, None, 3)
    times = draws(600, 20, 3)
    for kind in KINDS:
        one = found[f"corruption-{kind}"]
        assert one.value == pytest.approx(by_sklearn(judged, kind), rel=1e-12)
        for r in (0, 7):
            rows = np.repeat(np.arange(600), times[r])  # both of an event, as often
            assert one.replicas[r] == pytest.approx(by_sklearn(judged, kind, rows), rel=1e-12)
    mean = np.mean([found[f"corruption-{kind}"].value for kind in KINDS])
    assert found["corruption"].value == pytest.approx(mean)
    assert list(found) == ["corruption", *(f"corruption-{kind}" for kind in KINDS)]


def test_at_the_same_mass_they_are_those_of_the_bins():
    judged = rounded(tables(1000, slope=4.0, moved=1.1, weighted=True))
    found = quantities(judged, sweep(replicas=20), AT_MASS, None, 0)
    mass = column(judged, "background", "mjj")
    edges = np.quantile(mass, np.arange(1, 10) / 10)
    for kind in KINDS:
        aucs, counted = [], []
        inside = column(judged, kind, "mjj") < 6099
        for b in range(10):
            below = np.searchsorted(edges, mass, side="right") == b
            above = np.searchsorted(edges, column(judged, kind, "mjj"), side="right") == b
            above &= inside
            truth = np.repeat([0, 1], [below.sum(), above.sum()])
            score, weight = (
                np.concatenate([column(judged, "background", w)[below],
                                column(judged, kind, w)[above]])
                for w in ("score", "weight")
            )  # fmt: skip
            if not above.any():
                continue  # below what was scaled up
            aucs.append(roc_auc_score(truth, score, sample_weight=weight))
            counted.append(column(judged, kind, "weight")[above].sum())
        expected = np.average(aucs, weights=counted)
        assert found[f"corruption-{kind}"].value == pytest.approx(expected, rel=1e-12)


def test_separations_are_those_of_gaussians():
    for hunt, slope in ((PLAIN, 0.0), (AT_MASS, 3.0)):
        judged = tables(20_000, slope=slope, moved=1.05)
        found = quantities(judged, sweep(replicas=20), hunt, None, 0)
        for kind, shift in (("shuffle", 0.5), ("mass-scaling", 0.3), ("two-prong", 1.5)):
            one = found[f"corruption-{kind}"]
            assert one.value == pytest.approx(ndtr(shift / np.sqrt(2)), abs=4 * one.error + 0.004)


def test_a_score_that_follows_the_mass_gains_nothing_by_moving_it():
    judged = tables(4000, shifts={"mass-scaling": 0.0}, slope=15.0, moved=1.1, together=0.0)
    only = sweep(corruptions=("mass-scaling",), replicas=20)
    assert quantities(judged, only, PLAIN, None, 0)["corruption"].value > 0.62
    at_mass = quantities(judged, only, AT_MASS, None, 0)["corruption"]
    assert at_mass.value == pytest.approx(0.5, abs=0.03)


def test_nothing_corrupted_is_a_half_exactly():
    judged = tables(500, shifts={})
    same = {**judged, **dict.fromkeys(KINDS, judged["background"])}
    for hunt in (PLAIN, AT_MASS):
        assert quantities(same, sweep(), hunt, None, 0)["corruption"].value == pytest.approx(0.5)


def test_errors_are_delongs_where_events_have_nothing_in_common():
    # DeLong's are of independent samples: corrupted scores that don't go with the originals'.
    judged = tables(2000, together=0.0)
    found = quantities(judged, sweep(replicas=400), PLAIN, None, 1)["corruption-two-prong"]
    score = np.concatenate([column(judged, "background"), column(judged, "two-prong")])
    truth = np.repeat([False, True], 2000)
    delong = Placements.of(truth, score, np.ones(4000)).error
    assert found.error == pytest.approx(delong, rel=0.12)


def test_errors_are_the_spread_of_samples_and_smaller_for_pairs():
    one = sweep(corruptions=("shuffle",), replicas=100)
    found = [
        quantities(tables(500, seed, {"shuffle": 0.5}, together=0.9), one, PLAIN, None, 0)
        for seed in range(60)
    ]
    spread = np.std([f["corruption"].value for f in found], ddof=1)
    assert np.mean([f["corruption"].error for f in found]) == pytest.approx(spread, rel=0.25)
    apart = quantities(tables(500, 0, {"shuffle": 0.5}, together=0.0), one, PLAIN, None, 0)
    assert spread < 0.7 * apart["corruption"].error


def test_trials_are_paired():
    asked = sweep("corruption", "stability", "reach", replicas=30)
    judged = tables(1500)
    first, again = (quantities(judged, asked, AT_MASS, None, 5) for _ in range(2))
    assert first == again
    difference = objective(first, asked).draws() - objective(again, asked).draws()
    assert (difference == 0).all()
    # Any rising function of the score is the same trial.
    risen = {
        name: t.set_column(2, "score", pa.array(np.exp(t.column("score").to_numpy())))
        for name, t in judged.items()
    }
    plain = sweep("corruption", "stability", replicas=30)
    assert quantities(judged, plain, PLAIN, None, 5) == quantities(risen, plain, PLAIN, None, 5)
    # What a little noise does to a score is known better than either score.
    rng = np.random.default_rng(0)
    noisy = {
        name: t.set_column(2, "score", pa.array(t.column("score").to_numpy()
                                                + 0.3 * rng.normal(size=len(t))))
        for name, t in judged.items()
    }  # fmt: skip
    other = quantities(noisy, asked, AT_MASS, None, 5)["corruption"]
    lost = first["corruption"].draws() - other.draws()
    assert lost.std() < 0.8 * other.draws().std()
    assert first["corruption"].value - other.value > 2 * lost.std()


def test_objectives_are_weighted_sums_of_replicas():
    judged = tables(600)
    asked = sweep(replicas=25).model_copy(
        update={"objective": {"corruption": 2.0, "corruption-shuffle": -0.5, "stability": 0.0}}
    )
    found = quantities(judged, asked, AT_MASS, None, 5)
    total = objective(found, asked)
    a, b = found["corruption"], found["corruption-shuffle"]
    assert total.value == pytest.approx(2 * a.value - 0.5 * b.value)
    np.testing.assert_allclose(total.draws(), 2 * a.draws() - 0.5 * b.draws())
    with_loss = sweep("corruption", "validation-loss")
    found = quantities(judged, with_loss, AT_MASS, 0.25, 5)
    assert found["validation-loss"].value == -0.25
    assert found["validation-loss"].error is None
    assert objective(found, with_loss).error is None
    assert objective(found, with_loss).value == pytest.approx(found["corruption"].value - 0.25)
    assert list(found)[:2] == ["corruption", "validation-loss"]
    with pytest.raises(HuntError, match="validation-loss: the trial has none"):
        quantities(judged, with_loss, AT_MASS, None, 5)


def search(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.2
    score = np.round(rng.normal(size=n) + 1.5 * truth, 1)
    return table(masses(rng, n), score, truth=truth.astype(np.int8))


def test_evaluation_is_the_hunts():
    judged = {**tables(500), "search": search()}
    asked = sweep("corruption", evaluation=True, replicas=200)
    found = quantities(judged, asked, AT_MASS, None, 7)
    known = evaluate(judged["search"], ("score",), seed=7, replicas=200)["scores"]["score"]
    assert found["auc"].value == pytest.approx(known["auc"])
    assert found["sic"].value == pytest.approx(known["sic"])
    assert found["sic"].error == pytest.approx(known["sic_error"])
    assert found["auc"].error == pytest.approx(known["auc_error"], rel=0.15)
    bare = {**judged, "search": judged["search"].drop_columns(["truth"])}
    with pytest.raises(HuntError, match="the search sample has no truth"):
        quantities(bare, asked, AT_MASS, None, 7)
    none = pa.array([None] * 3000, pa.int8())
    unknown = judged["search"].set_column(4, "truth", none)
    with pytest.raises(HuntError, match="0 are known as signal and 0 as background"):
        quantities({**judged, "search": unknown}, asked, AT_MASS, None, 7)


def test_truth_is_never_looked_at_without_evaluation():
    asked = sweep("corruption", "stability", "reach", replicas=20)
    judged = tables(1000)
    found = quantities(judged, asked, AT_MASS, None, 0)
    poison = {
        name: t.append_column("truth", pa.array(["poison"] * len(t))) for name, t in judged.items()
    }
    poison["search"] = search().set_column(4, "truth", pa.array(["poison"] * 3000))
    assert quantities(poison, asked, AT_MASS, None, 0) == found


def test_what_is_missing_or_broken_is_said():
    judged = tables(600)
    with pytest.raises(HuntError, match="no event is judged as 'two-prong'; there are backgr"):
        quantities(
            {k: v for k, v in judged.items() if k != "two-prong"}, sweep(), AT_MASS, None, 0
        )
    short = {**judged, "shuffle": judged["shuffle"].slice(0, 599)}
    with pytest.raises(HuntError, match="judged shuffle: its 599 rows aren't those of the 600"):
        quantities(short, sweep(), AT_MASS, None, 0)
    bad = column(judged, "seen").copy()
    bad[3] = np.nan
    broken = {**judged, "seen": judged["seen"].set_column(2, "score", pa.array(bad))}
    quantities(broken, sweep(), AT_MASS, None, 0)  # not asked for, not looked at
    with pytest.raises(HuntError, match="judged seen: event 3: its score is nan"):
        quantities(broken, sweep("stability"), AT_MASS, None, 0)
    far = AT_MASS.model_copy(update={"mass_window": (6099.0, 9067.0)})
    with pytest.raises(HuntError, match="corruption-shuffle: 0 of 600 background events lie from"):
        quantities(judged, sweep(), far, None, 0)

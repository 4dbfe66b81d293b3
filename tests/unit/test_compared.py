"""What two runs have in common: events, losses, keys; and what several looks cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from raybead.commands.differences import differences, evaluated, shared_events
from raybead.config import parse_job
from raybead.report.compare import headline, looks_in_words
from raybead.report.compare_table import table_of
from raybead.report.compare_words import (
    Looks,
    differing_keys,
    in_a_cell,
    loss_groups,
    loss_in_words,
    model_in_words,
)
from raybead.report.compared import Account, Epoch, Run
from raybead.report.figures.compare_scores import _standardised
from raybead.report.figures.overlay import Overlay
from raybead.report.hunted import Conclusion, Hunted, Rejection, Window
from raybead.report.numbers import no_gain
from raybead.storage import Folder

JOB = """
name = "a"
data.background = {source = "lhco", path = "b.h5"}
data.search = {source = "lhco", path = "s.h5"}
"""
SAME = {"path": "s.h5", "fingerprint": "1"}


def sample(event, *, seed=0, shift=0.0, truth=True):
    """Scores of events; masses and labels are those of the event."""
    event = np.asarray(event)
    signal = event % 5 == 0
    noise = np.random.default_rng(seed).normal(size=len(event))
    return pa.table(
        {
            "event": event,
            "truth": pa.array(signal.astype(np.int8))
            if truth
            else pa.nulls(len(event), pa.int8()),
            "mjj": 2000.0 + 3.7 * event + shift,
            "score": signal + noise,
            "weight": np.ones(len(event)),
        }
    )


def run_of(name, table=None, *says, data=None, history=(1.0,)):
    accounts = {"events/search": Account(key="k", depends={"data": data})} if data else {}
    missing = {"hunt": "not done yet"} | ({"scores": "not done yet"} if table is None else {})
    scores = {} if table is None else {"search": table, "background": table}
    epochs = [Epoch(epoch=i, train=v, validation=v) for i, v in enumerate(history)]
    job = parse_job(JOB, [f"name='{name}'", *says])
    return evaluated(Run(name, Folder("/" + name), job, missing, accounts, epochs, scores))


EVENTS = np.arange(400)


def test_events_are_the_same_by_where_they_were_read():
    one = run_of("one", sample(EVENTS), data=SAME)
    # Jets of another radius have other masses, and the events are those all the same.
    other = run_of("other", sample(EVENTS[::-1], shift=30.0), data=SAME)
    shared = shared_events(one, other)
    assert shared.whole
    assert len(shared.mine) == 400
    event = [run.scores["search"].column("event").to_numpy() for run in (one, other)]
    np.testing.assert_array_equal(event[0][shared.mine], event[1][shared.theirs])


def test_events_that_both_kept_of_a_sample_are_paired():
    one = run_of("one", sample(EVENTS[:300]), data=SAME)
    other = run_of("other", sample(EVENTS[100:], seed=1), data=SAME)
    (found,) = differences([one, other])
    assert found.paired
    assert "the 200 events that both kept" in found.why


@pytest.mark.parametrize(("data", "other_data"), [(None, None), (SAME, {"path": "other"})])
def test_of_other_sources_masses_tell(data, other_data):
    one = run_of("one", sample(EVENTS), data=data)
    (same,) = differences([one, run_of("b", sample(EVENTS, seed=1), data=other_data)])
    assert same.paired
    # The same numbers with other masses: other events, or the same with other jets.
    (unsure,) = differences([one, run_of("b", sample(EVENTS, seed=1, shift=9), data=other_data)])
    assert (unsure.paired, unsure.auc, unsure.sic, unsure.without) == (False, None, None, None)
    assert "400 event numbers in common with other masses" in unsure.why
    # Other numbers: other events.
    far = run_of("b", sample(EVENTS + 1000, seed=1), data=other_data)
    (apart,) = differences([one, far])
    assert not apart.paired
    a, b = (run.evaluation.of_model for run in (one, far))
    assert apart.auc == pytest.approx((a.auc - b.auc, np.hypot(a.auc_error, b.auc_error)))
    assert apart.sic == pytest.approx((a.sic - b.sic, np.hypot(a.sic_error, b.sic_error)))
    assert apart.without is None
    # Neither the same nor others.
    (some,) = differences([one, run_of("b", sample(EVENTS[:90], seed=1), data=other_data)])
    assert (some.paired, some.auc, some.sic) == (False, None, None)
    assert "90 events in common and not all" in some.why


def test_scores_are_standardised_by_weight():
    table = sample(EVENTS)
    high = table.column("score").to_numpy() > 0.5
    heavy = table.set_column(4, "weight", pa.array(np.where(high, 3.0, 1.0)))
    thrice = pa.concat_tables([table, *[table.filter(pa.array(high))] * 2])
    values = []
    for one in (heavy, thrice):
        shapes = _standardised(run_of("one", one))
        assert not isinstance(shapes, str)
        values.append(np.sort(shapes["search"][0])[[0, -1]])
    # Three events of weight one are one of weight three, but for steps between neighbours.
    np.testing.assert_allclose(*values, rtol=0.02)
    plain = _standardised(run_of("one", table))
    assert not isinstance(plain, str)
    assert abs(np.sort(plain["search"][0])[-1] / values[0][1] - 1) > 0.03
    nothing = table.set_column(4, "weight", pa.array(np.zeros(400)))
    run = replace(run_of("one", table), scores={"search": nothing, "background": nothing})
    assert "sum to nothing" in str(_standardised(run))


def test_no_replica_is_no_chance_of_zero():
    assert no_gain(0.0, 2000) == "<\xa00.05\xa0%"
    assert no_gain(0.25, 2000) == "25\xa0%"
    sure = sample(EVENTS)
    score = sure.column("truth").to_numpy() + 0.01 * sure.column("score").to_numpy()
    one = run_of("one", sure.set_column(3, "score", pa.array(score)), data=SAME)
    (found,) = differences([one, run_of("other", sample(EVENTS, seed=1), data=SAME)])
    assert found.without is not None
    assert found.without[0] == 0.0
    assert found.replicas is not None
    assert found.replicas > 1
    assert no_gain(found.without[0], found.replicas).startswith("<")


def test_a_rejection_that_is_a_bound_is_told_as_the_report_tells_it():
    run = run_of("one", sample(EVENTS))
    bound = Rejection(efficiency=0.3, value=None, error=None, low=87.6, high=None)
    evaluation = run.evaluation
    assert evaluation is not None
    rated = evaluation.of_model.model_copy(update={"rejection": [bound]})
    told = replace(run, evaluation=evaluation.model_copy(update={"scores": {"score": rated}}))
    (row,) = [row for row in table_of([told]) if row.name.startswith("1/FPR")]
    assert row.cells == ("≥ 88",)


def test_pairing_goes_by_the_event_and_not_by_the_row():
    mixed = np.random.default_rng(4).permutation(400)
    straight = sample(EVENTS, seed=1)
    one = run_of("one", sample(EVENTS), data=SAME)
    told = [differences([one, run_of("b", table, data=SAME)])[0]
            for table in (straight, straight.take(mixed))]  # fmt: skip
    assert told[0] == told[1]


def test_other_labels_or_no_truth_give_no_difference():
    one = run_of("one", sample(EVENTS), data=SAME)
    relabelled = sample(EVENTS, seed=1)
    flipped = pa.array((EVENTS % 7 == 0).astype(np.int8))
    relabelled = relabelled.set_column(1, "truth", flipped)
    (found,) = differences([one, run_of("b", relabelled, data=SAME)])
    assert found.auc is None
    assert "other labels" in found.why
    assert differences([one, run_of("b", sample(EVENTS, truth=False), data=SAME)]) == []
    assert differences([one, run_of("b")]) == []


def test_only_losses_of_the_same_kind_inputs_and_items_are_compared():
    runs = [
        run_of("a"),
        run_of("longer", None, "train.epochs=3", "model.latent=7"),
        run_of("other", None, "loss.kind=l1"),
        run_of("scaled", None, "graph.scaling=min-max"),
        run_of("drawn", None, "seed=2"),
        run_of("untrained", history=()),
    ]
    assert loss_groups(runs) == {
        "a": "a",
        "longer": "a",
        "other": "b",
        "scaled": "c",
        "drawn": "d",
    }


def test_keys_that_are_alike_arent_told():
    vae = ["model.preset=edgenet-vae", "loss=[{kind='mse'}, {kind='kl', weight=0.5}]"]
    runs = [run_of("a"), run_of("b", None, *vae, "output=elsewhere")]
    keys = differing_keys(runs)
    assert keys["model.kind"] == ["jet-bottleneck", "node-bottleneck"]
    assert keys["loss[1].weight"] == ["–", "0.5"]  # noqa: RUF001
    assert not {"name", "output", "loss[0].kind", "graph.level"} & set(keys)
    assert loss_in_words(runs[1].job) == "mse + 0.5 kl"
    assert model_in_words(runs[1].job) == "node-bottleneck, edgeconv, latent 2, gaussian"
    assert differing_keys([runs[0], runs[0]]) == {}


@pytest.mark.parametrize(("p", "n"), [(0.01, 3), (0.4, 5), (1e-12, 4), (1.0, 2)])
def test_looks_are_counted(p, n):
    looks = Looks(n, "a", p, False)
    assert looks.bonferroni == pytest.approx(min(1, n * p))
    # That the smallest of n uniform numbers lies below p.
    assert looks.sidak == pytest.approx(n * p if p < 1e-9 else 1 - (1 - p) ** n)
    assert looks.sidak <= looks.bonferroni


def hunted(name, p, *, resolved):
    window = Window(low=1.0, high=2.0, observed=3, expected=1.0, expected_error=1.0)
    told = Conclusion(best_cut=0, p=p, significance=1.0, looks=1, resolved=resolved, window=window)
    return replace(run_of(name), hunted=Hunted.model_construct(conclusion=told))


@pytest.mark.parametrize(
    ("known", "bounds", "of", "bound", "others"),
    [
        ({"a": 0.01, "b": 0.2}, {}, "a", False, ()),
        ({"b": 0.2}, {"a": 0.01}, "a", True, ()),
        # What is at most 0.2 may be less than 0.01, and 0.01 is no bound for that.
        ({"a": 0.01}, {"b": 0.2}, "a", False, ("b",)),
        ({}, {"a": 0.01, "b": 0.2}, "a", True, ("b",)),
        ({"a": 0.01}, {"b": 0.01}, "b", True, ()),
        ({"a": 0.01, "b": 0.01}, {"c": 0.2}, "a and b", False, ("c",)),
    ],
)
def test_bounds_are_of_the_run_that_has_them(known, bounds, of, bound, others):
    runs = [hunted(name, p, resolved=True) for name, p in known.items()]
    runs += [hunted(name, p, resolved=False) for name, p in bounds.items()]
    looks = Looks.of(runs)
    assert looks is not None
    assert (looks.run, looks.bound, looks.open) == (of, bound, others)
    said, *more = looks_in_words(looks)
    sign = "≤" if bound else "="
    assert f"p\xa0{sign}\xa00.01 of {of}, isn't" in said
    assert ("smallest of them that is known" in said) == bool(others)
    # The smallest of all is at most what is told as soon as any may be smaller.
    corrected = "≤" if bounds else "="
    assert f"p\xa0{corrected}\xa0{looks.runs / 100:.2g}" in headline(runs, looks)
    assert ("at least" in headline(runs, looks)) == bool(bounds)
    assert f"it is p\xa0{corrected}" in said
    assert any(f"Of {'and'.join(others)} only a bound" in one for one in more) == bool(others)


def test_no_run_was_hunted_in():
    assert Looks.of([run_of("a"), run_of("b")]) is None


def test_a_figure_says_whom_it_leaves_out():
    runs = [run_of("a", sample(EVENTS)), run_of("b")]
    overlay = Overlay.of(runs, lambda run: run.scores or "no scores")
    assert (overlay.title, overlay.left_out) == ("1 of 2 runs", " Not shown: b (no scores).")
    assert overlay.names == "a"


def test_of_long_paths_the_end_is_told():
    assert in_a_cell("/a/very/long/path/to/the/events.h5") == "…/events.h5"
    assert in_a_cell("short/path.h5") == "short/path.h5"

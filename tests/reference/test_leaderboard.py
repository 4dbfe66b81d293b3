"""The table of trials and what it says, against the slow obvious way."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sweep_records import job_of, quantity, trials

from raybead.config import Dimension, Sweep
from raybead.errors import RunError
from raybead.sweeping.correlations import correlations
from raybead.sweeping.importance import FEWEST, importance
from raybead.sweeping.leaderboard import leaderboard, summary
from raybead.sweeping.records import TrialRecord

JOB = job_of()


def sweep_of(job=JOB) -> Sweep:
    assert job.sweep is not None
    return job.sweep


def rate(values) -> float:
    return -abs(math.log10(values["train.learning_rate"]) + 3)


def of_thirds(number):
    return ("done", "stopped", "failed")[number % 3]


def test_finished_trials_come_first_then_stopped_then_failed_each_by_objective():
    records = trials(JOB, 18, rate, status=of_thirds)
    board = leaderboard(records[::-1], sweep_of())
    by_number = {record.number: record for record in records}
    expected = []
    for status in ("done", "stopped", "failed"):
        mine = [record for record in records if record.status == status]
        expected += sorted(
            mine, key=lambda r: (-(r.objective.value if r.objective else 0.0), r.number)
        )
    assert board.column("trial").to_pylist() == [record.trial for record in expected]
    assert board.column("rank").to_pylist() == [*range(1, 13), *[None] * 6]
    for row in board.to_pylist():
        record = by_number[row["number"]]
        assert row["status"] == record.status
        assert row["reason"] == record.reason
        assert row["epochs"] == record.epochs
        assert row["parameters"] == record.parameters
        if record.objective is not None:
            assert row["objective"] == record.objective.value
            assert row["objective_error"] == pytest.approx(
                np.std(record.objective.replicas, ddof=1)
            )
            assert row["stability"] == record.quantities["stability"].value
    assert board["objective"].to_pylist()[12:] == [None] * 6


def test_what_a_trial_is_behind_has_the_error_of_the_paired_difference():
    records = trials(JOB, 9, rate, status=lambda n: "stopped" if n > 6 else "done")
    board = leaderboard(records, sweep_of()).to_pylist()
    by_trial = {record.trial: record for record in records}
    best = by_trial[board[0]["trial"]].objective
    assert best is not None
    assert board[0]["behind_best"] == board[0]["behind_best_error"] == 0
    for row in board[1:]:
        mine = by_trial[row["trial"]].objective
        assert mine is not None
        differences = [best.replicas[r] - mine.replicas[r] for r in range(len(mine.replicas))]
        mean = sum(differences) / len(differences)
        variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
        assert row["behind_best"] == pytest.approx(best.value - mine.value)
        assert row["behind_best_error"] == pytest.approx(math.sqrt(variance), rel=1e-9)
        # What trials share goes out of the difference.
        assert row["behind_best_error"] < 0.7 * row["objective_error"]


def test_level_with_the_best_are_those_within_two_errors_of_the_difference():
    records = trials(JOB, FEWEST - 1, lambda values: 0.03 * rate(values), seed=3)
    board = leaderboard(records, sweep_of()).to_pylist()
    level = [row["trial"] for row in board if row["behind_best"] <= 2 * row["behind_best_error"]]
    assert summary(records, sweep_of())["level"] == level
    assert 1 < len(level) < FEWEST - 1


def test_values_have_one_type_a_column_and_are_null_where_not_set():
    records = trials(JOB, 12, rate)
    table = leaderboard(records, sweep_of())
    types = {name: table.schema.field(name).type for name in table.column_names}
    assert types["value:model.latent"] == pa.int64()
    assert types["value:train.learning_rate"] == pa.float64()
    assert types["value:model.preset"] == types["value:loss"] == pa.string()
    by_trial = {record.trial: record for record in records}
    unset = 0
    for row in table.to_pylist():
        values = by_trial[row["trial"]].values
        assert row["value:model.latent"] == values.get("model.latent")
        unset += row["value:model.latent"] is None
        assert json.loads(row["value:loss"]) == list(values["loss"])
        assert row["value:model.preset"] == values["model.preset"]
    assert 0 < unset < 12


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 2.5, None), (pa.float64(), [1.0, 2.5, None])),
        ((True, None, False), (pa.bool_(), [True, None, False])),
        (("auto", 3, True), (pa.string(), ["auto", "3", "true"])),
        (({"kind": "mse"}, [1], "x"), (pa.string(), ['{"kind": "mse"}', "[1]", "x"])),
        ((None, None, None), (pa.string(), [None, None, None])),
    ],
)
def test_mixed_values(values, expected):
    sweep = Sweep(over={"train.epochs": Dimension(choice=(1, 2))})
    records = [
        TrialRecord(trial=str(n), number=n, status="failed",
                    values={} if value is None else {"train.epochs": value})
        for n, value in enumerate(values)
    ]  # fmt: skip
    column = leaderboard(records, sweep).column("value:train.epochs")
    assert (column.type, column.to_pylist()) == expected


def test_no_trial_at_all_one_trial_and_failed_ones_only():
    none = leaderboard([], sweep_of())
    assert none.num_rows == 0
    assert "value:model.latent" in none.column_names
    assert summary([], sweep_of())["best"] is None

    one = summary(trials(JOB, 1, rate), sweep_of())
    assert one["level"] == ["t000"]
    assert one["best"]["trial"] == "t000"
    assert one["importance"]["keys"] is None
    assert all(pair["rho"] is None and pair["reason"] for pair in one["correlations"])

    failed = trials(JOB, 10, rate, status=lambda _: "failed")
    told = summary(failed, sweep_of())
    assert told["counts"] == {"done": 0, "stopped": 0, "failed": 10}
    assert told["best"] is told["level"] is None
    assert (told["epochs"], told["seconds"]) == (20, 15.0)
    assert leaderboard(failed, sweep_of())["rank"].null_count == 10
    json.dumps(told, allow_nan=False)


def test_a_trial_that_has_no_number_has_no_rank():
    records = trials(JOB, 5, rate)
    noise = np.zeros(40)
    records[2] = records[2].model_copy(update={"objective": quantity(math.nan, noise)})
    last = leaderboard(records, sweep_of()).to_pylist()[-1]
    assert (last["number"], last["rank"], last["objective"], last["behind_best"]) == (
        2, None, None, None,
    )  # fmt: skip
    json.dumps(summary(records, sweep_of()), allow_nan=False)


def test_without_replicas_nothing_is_called_level():
    records = [
        record.model_copy(update={"objective": record.objective.model_copy(
            update={"replicas": ()})})
        for record in trials(JOB, 4, rate)
        if record.objective
    ]  # fmt: skip
    board = leaderboard(records, sweep_of())
    assert board["behind_best"].null_count == 0
    assert board["behind_best_error"].null_count == 4
    assert summary(records, sweep_of())["level"] is None


def test_replicas_that_are_not_of_the_same_draws_are_refused():
    records = trials(JOB, 3, rate)
    short = quantity(-9.0, np.zeros(20))
    records[1] = records[1].model_copy(update={"objective": short})
    with pytest.raises(RunError, match="trial t001 was judged by 20 replicas"):
        leaderboard(records, sweep_of())


def test_rank_correlations_are_scipys_and_leave_out_stopped_trials():
    records = trials(JOB, 25, rate, noise=0.3, status=lambda n: "stopped" if n < 5 else "done")
    found = {(pair["a"], pair["b"]): pair for pair in correlations(records, sweep_of())}
    assert set(found) == {("objective", "stability"), ("objective", "auc"), ("stability", "auc")}
    done = records[5:]
    columns = {
        "objective": [record.objective.value for record in done if record.objective],
        **{name: [record.quantities[name].value for record in done]
           for name in ("stability", "auc")},
    }  # fmt: skip
    for (a, b), pair in found.items():
        expected = stats.spearmanr(columns[a], columns[b])[0]
        assert pair["rho"] == pytest.approx(expected, abs=1e-12)
        assert pair["n"] == 20
        assert -1 <= pair["low"] <= pair["rho"] <= pair["high"] <= 1
    # The interval is that of a plain loop, which draws other trials.
    rng = np.random.default_rng(5)
    x, y = np.array(columns["objective"]), np.array(columns["stability"])
    loop = []
    for _ in range(1000):
        take = rng.integers(20, size=20)
        loop.append(stats.spearmanr(x[take], y[take])[0])
    pair = found["objective", "stability"]
    assert (pair["low"], pair["high"]) == pytest.approx(
        np.quantile(loop, [0.159, 0.841]), abs=0.05
    )


def test_equal_values_share_their_rank_and_missing_ones_are_left_out():
    records = trials(JOB, 12, lambda values: round(rate(values), 0))
    records[3] = records[3].model_copy(
        update={"quantities": {"corruption": records[3].quantities["corruption"]}}
    )
    pair = next(p for p in correlations(records, sweep_of()) if p["b"] == "auc")
    kept = [record for record in records if "auc" in record.quantities]
    x = [record.objective.value for record in kept if record.objective]
    y = [record.quantities["auc"].value for record in kept]
    assert len(set(x)) < len(x)
    assert pair["rho"] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
    assert pair["n"] == 11


def test_the_objective_stands_beside_its_parts_where_it_has_several():
    job = job_of("objective = { corruption = 1.0, stability = 0.5 }")
    found = correlations(trials(job, 9, rate), sweep_of(job))
    assert ("objective", "corruption") in {(pair["a"], pair["b"]) for pair in found}


# Importance.


def by_preset(values) -> float:
    return {"jet-dense": 2.0, "edgenet": -1.0, "conv-ae": 0.0, "transformer-ae": 1.0}[
        values["model.preset"]
    ]


def by_loss(values) -> float:
    return float(len(values["loss"]))


def by_latent(values) -> float:
    return values["model.latent"] - 4.7 if "model.latent" in values else 0.0


@pytest.mark.parametrize(
    ("good", "key", "n"),
    [
        (rate, "train.learning_rate", 40),
        (by_preset, "model.preset", 40),
        (by_loss, "loss", 40),
        (by_latent, "model.latent", 90),
    ],
)
def test_the_key_that_matters_is_found_and_others_are_not(good, key, n):
    found = importance(trials(JOB, n, good), sweep_of())
    assert next(iter(found["keys"])) == key
    assert found["predicted"] > 0.4
    assert found["keys"][key]["mean"] > 0.3
    for other, told in found["keys"].items():
        # The model decides whether there is a latent, and so shares what follows from it.
        if other != key and not (key == "model.latent" and other == "model.preset"):
            assert abs(told["mean"]) < 0.1, other


def test_a_key_that_is_always_right_has_its_share_of_the_variance():
    # Two keys add up: the shares of the variance are those of the parts.
    records = trials(JOB, 300, lambda v: 2 * by_loss(v) + 0.25 * by_preset(v))
    found = importance(records, sweep_of())
    ranks = stats.rankdata([r.objective.value for r in records if r.objective])
    total = ranks.var()
    expected = {}
    for key in ("loss", "model.preset"):
        values = [json.dumps(record.values[key]) for record in records]
        means = {v: ranks[[one == v for one in values]].mean() for v in set(values)}
        expected[key] = np.var([means[v] for v in values]) / total
    for key, share in expected.items():
        assert found["keys"][key]["mean"] == pytest.approx(share, abs=0.06)


def test_importance_is_the_same_for_the_same_trials_and_whatever_the_objective_scales_as():
    records = trials(JOB, 20, rate, noise=0.1)
    again = [
        record.model_copy(update={"objective": quantity(
            1e3 * record.objective.value ** 3, np.zeros(5))})
        for record in records
        if record.objective
    ]  # fmt: skip
    assert importance(records, sweep_of()) == importance(again, sweep_of())


def test_noise_is_no_importance():
    found = importance(trials(JOB, 30, lambda _: 0.0, noise=1.0), sweep_of())
    assert found["predicted"] < 0.2
    assert all(told["mean"] < 0.15 for told in found["keys"].values())


def test_why_no_importance_can_be_told():
    few = importance(trials(JOB, FEWEST - 1, rate), sweep_of())
    assert few["keys"] is None
    assert few["reason"] == f"of {FEWEST - 1} finished trials it can't be told; it takes {FEWEST}"
    assert importance(trials(JOB, FEWEST, rate), sweep_of())["keys"]
    equal = importance(trials(JOB, 20, lambda _: 1.0), sweep_of())
    assert equal["reason"] == "all finished trials have the same objective"
    records = [
        record.model_copy(update={"values": {"loss": "mse"}}) for record in trials(JOB, 9, rate)
    ]
    alike = importance(records, sweep_of())
    assert alike["reason"] == "no key had more than one value"
    assert alike["constant"] == list(sweep_of().over)

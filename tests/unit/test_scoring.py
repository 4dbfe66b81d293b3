import numpy as np
import pyarrow as pa
import pytest

from raybead.config import Score
from raybead.scoring import Complexity, combine, fit_complexity, score_events


def test_complexity_takes_multiplicity_out():
    rng = np.random.default_rng(0)
    n = rng.integers(10, 200, 5000)
    rest = rng.normal(0, 0.3, 5000)
    loss = np.exp(0.2 + 0.7 * np.log(n) - 0.1 * np.log(n) ** 2 + rest)
    left = Complexity.fit("quadratic", loss, n).remove(loss, n)
    np.testing.assert_allclose(left, rest, atol=0.03)
    np.testing.assert_array_equal(Complexity.fit("none", loss, n).remove(loss, n), np.log(loss))


def test_a_perfect_reconstruction_has_a_finite_score():
    left = Complexity.fit("none", np.array([0.0, 1.0]), np.array([3, 4]))
    assert np.isfinite(left.remove(np.array([0.0, 1.0]), np.array([3, 4]))).all()


def test_jets_of_equal_multiplicity_allow_a_constant_only():
    loss = np.array([1.0, 2.0, 4.0])
    left = Complexity.fit("quadratic", loss, np.full(3, 30)).remove(loss, np.full(3, 30))
    np.testing.assert_allclose(left, np.log(loss) - np.log(2.0), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sum-log", np.log(6.0)), ("sum", 5.0), ("min", 2.0), ("max", 3.0)],
)
def test_combinations(kind, expected):
    assert combine(kind, np.log([[2.0, 3.0]]))[0] == pytest.approx(expected)


def test_event_scores_keep_order_and_ignore_truth():
    rng = np.random.default_rng(1)
    columns = {"event": np.arange(50), "truth": pa.array([None] * 50, pa.int8())}
    for jet in (1, 2):
        columns[f"m_j{jet}"] = rng.uniform(50, 500, 50)
        columns[f"n_j{jet}"] = rng.integers(20, 90, 50)
        for name in ("loss", "width", "moment"):
            columns[f"{name}_j{jet}"] = rng.uniform(0.1, 2, 50)
    table = pa.table(columns)
    config = Score()
    scored = score_events(table, config, fit_complexity(table, config))
    truth = pa.array(rng.integers(0, 2, 50), pa.int8())
    labelled = table.set_column(1, "truth", truth)
    again = score_events(labelled, config, fit_complexity(labelled, config))
    assert scored["score"].equals(again["score"])
    assert scored["event"].to_pylist() == list(range(50))
    assert {"mj1", "mj2", "score", "control_width"} <= set(scored.column_names)

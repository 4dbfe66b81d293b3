from itertools import product
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jet_losses import losses_of
from pydantic import ValidationError

from raybead.config import Combination, ComplexityKind, Score
from raybead.errors import RunError
from raybead.scoring import SCORED, Calibration, Complexity, combine
from raybead.storage import Folder


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
    [("sum-log", np.log(6.0)), ("sum", 5.0), ("mean", 2.5), ("min", 2.0), ("max", 3.0)],
)
def test_combinations(kind, expected):
    assert combine(kind, np.log([[2.0, 3.0]]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", get_args(Combination))
@given(st.data())
def test_jets_that_are_not_there_take_no_part(kind, data):
    """Against each event's own jets, one event at a time; and in logarithms."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    losses = [[data.draw(st.floats(-5, 5)) for _ in range(size)] for size in sizes]
    log_EJ = np.array([row + [np.nan] * (4 - len(row)) for row in losses])
    found = combine(kind, log_EJ, ~np.isnan(log_EJ))
    np.testing.assert_allclose(found, [combine(kind, np.array([row]))[0] for row in losses])
    in_logs = combine(kind, log_EJ, ~np.isnan(log_EJ), logarithm=True)
    np.testing.assert_allclose(
        in_logs, found if kind == "sum-log" else np.log(found), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", get_args(Combination))
def test_a_loss_that_is_no_number_stays_none(kind):
    log_EJ, real_EJ = np.array([[1.0, np.nan, np.nan]]), np.array([[True, True, False]])
    for logarithm in (False, True):
        assert np.isnan(combine(kind, log_EJ, real_EJ, logarithm=logarithm)).all()


@pytest.mark.parametrize("kind", ["quadratic", "spline", "none"])
def test_event_scores_keep_order_and_ignore_truth(kind):
    table, config = losses_of(), Score(complexity=kind)
    calibration = Calibration.fit(table, config)
    scored = calibration.scores(table)
    truth = np.random.default_rng(2).integers(0, 2, 50)
    for labels in (truth, truth[::-1]):
        labelled = table.set_column(1, "truth", pa.array(labels, pa.int8()))
        again = Calibration.fit(labelled, config)
        assert again == calibration
        for name in SCORED:
            assert again.scores(labelled)[name].equals(scored[name])
    assert scored["event"].to_pylist() == list(range(50))
    assert {"mj1", "mj2", *SCORED} <= set(scored.column_names)
    assert not {"m_j1", "m_j2"} & set(scored.column_names)


def test_scores_by_hand():
    table = losses_of()
    scored = Calibration.fit(table, Score(complexity="none", combine="sum-log")).scores(table)
    jets = [{q: table[f"{q}_j{j}"].to_numpy() for q in ("m", "n", "tau21")} for j in (1, 2)]
    by_hand = {
        "control_mass": np.log(jets[0]["m"] * jets[1]["m"]),
        "control_tau21": -jets[0]["tau21"] - jets[1]["tau21"],
        "control_multiplicity": np.log(jets[0]["n"] * jets[1]["n"]),
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(scored[name].to_numpy(), expected, atol=1e-12)
    removed = Calibration.fit(table, Score(combine="sum-log")).scores(table)
    assert removed["control_multiplicity"].equals(scored["control_multiplicity"])
    assert not removed["control_mass"].equals(scored["control_mass"])


@pytest.mark.parametrize("combine", get_args(Combination))
@pytest.mark.parametrize("kind", get_args(ComplexityKind))
def test_jets_of_nothing_have_finite_scores(combine, kind):
    """A jet of one constituent has no mass, no spread, and a loss that may be 0."""
    table = losses_of()
    for name, value in {"m": 0.0, "width": 0.0, "moment": 0.0, "loss": 0.0, "n": 1}.items():
        column = table[f"{name}_j1"].to_numpy().copy()
        column[3] = value
        place = table.column_names.index(f"{name}_j1")
        table = table.set_column(place, f"{name}_j1", pa.array(column))
    scored = Calibration.fit(table, Score(combine=combine, complexity=kind)).scores(table)
    for name in SCORED:
        assert np.isfinite(scored[name].to_numpy()).all()


def test_events_of_three_jets_are_scored_by_all():
    table = losses_of()
    for name in ("m", "n", "loss", "constant", "width", "moment", "tau21"):
        table = table.append_column(f"{name}_j3", table[f"{name}_j1"])
    scored = Calibration.fit(table, Score(complexity="none", combine="sum")).scores(table)
    losses = [table[f"loss_j{jet}"].to_numpy() for jet in (1, 2, 3)]
    np.testing.assert_allclose(scored["score"].to_numpy(), np.sum(losses, axis=0))
    assert "mj3" in scored.column_names


def test_events_of_two_and_three_jets_by_hand():
    values = {"m": [[4.0, 3, 2], [8, 5, None]], "n": [[9, 4, 3], [20, 30, None]]}
    values |= {q: [[0.5, 0.25, 2], [4, 3, None]] for q in ("loss", "constant", "width", "moment")}
    values["tau21"] = [[0.1, 0.2, 0.3], [0.5, 0.75, None]]
    columns = {f"{q}_j{j + 1}": [row[j] for row in x] for q, x in values.items() for j in range(3)}
    table = pa.table({"event": [7, 8], **columns})
    by_hand = {
        "sum-log": (np.log([0.25, 12.0]), np.log([24.0, 40.0]), [-0.6, -1.25]),
        "sum": ([2.75, 7.0], [9.0, 13.0], [sum(np.exp([-0.1, -0.2, -0.3])), None]),
        "mean": ([2.75 / 3, 3.5], [3.0, 6.5], [None, np.exp([-0.5, -0.75]).mean()]),
        "min": ([0.25, 3.0], [2.0, 5.0], np.exp([-0.3, -0.75])),
        "max": ([2.0, 4.0], [4.0, 8.0], np.exp([-0.1, -0.5])),
    }
    assert by_hand.keys() == set(get_args(Combination))
    for kind, expected in by_hand.items():
        calibration = Calibration.fit(table, Score(complexity="none", combine=kind))
        assert (calibration.jets, calibration.leading) == (5, 3)
        scored = calibration.scores(table)
        for name, numbers in zip(
            ("score", "control_mass", "control_tau21"), expected, strict=True
        ):
            for found, number in zip(scored[name].to_pylist(), numbers, strict=True):
                assert number is None or found == pytest.approx(number)
        assert scored["mj3"].to_pylist() == [2.0, None]


@pytest.mark.parametrize("kind", get_args(ComplexityKind))
def test_absent_jets_have_no_say_in_what_multiplicity_predicts(kind):
    """A third jet in every other event: the fit is that of as many events of one jet each."""
    table, third = losses_of(), np.arange(50) % 2 == 0
    jets = {}
    for name in ("m", "n", "loss", "constant", "width", "moment", "tau21"):
        values = table[f"{name}_j2"].to_numpy()[::-1]
        table = table.append_column(f"{name}_j3", pa.array(values, mask=~third))
        rows = [table[f"{name}_j{j}"].to_pylist() for j in (1, 2, 3)]
        jets[f"{name}_j1"] = [x for row in zip(*rows, strict=True) for x in row if x is not None]
    ragged = Calibration.fit(table, Score(complexity=kind))
    alone = Calibration.fit(pa.table(jets), Score(complexity=kind))
    assert ragged.jets == alone.jets == 125
    assert ragged.complexity == alone.complexity


def event_losses_of(n=50, seed=4):
    """Rows of losses of whole events, whose jets' facts stand beside."""
    table, rng = losses_of(n, seed), np.random.default_rng(seed)
    table = table.drop_columns(["loss_j1", "loss_j2", "constant_j1", "constant_j2"])
    for name in ("loss", "constant"):
        table = table.append_column(name, pa.array(rng.uniform(0.1, 2, n)))
    return table.append_column("n", pa.array(rng.integers(40, 180, n)))


@pytest.mark.parametrize("combination", get_args(Combination))
def test_whole_events_have_nothing_to_combine_but_controls(combination):
    table = event_losses_of()
    calibration = Calibration.fit(table, Score(combine=combination))
    assert (calibration.jets, calibration.leading) == (50, 2)
    scored = calibration.scores(table)
    loss, n = table["loss"].to_numpy(), table["n"].to_numpy()
    left = Complexity.fit("quadratic", loss, n).remove(loss, n)
    expected = left if combination == "sum-log" else np.exp(left)
    np.testing.assert_allclose(scored["score"].to_numpy(), expected)
    mass, n = (np.stack([table[f"{q}_j{j}"].to_numpy() for j in (1, 2)], 1) for q in ("m", "n"))
    fit = Complexity.fit("quadratic", mass.ravel(), n.ravel())
    np.testing.assert_allclose(
        scored["control_mass"].to_numpy(), combine(combination, fit.remove(mass, n))
    )


def test_a_calibration_is_kept_bit_for_bit(tmp_path):
    table, folder = losses_of(), Folder.at(str(tmp_path))
    with pytest.raises(RunError, match="no calibration in it"):
        Calibration.load(folder)
    for kind in get_args(ComplexityKind):
        calibration = Calibration.fit(table, Score(complexity=kind, complexity_fit="background"))
        assert (calibration.fitted_on, calibration.jets) == ("background", 100)
        calibration.save(folder)
        loaded = Calibration.load(folder)
        assert loaded == calibration
        assert loaded.scores(table).equals(calibration.scores(table))
    folder.write_json("calibration.json", {**calibration.as_dict(), "jets": "many"})
    with pytest.raises(RunError, match="not a whole calibration: jets"):
        Calibration.load(folder)
    without = calibration.as_dict()
    del without["complexity"]["control_mass"]
    folder.write_json("calibration.json", without)
    with pytest.raises(RunError, match="complexity"):
        Calibration.load(folder)


def test_a_calibration_from_before_says_the_same(tmp_path):
    """One of two jets, of the loss, without the keys that came later."""
    calibration, folder = Calibration.fit(losses_of(), Score()), Folder.at(str(tmp_path))
    raw = calibration.as_dict()
    folder.write_json("calibration.json", {k: raw[k] for k in raw if k not in ("leading", "item")})
    assert Calibration.load(folder) == calibration


@pytest.mark.parametrize("kind", ["quadratic", "spline"])
@given(
    slope=st.floats(-3, 3),
    distinct=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_nothing_of_multiplicity_is_left(kind, slope, distinct, seed):
    """Of a loss a n^b e^noise: the rest is uncorrelated with log n, and the noise but for its
    own fit."""
    rng = np.random.default_rng(seed)
    n = rng.choice(rng.integers(1, 300, distinct), 400)
    noise = rng.normal(0, 0.2, 400)
    loss = 3.7 * n**slope * np.exp(noise)
    left = Complexity.fit(kind, loss, n).remove(loss, n)
    assert abs(left.mean()) < 1e-9
    assert abs(np.mean(left * (np.log(n) - np.log(n).mean()))) < 1e-8
    # At most five coefficients are fitted, so no more than that much noise goes.
    assert left.std() == pytest.approx(noise.std(), rel=0.1)


def test_a_spline_is_the_natural_one_and_goes_on_straight():
    from sklearn.preprocessing import SplineTransformer

    rng = np.random.default_rng(3)
    n = rng.integers(5, 200, 3000)
    loss = np.exp(np.sin(2 * np.log(n)) + rng.normal(0, 0.1, 3000))
    fit = Complexity.fit("spline", loss, n)
    assert len(fit.knots) == 5
    # Between the outermost knots a cubic B-spline of the same knots can be it to the last digit.
    inside = np.linspace(fit.knots[0], fit.knots[-1], 100)
    expected = -fit.remove(np.ones(100), np.exp(inside))
    basis = SplineTransformer(degree=3, knots=np.array(fit.knots)[:, None])
    basis_rows = basis.fit_transform(inside[:, None])
    found = basis_rows @ np.linalg.lstsq(basis_rows, expected, rcond=None)[0]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    for ends in (np.linspace(-1, fit.knots[0], 20), np.linspace(fit.knots[-1], 9, 20)):
        beyond = -fit.remove(np.ones(20), np.exp(ends))
        np.testing.assert_allclose(np.diff(beyond, 2), 0, atol=1e-9)
    # Least squares: no spline of these knots lies nearer.
    rest = np.mean(fit.remove(loss, n) ** 2)
    for knot, step in product(range(5), (-0.01, 0.01)):
        moved = list(fit.coefficients)
        moved[knot] += step
        other = fit.model_copy(update={"coefficients": tuple(moved)})
        assert np.mean(other.remove(loss, n) ** 2) > rest


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "spline", "coefficients": [1.0, 2.0], "knots": [1.0]},
        {"kind": "spline", "coefficients": [1.0, 2.0], "knots": [2.0, 1.0]},
        {"kind": "quadratic"},
        {"kind": "none", "coefficients": [1.0]},
    ],
)
def test_what_is_no_complexity_is_refused(broken):
    with pytest.raises(ValidationError):
        Complexity.model_validate(broken)

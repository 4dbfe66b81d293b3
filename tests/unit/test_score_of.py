"""What ``[score] of`` says: quantities of items, alone and together, and what is refused."""

from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from jet_losses import losses_of

from raybead.config import (
    Combination,
    FlowKlLoss,
    KlLoss,
    LogDetLoss,
    MseLoss,
    Score,
    dump_job,
    logarithms_of,
    parse_job,
)
from raybead.errors import JobError, RunError
from raybead.scoring import Calibration, Complexity
from raybead.storage import Folder


def quantities_losses(n=200, seed=5):
    """Rows of losses with a term, a likelihood that is negative for some, and latents."""
    rng, table = np.random.default_rng(seed), losses_of(n, seed)
    for jet in (1, 2):
        table = table.append_column(f"kl_j{jet}", pa.array(rng.lognormal(0, 1, n)))
        table = table.append_column(f"flow-likelihood_j{jet}", pa.array(rng.normal(0, 900, n)))
        latent = rng.normal(size=(n, 3)) * [1, 5, 0.1]
        table = table.append_column(f"latent_j{jet}", pa.array(list(latent)))
    return table.append_column("generator", pa.array(["herwig", None] * (n // 2), pa.string()))


SEVERAL = {"kl": 2.0, "flow-likelihood": -1.0, "mahalanobis": 0.5}


@pytest.mark.parametrize("of", ["kl", "flow-likelihood", "mahalanobis", SEVERAL])
def test_what_is_scored_by_whatever_ignores_truth_and_generator(of, tmp_path):
    table, config = quantities_losses(), Score(of=of)
    calibration = Calibration.fit(table, config)
    scored = calibration.scores(table)
    for name, values in {
        "truth": pa.array([1, 0] * 100, pa.int8()),
        "generator": ["x"] * 200,
    }.items():
        place = table.column_names.index(name)
        other = table.set_column(place, name, pa.array(values))
        assert Calibration.fit(other, config) == calibration
        assert calibration.scores(other)["score"].equals(scored["score"])
    folder = Folder.at(str(tmp_path))
    calibration.save(folder)
    assert Calibration.load(folder).scores(table).equals(scored)


def test_several_quantities_are_standardised_on_background_and_added():
    search, background = quantities_losses(), quantities_losses(100, seed=6)
    config = Score(of=SEVERAL, complexity="none")
    calibration = Calibration.fit(search, config, background)
    theirs, ours = (calibration.scores(table) for table in (background, search))
    by_hand = np.zeros(200)
    for name, weight in SEVERAL.items():
        told, asked = (
            np.stack([table[f"{name}_j{jet}"].to_numpy() for jet in (1, 2)])
            for table in (theirs, ours)
        )
        if name != "flow-likelihood":
            told, asked = np.log(told), np.log(asked)
        low, middle, high = np.quantile(told, [0.16, 0.5, 0.84])
        by_hand += weight * 2 * ((asked - middle) / (high - low)).sum(axis=0)
    np.testing.assert_allclose(ours["score"].to_numpy(), by_hand, rtol=1e-9, atol=1e-9)
    # What the search sample holds has no say in either standards or distances.
    strange = search.set_column(
        search.column_names.index("latent_j1"), "latent_j1", pa.array([[9.0, 9, 9]] * 200)
    )
    again = Calibration.fit(strange, config, background)
    assert again.item == calibration.item


@pytest.mark.parametrize("combination", get_args(Combination))
def test_likelihoods_too_large_for_an_exponential_still_score(combination):
    table = quantities_losses()
    config = Score(of="flow-likelihood", combine=combination, complexity="none")
    found = Calibration.fit(table, config).scores(table)["score"].to_numpy()
    assert np.isfinite(found).all()
    jets = np.stack([table[f"flow-likelihood_j{jet}"].to_numpy() for jet in (1, 2)])
    by_hand = {"sum-log": jets.sum(axis=0), "min": jets.min(axis=0), "max": jets.max(axis=0)}
    by_hand["sum"] = np.logaddexp(*jets)
    by_hand["mean"] = by_hand["sum"] - np.log(2)
    np.testing.assert_allclose(found, by_hand[combination])


@pytest.mark.parametrize("kind", ["quadratic", "spline"])
def test_multiplicity_leaves_logarithms_as_it_leaves_losses(kind):
    rng = np.random.default_rng(7)
    loss, n = rng.lognormal(0, 1, 300), rng.integers(5, 90, 300)
    of_logs = Complexity.of_logarithms(kind, np.log(loss), n)
    np.testing.assert_allclose(
        of_logs.less_expected(np.log(loss), n), Complexity.fit(kind, loss, n).remove(loss, n)
    )
    strange = Complexity.of_logarithms(kind, np.r_[np.log(loss), np.nan, -np.inf], np.r_[n, 3, 4])
    assert strange == of_logs


def test_losses_that_may_be_negative_are_logarithms():
    mse, kl = MseLoss(kind="mse"), KlLoss(kind="kl")
    assert logarithms_of((mse, kl)) == ("flow-likelihood",)
    for signed in (LogDetLoss(kind="log-det"), FlowKlLoss(kind="flow-kl")):
        assert logarithms_of((mse, signed)) == ("loss", signed.kind, "flow-likelihood")
    table = losses_of()
    place = table.column_names.index("loss_j1")
    table = table.set_column(place, "loss_j1", pa.array(np.linspace(-30, 5, 50)))
    calibration = Calibration.fit(table, Score(complexity="none"), None, ("loss",))
    both = table["loss_j1"].to_numpy() + table["loss_j2"].to_numpy()
    np.testing.assert_allclose(calibration.scores(table)["score"].to_numpy(), both)


JOB = """
name = "x"
model = {preset = "edgenet-vae"}
loss = [{kind = "vae"}, {kind = "supcon"}]
[data.background]
source = "lhco"
path = "a.h5"
[data.search]
source = "lhco"
path = "b.h5"
"""


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "score.of=kll",
            "score.of: 'kll' is no quantity of this model's items and loss; there are loss, mse,"
            " kl, mahalanobis, flow-likelihood",
        ),
        ("score.of=supcon", "'supcon' is no quantity"),
        ("score.of={kl=1, chamfer=2}", "'chamfer' is no quantity"),
        ("score.of={kl=0}", "score.of: the weight of kl isn't a number other than 0"),
        ("score.of={kl=nan}", "score.of: the weight of kl"),
        ("score.of={kl='much'}", "score.of: the weight of kl"),
        ("score.of={}", "score.of: give a quantity's name, or a table"),
        ("score.of=3", "score.of: give a quantity's name, or a table"),
    ],
)
def test_what_no_item_has_is_refused_with_the_job(override, says):
    with pytest.raises(JobError) as caught:
        parse_job(JOB, [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_items_have_is_read_and_written_again():
    for of in ("loss", "kl", "mahalanobis", "flow-likelihood", SEVERAL):
        raw = of if isinstance(of, str) else "{kl = 2.0, flow-likelihood = -1, mahalanobis = 0.5}"
        job = parse_job(JOB, [f"score.of={raw}"])
        assert job.score.of == of
        assert parse_job(dump_job(job)) == job
    plain = JOB.replace("edgenet-vae", "edgenet").replace("vae", "mse")
    assert parse_job(plain, ["score.of=mahalanobis"])
    with pytest.raises(JobError, match=r"'flow-likelihood' is no quantity .*mse, mahalanobis$"):
        parse_job(plain, ["score.of=flow-likelihood"])


def test_a_score_without_what_it_needs_of_background_is_no_calibration(tmp_path):
    folder = Folder.at(str(tmp_path))
    several = Calibration.fit(quantities_losses(), Score(of=SEVERAL)).as_dict()
    for gone, says in (("standards", "standards of"), ("mahalanobis", "of mahalanobis, and")):
        item = {key: value for key, value in several["item"].items() if key != gone}
        folder.write_json("calibration.json", {**several, "item": item})
        with pytest.raises(RunError, match=f"not a whole calibration: item: .*{says}"):
            Calibration.load(folder)
    several["item"]["mahalanobis"]["precision"].pop()
    folder.write_json("calibration.json", several)
    with pytest.raises(RunError, match="not a precision of 3 numbers"):
        Calibration.load(folder)

"""What items are scored by beside their loss, and of ragged and whole events: slow versions."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from more_jets import ragged
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf
from torch.distributions import Dirichlet, Normal

from raybead.config import (
    FLOW_LIKELIHOOD,
    MAHALANOBIS,
    Graph,
    JetBottleneckModel,
    KlLoss,
    MseLoss,
    NodeBottleneckModel,
    Score,
)
from raybead.errors import InputError, RunError
from raybead.graphs import Scaling, collate
from raybead.models import Bundle, Output, Recipe
from raybead.scoring import Calibration, EventScorer, JetScorer, Mahalanobis, Standard
from raybead.scoring.quantities import latents, minus_log_likelihood
from raybead.storage import Folder

DENSE = JetBottleneckModel(
    kind="jet-bottleneck", layer="dense", encoder=((16, 8),), head=(8,), decoder=(16,), decode=6,
    latent=3, posterior="gaussian",
)  # fmt: skip
NODES = NodeBottleneckModel(
    kind="node-bottleneck", encoder=((8, 8),), latent=2, posterior="gaussian"
)
LOSS = (MseLoss(kind="mse"), KlLoss(kind="kl", weight=0.1))
COUNTS = (2, 3, 2, 4, 3, 2, 2, 4)
EVERY = (
    "loss",
    "kl",
    MAHALANOBIS,
    FLOW_LIKELIHOOD,
    {"mse": 1.0, "kl": -0.5, MAHALANOBIS: 2.0, FLOW_LIKELIHOOD: 0.3},
)


def bundle_of(model, rows, **graph):
    graph = Graph(nodes=6, **graph)
    torch.manual_seed(0)
    recipe = Recipe(graph=graph, model=model, loss=LOSS)
    scaling = Scaling.fit(graph, collate(rows, graph).x_TF)
    return Bundle(recipe, scaling, recipe.build().state_dict(), {})


def scorer_of(bundle, score, batch_items=64, leading=2, **more):
    return JetScorer(
        bundle,
        batch_items,
        leading=leading,
        quantities=tuple(score.weights),
        controls=score.controls,
        **more,
    )


@pytest.mark.parametrize("z", [1, 4])
def test_mahalanobis_is_scipys_with_ledoit_and_wolfs_covariance(z):
    rng = np.random.default_rng(0)
    mixing, shift = rng.normal(size=(z, z)), 5 * rng.normal(size=z)
    background, new = (rng.normal(size=(n, z)) @ mixing + shift for n in (40, 10))
    fitted = Mahalanobis.fit(background)
    inverse = np.linalg.inv(ledoit_wolf(background)[0])
    slow = [mahalanobis(x, background.mean(axis=0), inverse) for x in new]
    np.testing.assert_allclose(fitted.distance(new), slow, rtol=1e-9)
    again = Mahalanobis.model_validate_json(fitted.model_dump_json())
    np.testing.assert_array_equal(again.distance(new), fitted.distance(new))


def test_a_latent_that_collapsed_still_has_distances():
    rng = np.random.default_rng(1)
    latent = np.column_stack([rng.normal(size=50), np.zeros(50)])
    assert np.isfinite(Mahalanobis.fit(latent).distance(latent)).all()
    np.testing.assert_array_equal(Mahalanobis.fit(np.ones((9, 2))).distance(np.ones((3, 2))), 0)


@pytest.mark.parametrize("latent", [np.zeros((1, 3)), np.array([[1.0], [np.nan], [2.0]])])
def test_a_background_without_a_covariance_is_refused(latent):
    with pytest.raises(RunError, match=r"score.of mahalanobis: needs two or more"):
        Mahalanobis.fit(latent)


def output_of(latent, ptr=None, **more):
    nothing = torch.zeros(0, 1)
    return Output(nothing, nothing, torch.zeros(1), latent, latent_ptr=ptr, **more)


def test_likelihoods_are_those_of_the_prior():
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(7, 3, generator=rng)
    normal = -Normal(0.0, 1.0).log_prob(z.double()).sum(dim=1)
    torch.testing.assert_close(minus_log_likelihood(output_of(z), LOSS), normal)
    stretched = torch.randn(7, generator=rng)
    of_flow = minus_log_likelihood(output_of(z, log_det_B=stretched), LOSS)
    torch.testing.assert_close(of_flow, normal - stretched.double())
    ptr = torch.tensor([0, 3, 7])
    of_nodes = minus_log_likelihood(output_of(z, ptr), LOSS)
    torch.testing.assert_close(of_nodes, torch.stack([normal[:3].mean(), normal[3:].mean()]))
    shares = z.softmax(dim=1)
    prior = (KlLoss(kind="kl", concentration=2.5),)
    found = minus_log_likelihood(output_of(shares, concentration=shares), prior)
    slow = -Dirichlet(torch.full((3,), 2.5).double()).log_prob(shares.double())
    torch.testing.assert_close(found, slow, rtol=1e-6, atol=1e-6)
    gone = torch.tensor([[0.0, 1.0]])
    assert minus_log_likelihood(output_of(gone, concentration=gone), prior).isfinite().all()


def test_a_flow_that_maps_the_prior_linearly_has_a_closed_form():
    """z = a x + b with p(z) normal is p(x) normal about -b/a, of standard deviation 1/a."""
    x = torch.tensor([[0.3], [-1.2]])
    a, b = 2.5, 0.7
    log_det = torch.full((2,), float(np.log(a)))
    found = minus_log_likelihood(output_of(a * x + b, z0=x, log_det_B=log_det), LOSS)
    slow = -Normal(-b / a, 1 / a).log_prob(x).sum(dim=1)
    torch.testing.assert_close(found, slow.double(), rtol=1e-6, atol=1e-6)


def test_an_items_latent_is_the_mean_of_its_nodes():
    z = torch.arange(10.0).view(5, 2)
    torch.testing.assert_close(latents(output_of(z)), z)
    found = latents(output_of(z, torch.tensor([0, 1, 5])))
    torch.testing.assert_close(found, torch.stack([z[0], z[1:].mean(dim=0)]))


def test_logarithms_are_standardised_by_background():
    rng = np.random.default_rng(2)
    values = rng.lognormal(1.0, 0.7, 4000)
    fitted = Standard.fit(values, logarithm=False)
    low, middle, high = np.quantile(np.log(values), [0.16, 0.5, 0.84])
    assert (fitted.centre, fitted.width) == pytest.approx((middle, (high - low) / 2))
    new = np.array([0.5, 3.0, 0.0])
    expected = (np.log(new[:2]) - middle) / ((high - low) / 2)
    np.testing.assert_allclose(fitted.standardised(new)[:2], expected)
    assert np.isfinite(fitted.standardised(new)[2])
    signed = Standard.fit(np.log(values), logarithm=True)
    np.testing.assert_allclose(signed.standardised(np.log(new[:2])), expected)
    alike = Standard.fit(np.full(5, -3.0), logarithm=True)
    np.testing.assert_array_equal(alike.standardised(np.array([-3.0, -1.0])), [0.0, 2.0])
    with pytest.raises(RunError, match="no background item"):
        Standard.fit(np.array([0.0, np.nan]), logarithm=False)


@pytest.mark.parametrize("model", [DENSE, NODES], ids=["of the jet", "of every node"])
@pytest.mark.parametrize("of", EVERY, ids=["loss", "kl", MAHALANOBIS, FLOW_LIKELIHOOD, "several"])
def test_scores_of_whatever_are_those_jet_by_jet(model, of, event_rows):
    """All from the model's outputs of one jet at a time, and numpy."""
    score = Score(of=of, complexity="none")
    bundle = bundle_of(model, event_rows)
    module, jets = bundle.model(), collate(event_rows, bundle.recipe.graph)
    of_jets: dict[str, list] = {"mse": [], "kl": [], FLOW_LIKELIHOOD: [], "z": []}
    with torch.inference_mode():
        for b in range(len(jets)):
            out = module(bundle.scaling.apply(jets.select(torch.tensor([b]))))
            mu, log_v = out.mu.double(), out.log_variance.double()
            of_jets["mse"].append((out.reconstruction_NF - out.target_NF).square().mean().item())
            kl = (mu**2 + log_v.exp() - log_v - 1).sum(1).mean() / 2
            of_jets["kl"].append(kl.item())
            of_jets[FLOW_LIKELIHOOD].append(-Normal(0.0, 1.0).log_prob(mu).sum(1).mean().item())
            of_jets["z"].append(mu.mean(dim=0).numpy())
    slow = {name: np.array(values) for name, values in of_jets.items()}
    slow["loss"] = slow["mse"] + 0.1 * slow["kl"]
    half = len(jets) // 2  # all events of the first half are background
    z, inverse = slow["z"], np.linalg.inv(ledoit_wolf(slow["z"][:half])[0])
    mean = z[:half].mean(axis=0)
    slow[MAHALANOBIS] = np.array([mahalanobis(x, mean, inverse) for x in z])
    logs = {k: v if k == FLOW_LIKELIHOOD else np.log(v) for k, v in slow.items() if k != "z"}
    if isinstance(of, str):
        log_B = logs[of]
    else:
        log_B = np.zeros(len(jets))
        for name, weight in of.items():
            low, middle, high = np.quantile(logs[name][:half], [0.16, 0.5, 0.84])
            log_B += weight * (logs[name] - middle) / ((high - low) / 2)
    losses = scorer_of(bundle, score, 7).table(event_rows)
    background = losses.slice(0, len(event_rows) // 2)
    calibration = Calibration.fit(losses, score, background)
    found = calibration.scores(losses)
    expected = log_B.reshape(-1, 2).sum(axis=1)
    np.testing.assert_allclose(found["score"].to_numpy(), expected, rtol=1e-3, atol=1e-3)
    for name in score.weights:
        np.testing.assert_allclose(found[f"{name}_j2"].to_numpy(), slow[name][1::2], rtol=1e-3)
    assert not [name for name in found.column_names if name.startswith("latent")]
    assert found["generator"].equals(event_rows["generator"])
    # New events, in batches of another size, from what is on disk.
    again = EventScorer(bundle, calibration, 1000).table(event_rows.slice(3, 20))
    assert again.schema == found.schema
    np.testing.assert_allclose(
        again["score"].to_numpy(), found["score"].to_numpy()[3:23], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("of", EVERY, ids=["loss", "kl", MAHALANOBIS, FLOW_LIKELIHOOD, "several"])
def test_what_is_saved_scores_the_same(of, event_rows, tmp_path):
    score, folder = Score(of=of), Folder.at(str(tmp_path))
    bundle = bundle_of(DENSE, event_rows)
    losses = scorer_of(bundle, score).table(event_rows)
    calibration = Calibration.fit(losses, score)
    bundle.save(folder)
    calibration.save(folder)
    assert Calibration.load(folder) == calibration
    again = EventScorer(Bundle.load(folder), Calibration.load(folder), 64).table(event_rows)
    assert again.equals(calibration.scores(losses))


def test_ragged_events_have_nulls_and_the_scores_of_their_jets(event_rows):
    rows = ragged(event_rows, COUNTS)
    bundle, score = bundle_of(DENSE, event_rows), Score(of=EVERY[-1])
    whole = scorer_of(bundle, score, 5, leading=4, store=("latent", "reconstruction"))
    scoring = whole.scoring(rows)
    losses = scoring.losses
    alone = scorer_of(bundle, score, leading=1)
    names = ("m", "n", "loss", "mse", "kl", "width", "moment", "tau21", "constant")
    for event, n in enumerate(COUNTS):
        for rank in range(4):
            row = rows.slice(event, 1).to_pylist()[0]
            for name in ("jets", "constituents"):
                row[name] = row[name][rank : rank + 1]
            one = alone.scoring(pa.Table.from_pylist([row], schema=rows.schema)).losses
            for name in names:
                found = losses[f"{name}_j{rank + 1}"][event].as_py()
                if rank < n:
                    assert found == pytest.approx(one[f"{name}_j1"][0].as_py(), rel=1e-4)
                else:
                    assert found is None
            for what, columns in scoring.stored.items():
                prefix = "latent" if what == "latent" else "target"
                assert (columns[f"{prefix}_j{rank + 1}"][event].as_py() is None) == (rank >= n)
    calibration = Calibration.fit(losses, score)
    assert (calibration.leading, calibration.jets) == (4, sum(COUNTS))
    scores = calibration.scores(losses)
    assert np.isfinite(scores["score"].to_numpy()).all()
    # The first events have two jets alone, and there are columns of four as well.
    again = EventScorer(bundle, calibration, 3).table(rows.slice(0, 1))
    assert again.schema == scores.schema
    assert again["score"][0].as_py() == pytest.approx(scores["score"][0].as_py(), rel=1e-4)
    with pytest.raises(InputError, match=r"event 1 has 3 jets, and scores are of 2 at most"):
        scorer_of(bundle, score).table(rows)


@pytest.mark.parametrize("model", [DENSE, NODES], ids=["of the event", "of every node"])
def test_whole_events_have_columns_without_a_rank(model, event_rows):
    rows = ragged(event_rows, COUNTS)
    bundle = bundle_of(model, rows, level="event", jets=3)
    score = Score(of=EVERY[-1], complexity="none")
    scorer = scorer_of(bundle, score, 3, leading=4, store=("latent", "reconstruction"))
    scoring = scorer.scoring(rows)
    losses = scoring.losses
    items = collate(rows, bundle.recipe.graph)
    assert len(items) == len(rows)
    sizes = [[jet["n"] for jet in row["jets"]] for row in rows.to_pylist()]
    assert losses["n"].to_pylist() == [sum(n[:3]) for n in sizes]
    assert losses["n_j2"].to_pylist() == [n[1] for n in sizes]
    assert losses["n_j4"].to_pylist() == [n[3] if len(n) > 3 else None for n in sizes]
    assert not {"loss_j1", "constant_j1", "kl_j1"} & set(losses.column_names)
    module = bundle.model()
    with torch.inference_mode():
        for e in range(len(rows)):
            out = module(bundle.scaling.apply(items.select(torch.tensor([e]))))
            slow = (out.reconstruction_NF - out.target_NF).square().mean().item()
            assert losses["mse"][e].as_py() == pytest.approx(slow, rel=1e-4)
            stored = scoring.stored["latent"]["latent"][e].as_py()
            latent = out.latent if model is NODES else out.latent[0]
            np.testing.assert_allclose(stored, latent.numpy(), rtol=1e-4, atol=1e-5)
            nodes = scoring.stored["reconstruction"]
            for name in ("target", "reconstruction"):
                assert len(nodes[name][e].as_py()) == len(out.target_NF)
    calibration = Calibration.fit(losses, score)
    assert calibration.jets == len(rows)
    scores = calibration.scores(losses)
    mass = np.array([np.prod([j["mass"] for j in row["jets"]]) for row in rows.to_pylist()])
    np.testing.assert_allclose(scores["control_multiplicity"].to_numpy(), [
        np.log(n).sum() for n in sizes
    ])  # fmt: skip
    np.testing.assert_allclose(scores["control_mass"].to_numpy(), np.log(mass))
    np.testing.assert_allclose(
        scores["control_constant"].to_numpy(), np.log(losses["constant"].to_numpy())
    )
    again = EventScorer(bundle, calibration, 2).table(rows)
    assert again.schema == scores.schema
    np.testing.assert_allclose(again["score"].to_numpy(), scores["score"].to_numpy(), rtol=1e-3)


@pytest.mark.parametrize("of", ["mahalanobis", "flow-likelihood", {"loss": 1.0, "mahalanobis": 2}])
def test_a_file_without_events_has_the_columns_of_all(of, event_rows):
    scorer = scorer_of(bundle_of(DENSE, event_rows), Score(of=of))
    some, none = (scorer.table(event_rows.slice(0, n)) for n in (20, 0))
    assert pa.concat_tables([none, some]).schema == some.schema
    assert len(none) == 0


def test_scores_without_controls(event_rows):
    bundle, score = bundle_of(DENSE, event_rows), Score(controls=False)
    losses = scorer_of(bundle, score).table(event_rows)
    assert not [n for n in losses.column_names if n.startswith(("tau21", "width", "constant"))]
    calibration = Calibration.fit(losses, score)
    scores = calibration.scores(losses)
    assert not [n for n in scores.column_names if n.startswith("control")]
    with_them = scorer_of(bundle, Score()).table(event_rows)
    full = Calibration.fit(with_them, Score()).scores(with_them)
    assert scores["score"].equals(full["score"])
    again = EventScorer(bundle, calibration, 64).table(event_rows)
    assert again.schema == scores.schema
    assert scorer_of(bundle, score).table(event_rows.slice(0, 0)).schema == losses.schema

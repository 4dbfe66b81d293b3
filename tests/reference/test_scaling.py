import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import preprocessing as sk
from sklearn.pipeline import make_pipeline

from raybead.config import Graph, parse_job
from raybead.errors import InputError, JobError, RunError
from raybead.graphs import Scaling, collate
from raybead.models import Bundle, Recipe
from raybead.scoring import JetScorer
from raybead.storage import Folder
from raybead.training import reconstruction_histograms

BY_COLUMN = ["none", "standard", "robust", "min-max", "max-abs", "log", "quantile", "power"]
CHAINS = [
    ["log", "standard"],
    ["robust", "quantile"],
    ["power", "min-max", "log"],
    ["log", "l2", "standard"],
]
signed_log = sk.FunctionTransformer(lambda x: np.sign(x) * np.log(1 + np.abs(x)))


def theirs(kind, n):
    return {
        "none": sk.FunctionTransformer(),
        "standard": sk.StandardScaler(),
        "robust": sk.RobustScaler(quantile_range=(5, 95)),
        "min-max": sk.MinMaxScaler(),
        "max-abs": sk.MaxAbsScaler(),
        "log": signed_log,
        "quantile": sk.QuantileTransformer(
            n_quantiles=min(1000, n), output_distribution="normal", subsample=None
        ),
        "power": sk.PowerTransformer("yeo-johnson"),
        "l2": sk.Normalizer(),
    }[kind]


def normal(rng, n):
    return rng.normal([0, 40, -3], [1, 30, 0.01], (n, 3))


def heavy(rng, n):
    return np.stack(
        [np.exp(rng.normal(2, 1.5, n)), 30 * rng.standard_cauchy(n), rng.pareto(1.2, n)], axis=1
    )


def shared(rng, n):
    """Few values that many nodes share, and a constant."""
    return np.stack([rng.random(n) < 0.1, rng.integers(0, 4, n), np.full(n, 3.1)], axis=1)


def fitted(scaling, sample, features="cartesian"):
    return Scaling.fit(Graph(features=features, scaling=scaling), torch.as_tensor(sample))


def sample_of(make, n, seed=0):
    return make(np.random.default_rng(seed), n).astype(np.float32)


@pytest.mark.parametrize("make", [normal, heavy, shared])
@pytest.mark.parametrize(
    "chain", [*([kind] for kind in [*BY_COLUMN, "l2"]), *CHAINS], ids="+".join
)
def test_every_kind_is_scikit_learns(chain, make):
    sample, unseen = sample_of(make, 3000), sample_of(make, 500, seed=1)
    if "quantile" in chain and make is shared:  # ours has a rank for a constant, theirs an end
        sample[:, 2], unseen[:, 2] = sample[:, 1], unseen[:, 1]
    ours = fitted(chain, sample)
    reference = make_pipeline(*(theirs(kind, len(sample)) for kind in chain))
    reference.fit(sample.astype(np.float64))
    for x in (sample, unseen, 1.5 * unseen - 1):
        expected = reference.transform(x.astype(np.float64))
        exact = ours.scaled(torch.as_tensor(x).double()).numpy()
        np.testing.assert_allclose(exact, expected, rtol=1e-6, atol=1e-6)
        single = ours.scaled(torch.as_tensor(x))
        assert single.dtype == torch.float32
        np.testing.assert_allclose(single.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [normal, heavy, shared])
@pytest.mark.parametrize("n", [1, 2, 3000, 100_001])
def test_the_default_is_scikit_learns_to_the_last_bit(make, n):
    sample = sample_of(make, n)
    (steps,) = fitted("standard", sample).stages
    for step, x_T in zip(steps, sample.T.astype(np.float64), strict=True):
        reference = sk.StandardScaler().fit(x_T[:, None])
        assert (step.shift, step.scale) == (reference.mean_.item(), reference.scale_.item())


def test_the_defaults_numbers_are_a_float32_shift_and_scale(event_rows):
    x = collate(event_rows, Graph()).x_TF
    shift, spread = x.double().mean(0).float(), x.double().std(0, correction=0).float()
    scaling = Scaling.fit(Graph(), x)
    assert torch.equal(scaling.scaled(x), (x - shift) / spread)
    assert torch.equal(scaling.invert(scaling.scaled(x)), (x - shift) / spread * spread + shift)


def test_columns_have_their_own_chains_and_an_angle_becomes_two():
    rng = np.random.default_rng(4)
    x = np.stack([rng.exponential(20, 800), rng.normal(size=800), rng.uniform(-np.pi, np.pi, 800)])
    x = x.T.astype(np.float32)
    graph = Graph(
        features="cylindrical",
        scaling={"pt": ["log", "standard"], "phi": ["sin-cos", "standard"], "default": "robust"},
    )
    scaling = Scaling.fit(graph, torch.as_tensor(x))
    assert scaling.columns == ("pt", "eta", "phi")
    assert scaling.scaled_columns == graph.scaled_columns == ("pt", "eta", "sin_phi", "cos_phi")
    precise = x.astype(np.float64)
    expected = [
        sk.scale(np.log1p(precise[:, :1])),
        sk.RobustScaler(quantile_range=(5, 95)).fit_transform(precise[:, 1:2]),
        sk.scale(np.sin(precise[:, 2:])),
        sk.scale(np.cos(precise[:, 2:])),
    ]
    found = scaling.scaled(torch.as_tensor(x))
    np.testing.assert_allclose(found, np.hstack(expected), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaling.invert(found), x, rtol=2e-6, atol=2e-6)
    around = torch.tensor([[1.0, 0.0, 2.0 + 2 * np.pi]])
    assert float(scaling.invert(scaling.scaled(around))[0, 2]) == pytest.approx(2.0, abs=1e-5)


def test_l2_takes_the_columns_that_ask_for_it_and_is_not_undone():
    x = torch.tensor([[3.0, 4.0, 12.0], [0.0, 0.0, 5.0], [-1.0, 0.0, 7.0]])
    scaling = fitted({"px": "l2", "py": "l2", "default": "none"}, x)
    expected = torch.tensor([[0.6, 0.8, 12.0], [0.0, 0.0, 5.0], [-1.0, 0.0, 7.0]])
    torch.testing.assert_close(scaling.scaled(x), expected)
    assert not scaling.invertible
    with pytest.raises(JobError, match="l2 keeps a node's direction"):
        scaling.invert(expected)


numbers = st.floats(-1e4, 1e4, width=32)
columns = arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=numbers)
kinds = st.lists(st.sampled_from(BY_COLUMN), min_size=1, max_size=3)


@given(columns, st.lists(st.sampled_from(BY_COLUMN[:6]), min_size=1, max_size=3), columns)
@settings(max_examples=150, deadline=None)
def test_what_any_number_can_go_through_it_comes_back_from(sample, chain, unseen):
    scaling = fitted(chain, sample)
    # Where the sample has next to no spread, a step blows up what lies outside it.
    assume(all(getattr(step, "scale", 1.0) > 1e-3 for stage in scaling.stages for step in stage))
    x = torch.as_tensor(unseen)
    exact = scaling.invert(scaling.scaled(x.double()))
    torch.testing.assert_close(exact, x.double(), rtol=1e-8, atol=1e-6)
    back = scaling.invert(scaling.scaled(x))
    # float32 has 24 bits, of the largest number in play.
    largest = float(max(x.abs().max(), torch.as_tensor(sample).abs().max(), 1.0))
    torch.testing.assert_close(back, x, rtol=1e-5, atol=1e-6 * largest * len(chain))


@pytest.mark.parametrize("kind", ["quantile", "power"])
@pytest.mark.parametrize("make", [normal, heavy])
def test_a_fitted_sample_comes_back_in_float32(kind, make):
    sample = torch.as_tensor(sample_of(make, 3000))
    scaling = fitted(kind, sample)
    back = scaling.invert(scaling.scaled(sample))
    exact = scaling.invert(scaling.scaled(sample.double()))
    torch.testing.assert_close(exact, sample.double(), rtol=1e-6, atol=1e-6)
    # What is one step of float32 of a scaled value, in units of the feature.
    step = 1e-3 * sample.std(dim=0)
    ahead = scaling.scaled(sample.double() + step) - scaling.scaled(sample.double())
    grain = 1e-6 * step / ahead.clamp(min=1e-12)
    inside = (sample > sample.amin(0)) & (sample < sample.amax(0))
    within = (back - sample).abs() <= 1e-5 * sample.abs() + 20 * grain + 1e-5
    assert within[inside].all()
    middle = (sample > sample.quantile(0.02, 0)) & (sample < sample.quantile(0.98, 0))
    torch.testing.assert_close(back[middle], sample[middle], rtol=2e-5, atol=2e-5)


def test_quantile_cuts_at_the_ends_of_the_fitted_range():
    sample = torch.as_tensor(sample_of(heavy, 3000))
    scaling = fitted("quantile", sample)
    low, high = sample.amin(0), sample.amax(0)
    far = torch.stack([low - 100, low, high, high + 100])
    scaled = scaling.scaled(far)
    assert torch.equal(scaled[0], scaled[1])
    assert torch.equal(scaled[2], scaled[3])
    assert float(scaled[2, 0]) == pytest.approx(5.1993375)
    back = scaling.invert(torch.stack([scaled[1] - 1, scaled[2] + 1]).double())
    torch.testing.assert_close(back.float(), torch.stack([low, high]))


@pytest.mark.parametrize("spread", [1e-7, 1e-4, 1.0])
@pytest.mark.parametrize("centre", [1e-30, 1e4, -1e20])
def test_power_is_finite_wherever_float32_is(centre, spread):
    rng = np.random.default_rng(0)
    sample = centre * (1 + spread * rng.normal(size=(200, 3)))
    scaling = fitted("power", sample.astype(np.float32))
    far = torch.tensor([[-3e38, 0.0, 3e38]]).expand(3, 3).t()
    scaled = scaling.scaled(torch.cat([far, torch.as_tensor(sample, dtype=torch.float32)]))
    assert scaled.square().isfinite().all()
    assert (scaled[:3].diff(dim=0) >= 0).all()


def test_power_past_its_bound_is_infinite_and_never_nan():
    scaling = fitted("power", sample_of(heavy, 3000))
    assert scaling.stages[0][0].exponent < 0
    back = scaling.invert(torch.tensor([[1e3, 1e3, 1e3], [-1e3, -1e3, -1e3]]))
    assert not back.isnan().any()
    assert back[0, 0] == torch.inf


@given(columns, kinds, columns)
@settings(max_examples=60, deadline=None)
def test_every_kind_rises(sample, chain, unseen):
    rising = np.sort(np.concatenate([sample, unseen]), axis=0)
    scaling = fitted(chain, sample)
    scaled = scaling.scaled(torch.as_tensor(rising).double())
    assert scaled.isfinite().all()
    assert (scaled.diff(dim=0) >= -1e-9 * (1 + scaled[1:].abs())).all()


@given(kinds, st.integers(1, 5), numbers)
@settings(max_examples=60, deadline=None)
def test_a_constant_column_and_a_lone_node_divide_by_nothing(chain, n, value):
    sample = np.full((n, 3), value, np.float32)
    scaling = fitted(chain, sample)
    scaled = scaling.scaled(torch.as_tensor(sample))
    assert scaled.isfinite().all()
    assert (scaled == scaled[0]).all()
    back = scaling.invert(scaled)
    torch.testing.assert_close(back, torch.as_tensor(sample), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "chain", [*([kind] for kind in [*BY_COLUMN, "l2"]), *CHAINS], ids="+".join
)
def test_json_gives_the_same_bits(chain):
    sample = sample_of(heavy, 300)
    scaling = fitted(chain, sample)
    again = Scaling.from_dict(json.loads(json.dumps(scaling.as_dict(), allow_nan=False)))
    assert again == scaling
    x = torch.as_tensor(sample_of(heavy, 100, seed=2))
    assert torch.equal(again.scaled(x), scaling.scaled(x))


def test_what_cannot_be_scaled_is_said():
    with pytest.raises(InputError, match="no constituents"):
        fitted("standard", np.empty((0, 3), np.float32))
    bad = np.ones((4, 3), np.float32)
    bad[1:3, 2] = [np.nan, np.inf]
    with pytest.raises(InputError, match="pz of 2 constituents"):
        fitted("quantile", bad)


@pytest.mark.parametrize(
    ("graph", "inputs", "shown"),
    [
        ({"preset": "bead-4momentum-btag"}, 5, ["pt", "eta", "phi", "btag"]),
        ({"features": "p4", "scaling": ["log", "quantile"]}, 4, ["px", "py", "pz", "e"]),
        ({"features": "cartesian", "scaling": "l2"}, 3, ["px_scaled", "py_scaled", "pz_scaled"]),
    ],
)
@pytest.mark.parametrize("preset", ["edgenet", "jet-bottleneck"])
def test_a_bundle_comes_back_and_scores_the_same(
    graph, inputs, shown, preset, event_rows, tmp_path
):
    recipe = Recipe.model_validate(
        {"graph": {**graph, "nodes": 10}, "model": {"preset": preset}, "loss": {"kind": "mse"}}
    )
    jets = collate(event_rows, recipe.graph)
    scaling = Scaling.fit(recipe.graph, jets.x_TF)
    torch.manual_seed(0)
    bundle = Bundle(recipe, scaling, recipe.build().state_dict(), {})
    folder = Folder.at(str(tmp_path / "model"))
    bundle.save(folder)
    loaded = Bundle.load(folder)
    assert (loaded.recipe, loaded.scaling) == (recipe, scaling)
    scores = JetScorer(bundle, batch_items=16).table(event_rows)
    assert JetScorer(loaded, batch_items=16).table(event_rows).equals(scores)
    assert scaling.apply(jets).x_TF.shape[1] == inputs
    histograms = reconstruction_histograms(loaded.model(), scaling.apply(jets), loaded.scaling)
    assert list(histograms) == shown
    n = sum(histograms[shown[0]]["input"])
    assert all(sum(h[of]) == n for h in histograms.values() for of in ("input", "reconstruction"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda scaling: scaling["stages"][0][0].update(kind="evil"), "not a whole model bundle"),
        (lambda scaling: scaling["stages"][0][0].update(scale=0.0), "not a whole model bundle"),
        (lambda scaling: scaling.update(columns=["px", "py", "pz"]), "of other features"),
        (lambda scaling: scaling["stages"][0].pop(), "not a whole model bundle"),
    ],
)
def test_a_bundle_with_another_scaling_is_refused(change, says, event_rows, tmp_path):
    recipe = Recipe.model_validate(
        {"graph": {}, "model": {"preset": "edgenet"}, "loss": {"kind": "mse"}}
    )
    scaling = Scaling.fit(recipe.graph, collate(event_rows, recipe.graph).x_TF)
    folder = Folder.at(str(tmp_path / "model"))
    Bundle(recipe, scaling, recipe.build().state_dict(), {}).save(folder)
    raw = folder.read_json("bundle.json")
    change(raw["scaling"])
    folder.write_json("bundle.json", raw)
    with pytest.raises(RunError, match=says):
        Bundle.load(folder)


def test_the_beads_preset_is_its_custom_normalisation():
    job = parse_job(
        'name = "a"\n[data.background]\nsource = "lhco"\npath = "x.h5"\n[data.search]\n'
        'source = "lhco"\npath = "y.h5"\n[graph]\npreset = "bead-4momentum-btag"'
    )
    rng = np.random.default_rng(6)
    pt, eta, phi = rng.exponential(9, 400), rng.normal(size=400), rng.uniform(-3, 3, 400)
    btag = rng.integers(0, 2, 400)
    x = torch.as_tensor(np.stack([pt, eta, phi, btag], axis=1))
    found = Scaling.fit(job.graph, x).scaled(x)
    log = np.log(1 + pt)
    expected = [
        (log - log.mean()) / log.std(),
        (eta - eta.mean()) / eta.std(),
        np.sin(phi),
        np.cos(phi),
        btag,
    ]
    assert job.graph.scaled_columns == ("pt", "eta", "sin_phi", "cos_phi", "btag")
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-12)

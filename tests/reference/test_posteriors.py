"""Posteriors: what is drawn, what stands for it, and the Dirichlet behind a softmax."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy import stats
from test_models import jets_of

from raybead.config import Model
from raybead.models import Inputs, build_model
from raybead.models.latent import (
    LOG_CONCENTRATION,
    DirichletLatent,
    GaussianLatent,
    PointLatent,
    build_posterior,
    concentration,
)
from raybead.models.noise import normal_noise

FLOWS = ["planar", "sylvester", "inverse-autoregressive", "spline", "convolutional"]
INSIDE, LATENT = 6, 5
SECTIONS = {
    "point": {},
    "gaussian": {"posterior": "gaussian"},
    "dirichlet": {"posterior": "dirichlet"},
    **{flow: {"posterior": "gaussian", "flow": {"kind": flow}} for flow in FLOWS},
}


def config_of(**section):
    return TypeAdapter(Model).validate_python({"latent": LATENT, **section})


def posterior_of(name, seed=1):
    torch.manual_seed(seed)
    return build_posterior(config_of(**SECTIONS[name]), INSIDE)


def inputs(n=40):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, INSIDE, generator=generator), torch.arange(n) * 64


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_which(name):
    kinds = {"point": PointLatent, "dirichlet": DirichletLatent}
    posterior = posterior_of(name)
    assert type(posterior) is kinds.get(name, GaussianLatent)
    latent = posterior(*inputs())
    assert latent.z_NZ.shape == (40, LATENT)
    assert (latent.mu_NZ is None) == (latent.log_variance_NZ is None) == (name == "point")
    assert (latent.concentration_NZ is None) == (name != "dirichlet")
    assert (latent.z0_NZ is None) == (latent.log_det_N is None) == (name not in FLOWS)


@pytest.mark.parametrize("name", ["gaussian", *FLOWS])
def test_training_draws_and_its_mean_stands_for_it_otherwise(name):
    posterior, (x, keys) = posterior_of(name), inputs()
    torch.manual_seed(7)
    drawn = posterior.train()(x, keys)
    torch.manual_seed(7)
    noise = normal_noise(keys, LATENT, x)
    start = drawn.mu_NZ + noise * (drawn.log_variance_NZ / 2).exp()
    meant = posterior.eval()(x, keys)
    assert torch.equal(posterior(x, keys).z_NZ, meant.z_NZ)
    if name == "gaussian":
        assert torch.equal(drawn.z_NZ, start)
        assert torch.equal(meant.z_NZ, meant.mu_NZ)
        return
    for latent, z0 in ((drawn, start), (meant, meant.mu_NZ)):
        assert torch.equal(latent.z0_NZ, z0)
        z, log_det = posterior.flow(z0, x)
        assert torch.equal(latent.z_NZ, z)
        assert torch.equal(latent.log_det_N, log_det)


@pytest.mark.parametrize("name", SECTIONS)
def test_noise_is_an_items_wherever_it_lies(name):
    posterior, (x, keys) = posterior_of(name).double(), inputs()
    x = x.double()
    mine = torch.tensor([31, 4, 5])
    latents = []
    for picked in (torch.arange(40), mine):
        torch.manual_seed(3)
        latents.append(posterior(x[picked], keys[picked]))
    for whole, part in zip(*latents, strict=True):
        assert (whole is None) == (part is None)
        if whole is not None:
            torch.testing.assert_close(part, whole[mine])


@pytest.mark.parametrize("name", FLOWS)
def test_log_determinants_are_single_under_autocast(name):
    posterior, (x, keys) = posterior_of(name).eval(), inputs()
    exact = posterior(x, keys)
    with torch.autocast("cpu", torch.bfloat16):
        latent = posterior(x, keys)
    assert latent.log_det_N.dtype == latent.z_NZ.dtype == latent.z0_NZ.dtype == torch.float32
    torch.testing.assert_close(latent.log_det_N, exact.log_det_N, rtol=0.05, atol=0.05)
    torch.testing.assert_close(latent.z_NZ, exact.z_NZ, rtol=0.05, atol=0.05)


# The Dirichlet posterior.


def bridged(alpha):
    """mu and variances of the Gaussian that Laplace's approximation makes of Dirichlets."""
    size = alpha.shape[1]
    mu = np.log(alpha) - np.log(alpha).mean(axis=1, keepdims=True)
    inverse = (1 / alpha).sum(axis=1, keepdims=True)
    return mu, (1 - 2 / size) / alpha + inverse / size**2


def alphas(low, high, size, n=20, seed=0):
    return np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high), (n, size)))


@pytest.mark.parametrize("size", [2, 3, 15])
def test_the_bridge_leads_back_where_it_came_from(size):
    alpha = alphas(0.05, 200, size)
    mu, variance = bridged(alpha)
    found = concentration(torch.from_numpy(mu), torch.from_numpy(np.log(variance)))
    np.testing.assert_allclose(found.numpy(), alpha, rtol=1e-10)
    # A common shift of mu is none to a softmax.
    shifted = concentration(torch.from_numpy(mu + 3), torch.from_numpy(np.log(variance)))
    np.testing.assert_allclose(shifted.numpy(), alpha, rtol=1e-10)
    # And there the stand-in is the Dirichlet's mean.
    shares = torch.from_numpy(mu).softmax(dim=1).numpy()
    expected = [stats.dirichlet(one).mean() for one in alpha]
    np.testing.assert_allclose(shares, expected, rtol=1e-10)


def test_concentrations_are_those_of_the_formula():
    generator = np.random.default_rng(1)
    mu, log_variance = generator.normal(0, 1.5, (2, 30, 4))
    spread = np.exp(mu) * np.exp(-mu).sum(axis=1, keepdims=True)
    expected = (1 - 2 / 4 + spread / 4**2) / np.exp(log_variance)
    found = concentration(torch.from_numpy(mu), torch.from_numpy(log_variance))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_samples_have_the_dirichlets_moments():
    """As far as a Gaussian without correlations can: variances to 1 in the number of shares."""
    alpha = alphas(20, 60, 15, n=1)
    mu, variance = bridged(alpha)
    noise = np.random.default_rng(2).normal(size=(200_000, 15))
    shares = torch.from_numpy(mu + noise * np.sqrt(variance)).softmax(dim=1).numpy()
    one = concentration(torch.from_numpy(mu), torch.from_numpy(np.log(variance)))[0].numpy()
    dirichlet = stats.dirichlet(one)
    np.testing.assert_allclose(shares.mean(axis=0), dirichlet.mean(), rtol=0.02)
    np.testing.assert_allclose(shares.var(axis=0), dirichlet.var(), rtol=0.15)


def test_it_is_close_to_the_nearest_dirichlet():
    """By divergence of the softmax's density from scipy's, against others about it."""
    alpha = alphas(15, 40, 12, n=1)
    mu, variance = bridged(alpha)
    noise = np.random.default_rng(3).normal(size=(20_000, 12))
    logits = mu + noise * np.sqrt(variance)
    shares = torch.from_numpy(logits).softmax(dim=1).numpy()
    # Of the ratios to the last share: what a softmax is a function of.
    ratios = np.hstack([np.eye(11), -np.ones((11, 1))])
    normal = stats.multivariate_normal(ratios @ mu[0], ratios @ np.diag(variance[0]) @ ratios.T)
    log_density = normal.logpdf(logits @ ratios.T) - np.log(shares).sum(axis=1)
    found = concentration(torch.from_numpy(mu), torch.from_numpy(np.log(variance)))[0].numpy()

    def divergence(one):
        return np.mean(log_density - stats.dirichlet(one).logpdf(shares.T))

    assert 0 < divergence(found) < 0.15
    for factor in (0.7, 1.4):
        assert divergence(factor * found) > divergence(found) + 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_concentrations_are_positive_and_finite_whatever_comes_in(dtype):
    largest = torch.tensor([0, 1, -1, 20, -20, 1e3, -1e3, 6e4, -6e4], dtype=dtype)
    mu = torch.cartesian_prod(largest, largest).requires_grad_()
    log_variance = torch.cartesian_prod(largest, largest).flip(0).requires_grad_()
    found = concentration(mu, log_variance)
    assert found.dtype in (torch.float32, torch.float64)
    assert found.isfinite().all()
    assert (found > 0).all()
    assert found.min() >= np.exp(-LOG_CONCENTRATION) * 0.999
    assert found.max() <= np.exp(LOG_CONCENTRATION) * 1.001
    found.sum().backward()
    assert mu.grad.isfinite().all()
    assert log_variance.grad.isfinite().all()


def test_gradients_of_concentrations_are_those_of_differences():
    mu, log_variance = torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(concentration, (mu, log_variance))


def test_shares_sum_to_one_and_are_trained_on_what_stands_for_them():
    posterior, (x, keys) = posterior_of("dirichlet"), inputs()
    with torch.no_grad():
        posterior.log_variance.bias -= 12  # little noise
        drawn, meant = posterior.train()(x, keys), posterior.eval()(x, keys)
    for latent in (drawn, meant):
        torch.testing.assert_close(latent.z_NZ.sum(dim=1), torch.ones(40))
        assert (latent.z_NZ > 0).all()
    assert torch.equal(meant.z_NZ, meant.mu_NZ.softmax(dim=1))
    assert not torch.equal(drawn.z_NZ, meant.z_NZ)
    torch.testing.assert_close(drawn.z_NZ, meant.z_NZ, rtol=0.02, atol=1e-3)


# In models.


@pytest.mark.parametrize("kind", ["node-bottleneck", "jet-bottleneck"])
@pytest.mark.parametrize("posterior", ["gaussian", "dirichlet"])
def test_models_say_their_posterior(kind, posterior):
    torch.manual_seed(1)
    net = build_model(config_of(kind=kind, posterior=posterior), Inputs(3))
    output = net(jets_of([4, 9, 1]))
    assert output.latent.shape == output.mu.shape == output.log_variance.shape
    assert (output.concentration is not None) == (posterior == "dirichlet")
    loss = output.reconstruction_NF.square().mean() + output.mu.square().mean()
    (loss + output.log_variance.square().mean()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


@pytest.mark.parametrize("flow", FLOWS)
def test_models_say_what_a_flow_did(flow):
    torch.manual_seed(1)
    net = build_model(config_of(posterior="gaussian", flow={"kind": flow}), Inputs(3))
    for net.training in (True, False):
        output = net(jets_of([4, 9, 1]))
        assert output.z0.shape == output.latent.shape == (3, LATENT)
        assert output.log_det_B.shape == (3,)
        assert not torch.equal(output.z0, output.latent)


@pytest.mark.parametrize("kind", ["node-bottleneck", "jet-bottleneck"])
def test_one_share_is_refused(kind):
    with pytest.raises(ValidationError, match="latent of 2 or more"):
        config_of(kind=kind, posterior="dirichlet", latent=1)

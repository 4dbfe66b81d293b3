"""The way back from node features to momenta."""

import numpy as np
import pytest
import torch

from raybead.config import NAMES, Graph
from raybead.errors import JobError
from raybead.graphs import Scaling, node_features
from raybead.graphs.momenta import momenta_of, unscaled_momenta

KINDS = [kind for kind in NAMES if kind not in ("jet", "event")]
"""Of constituents."""
SCALINGS = {
    "none": "none",
    "standard": "standard",
    "robust": "robust",
    "min-max": "min-max",
    "max-abs": "max-abs",
    "log": ["log", "standard"],
    "quantile": "quantile",
    "power": "power",
}


def constituents(n=60, seed=0):
    r = np.random.default_rng(seed)
    pt = (r.pareto(1.5, n) * 20 + 0.5).astype(np.float32)
    eta, phi = r.normal(0, 0.8, n).astype(np.float32), r.uniform(-3.1, 3.1, n).astype(np.float32)
    axis_eta = (eta + r.normal(0, 0.3, n)).astype(np.float32)
    axis_phi = (phi + r.normal(0, 0.3, n)).astype(np.float32)
    return pt, eta, phi, axis_eta, axis_phi, np.ones(n, np.float32)


def wrapped(angle):
    return (angle + torch.pi) % (2 * torch.pi) - torch.pi


@pytest.mark.parametrize("kind", KINDS)
def test_features_lead_back_to_their_momenta(kind):
    pt, eta, phi, axis_eta, axis_phi, btag = constituents()
    x_NF = torch.from_numpy(node_features(kind, pt, eta, phi, axis_eta, axis_phi, btag))
    found = momenta_of(kind, x_NF)
    if kind == "jet-axis":
        eta, phi = eta - axis_eta, phi - axis_phi
    np.testing.assert_allclose(found.pt_N, pt, rtol=1e-5)
    np.testing.assert_allclose(found.eta_N, eta, atol=2e-6)
    np.testing.assert_allclose(wrapped(found.phi_N - torch.from_numpy(phi)), 0, atol=2e-6)


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_scaled_features_do_and_with_a_gradient(kind, scaling):
    x_NF = torch.from_numpy(node_features(kind, *constituents()))
    graph = Graph.model_validate({"features": kind, "scaling": scaling})
    fitted = Scaling.fit(graph, x_NF)
    # Away from the kinks between two quantiles.
    y_NS = fitted.scaled(x_NF.double())[5:15] * 0.97 + 0.0123
    expected = momenta_of(kind, fitted.invert(y_NS))
    y_NS.requires_grad_()
    found = unscaled_momenta(graph, fitted, y_NS)
    torch.testing.assert_close(found.pt_N, expected.pt_N)
    torch.testing.assert_close(found.eta_N, expected.eta_N)

    def of(y):
        momenta = unscaled_momenta(graph, fitted, y)
        return momenta.pt_N.log(), momenta.eta_N, momenta.phi_N

    assert torch.autograd.gradcheck(of, (y_NS,), eps=1e-7, atol=1e-4, rtol=1e-3)


def test_jets_have_their_momenta_behind_their_numbers_and_events_have_none():
    pt, eta, phi, *_ = constituents()
    x_N5 = torch.from_numpy(
        np.stack([np.full_like(pt, 9), np.ones_like(pt), pt, eta, phi], axis=1)
    )
    found = momenta_of("jet", x_N5)
    np.testing.assert_allclose(found.pt_N, pt)
    np.testing.assert_allclose(found.eta_N, eta)
    np.testing.assert_allclose(found.phi_N, phi)
    with pytest.raises(JobError, match="an event as a whole has no momenta"):
        momenta_of("event", x_N5[:, :4])


def test_an_angle_of_sine_and_cosine_comes_back():
    x_NF = torch.from_numpy(node_features("cylindrical", *constituents()))
    graph = Graph.model_validate({"preset": "bead-4momentum"})
    fitted = Scaling.fit(graph, x_NF)
    found = unscaled_momenta(graph, fitted, fitted.scaled(x_NF))
    np.testing.assert_allclose(wrapped(found.phi_N - x_NF[:, 2]), 0, atol=1e-5)
    nowhere = torch.zeros(2, 4, requires_grad=True)
    momenta = unscaled_momenta(graph, fitted, nowhere)
    (momenta.phi_N.sum() + momenta.pt_N.sum()).backward()
    assert momenta.phi_N.tolist() == [0, 0]
    assert nowhere.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_particle_is_stays_finite_with_its_gradient(kind):
    r = np.random.default_rng(1)
    width = len(NAMES[kind])
    odd = [0.0, -1.0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf, 3.0, 0.01]
    x_NF = torch.tensor(r.choice(odd, (400, width)), dtype=torch.float32)
    x_NF = torch.cat([x_NF, torch.zeros(1, width)]).requires_grad_()
    found = momenta_of(kind, x_NF)
    assert (found.pt_N > 0).all()
    assert found.pt_N.square().sum().isfinite()
    assert found.eta_N.abs().max() <= 100
    # As a distance uses them: a direction counts by the share of its momentum.
    share_N = found.pt_N / found.pt_N.detach().sum()
    (share_N.sum() + (share_N.detach() * (found.eta_N + found.phi_N.sin())).sum()).backward()
    assert x_NF.grad.isfinite().all()


def test_negative_momentum_weighs_little_and_is_drawn_upwards():
    pt = torch.tensor([-100.0, -1.0, 0.0, 0.01, 0.5, 40.0], requires_grad=True)
    x_NF = torch.stack([0.2 * pt.detach(), torch.zeros(6), pt], dim=1)
    found = momenta_of("jet-axis", x_NF)
    found.pt_N.sum().backward()
    assert (found.pt_N.diff() > 0).all()
    assert found.pt_N[:2].max() < 2e-4
    torch.testing.assert_close(found.pt_N[3:], pt[3:].detach())
    assert (pt.grad > 0).all()
    torch.testing.assert_close(pt.grad[3:], torch.ones(3))


def test_not_a_number_is_not_hidden():
    x_NF = torch.tensor([[np.nan, 0.0, 1.0], [0.0, 0.0, np.nan]])
    found = momenta_of("jet-axis", x_NF)
    assert found.eta_N[0].isnan()
    assert found.pt_N[1].isnan()


@pytest.mark.parametrize("kind", ["log", "power"])
def test_an_inverse_beyond_all_floats_has_no_slope_rather_than_none_at_all(kind):
    x_NF = torch.from_numpy(node_features("jet-axis", *constituents()))
    graph = Graph.model_validate({"scaling": kind})
    fitted = Scaling.fit(graph, x_NF)
    y_NS = torch.tensor([[0.1, 0.1, 0.1], [0.0, 0.0, 1e6]], requires_grad=True)
    found = unscaled_momenta(graph, fitted, y_NS)
    found.pt_N.log().sum().backward()
    assert found.pt_N[1] == 1e7
    assert y_NS.grad.isfinite().all()
    assert (y_NS.grad[0, 2] > 0).all()
    assert (y_NS.grad[1] == 0).all()


@pytest.mark.parametrize("power", [0.5, 1.5, 2.0])
def test_a_power_of_pt_is_undone_down_to_what_a_detector_sees(power):
    pt = torch.tensor([0.011, 0.05, 1.0, 300.0, 5000.0], dtype=torch.float64)
    angle = torch.tensor([0.3, -0.2, 0.01, 0.0, 1.0], dtype=torch.float64)
    columns = torch.stack([pt**power * angle, -(pt**power) * angle, pt**power], dim=1)
    found = momenta_of("jet-axis", columns, power)
    torch.testing.assert_close(found.pt_N, pt)
    torch.testing.assert_close(found.eta_N, angle)
    torch.testing.assert_close(found.phi_N, -angle)
    assert (momenta_of("jet-axis", -columns, power).pt_N > 0).all()


def test_jets_as_nodes_have_momenta_too_and_a_whole_event_has_none():
    x_NF = torch.tensor([[12.0, 1.0, 300.0, -1.5, 3.0], [3.0, 0.0, -1.0, 200.0, 0.5]])
    found = momenta_of("jet", x_NF)
    assert found.pt_N[0] == 300
    assert 0 < found.pt_N[1] < 0.01
    assert found.eta_N.tolist() == [-1.5, 100.0]
    assert found.phi_N.tolist() == [3.0, 0.5]
    with pytest.raises(JobError, match=r"graph\.features event: .* has no momenta"):
        momenta_of("event", torch.ones(2, 4))

"""Flows: exact log-determinants, inverses, densities, and how they behave in a model."""

import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from scipy.optimize import brentq

from raybead.config.flow import AnyFlow
from raybead.models.flows import build_flow
from raybead.models.flows.convolutional import Convolutional
from raybead.models.flows.planar import Planar
from raybead.models.flows.rising import SLOPE, bounded, restrained, solve_rising
from raybead.models.flows.sylvester import Householder, Orthogonal, orthonormal

CONTEXT = 4
SECTIONS = {
    "planar": {"kind": "planar"},
    "orthogonal": {"kind": "sylvester", "rank": 2},
    "householder": {"kind": "sylvester", "basis": "householder", "rank": 3},
    "triangular": {"kind": "sylvester", "basis": "triangular"},
    "inverse-autoregressive": {"kind": "inverse-autoregressive", "hidden": (16,)},
    "spline": {"kind": "spline", "hidden": (16,)},
    "convolutional": {"kind": "convolutional", "kernel": 3},
}


def flow_of(name, latent, stirred=1.0, dtype=torch.float64, **settings):
    """One that has left the identity, unless ``stirred`` is 0."""
    torch.manual_seed(5)
    config = TypeAdapter(AnyFlow).validate_python({**SECTIONS[name], **settings})
    flow = build_flow(config, latent, CONTEXT).to(dtype)
    with torch.no_grad():
        for weight in flow.parameters():
            weight += stirred * torch.randn_like(weight) / weight.shape[-1] ** 0.5
    return flow


def points(n, latent, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (
        2 * torch.randn(n, latent, generator=generator, dtype=dtype),
        torch.randn(n, CONTEXT, generator=generator, dtype=dtype),
    )


def jacobian(flow, z, context):
    return torch.autograd.functional.jacobian(lambda one: flow(one[None], context[None])[0][0], z)


@pytest.fixture(params=SECTIONS)
def name(request):
    return request.param


@pytest.mark.parametrize("latent", [2, 5, 15])
def test_log_determinants_are_those_of_the_jacobian(name, latent):
    flow = flow_of(name, latent)
    z, context = points(6, latent)
    _, log_det = flow(z, context)
    found = [jacobian(flow, *item).slogdet() for item in zip(z, context, strict=True)]
    assert all(sign == 1 for sign, _ in found)
    torch.testing.assert_close(
        log_det, torch.stack([size for _, size in found]), rtol=1e-10, atol=1e-10
    )
    assert log_det.std() > 0.05


@pytest.mark.parametrize("latent", [2, 5, 15])
def test_inverses(name, latent):
    flow = flow_of(name, latent, stirred=0.6)
    z, context = points(50, latent)
    there, log_det = flow(z, context)
    assert (there - z).abs().max() > 0.1
    back, again = flow.inverse(there, context)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-8)
    torch.testing.assert_close(again, log_det, rtol=0, atol=1e-8)
    before, _ = flow.inverse(z, context)
    torch.testing.assert_close(flow(before, context)[0], z, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", sorted(set(SECTIONS) - {"orthogonal"}))
def test_a_latent_of_one(name):
    flow = flow_of(name, 1)
    z, context = points(5, 1)
    there, log_det = flow(z, context)
    slopes = [jacobian(flow, *item)[0, 0].log() for item in zip(z, context, strict=True)]
    torch.testing.assert_close(log_det, torch.stack(slopes))
    torch.testing.assert_close(flow.inverse(there, context)[0], z, rtol=0, atol=1e-8)


def test_densities_integrate_to_one(name):
    flow = flow_of(name, 2, stirred=0.4)
    axis = torch.arange(-10, 10, 0.1, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    context = points(1, 2)[1].expand(len(x), -1)
    with torch.no_grad():
        z, log_det = flow.inverse(x, context)
        log_density = -z.square().sum(dim=1) / 2 - math.log(2 * math.pi) - log_det
    assert (log_det.amax() - log_det.amin()) > 0.1
    assert float(log_density.exp().sum() * 0.1**2) == pytest.approx(1, abs=2e-3)


def test_a_flow_learns_what_a_diagonal_gaussian_cannot_be(name):
    """Of a correlation of 0.9 that one leaves -log(1 - 0.81) / 2 = 0.83 nats."""
    flow = flow_of(name, 2, stirred=0, dtype=torch.float32, layers=2)
    optimiser = torch.optim.Adam(flow.parameters(), 0.05)
    precision = torch.tensor([[1, -0.9], [-0.9, 1]]) / 0.19
    context = torch.zeros(256, CONTEXT)
    losses = []
    for _ in range(60):
        z0 = torch.randn(256, 2)
        z, log_det = flow(z0, context)
        energy = torch.einsum("ni,ij,nj->n", z, precision, z) / 2 + math.log(0.19) / 2
        loss = (energy - z0.square().sum(dim=1) / 2 - log_det).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.35


@pytest.mark.parametrize("latent", [2, 15])
def test_they_start_close_to_the_identity(name, latent):
    flow = flow_of(name, latent, stirred=0)
    z, context = points(100, latent)
    there, log_det = flow(z, context)
    assert (there - z).square().mean().sqrt() < 0.35
    assert log_det.abs().mean() < 0.35
    assert log_det.abs().max() > 0


def test_no_items_and_one_item(name):
    flow = flow_of(name, 5)
    z, context = points(3, 5)
    all_z, all_log_det = flow(z, context)
    for way in (flow, flow.inverse):
        nothing, log_det = way(z[:0], context[:0])
        assert nothing.shape == (0, 5)
        assert log_det.shape == (0,)
    one, log_det = flow(z[1:2], context[1:2])
    torch.testing.assert_close(one, all_z[1:2])
    torch.testing.assert_close(log_det, all_log_det[1:2])


def test_it_keeps_nothing_between_calls(name):
    flow = flow_of(name, 5)
    before = {key: value.clone() for key, value in flow.state_dict().items()}
    first, second = flow(*points(4, 5)), flow(*points(7, 5, seed=2))
    (first[1].sum() + second[1].sum()).backward()
    slopes = [weight.grad.clone() for weight in flow.parameters()]
    flow.zero_grad()
    for seed, n in ((1, 4), (2, 7)):
        flow(*points(n, 5, seed=seed))[1].sum().backward()
    for weight, slope in zip(flow.parameters(), slopes, strict=True):
        torch.testing.assert_close(weight.grad, slope)
    after = flow.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_every_parameter_gets_a_gradient_from_the_start(name):
    flow = flow_of(name, 5, stirred=0, dtype=torch.float32)
    z, log_det = flow(*points(64, 5, torch.float32))
    (z.square().sum(dim=1) - log_det).mean().backward()
    for key, weight in flow.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert weight.grad.abs().sum() > 0, key


def test_precisions(name):
    double = flow_of(name, 5)
    single = flow_of(name, 5, dtype=torch.float32)
    single.load_state_dict(double.state_dict())
    z, context = points(20, 5)
    exact, exact_log_det = double(z, context)
    there, log_det = single(z.float(), context.float())
    assert there.dtype == log_det.dtype == torch.float32
    torch.testing.assert_close(there.double(), exact, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(log_det.double(), exact_log_det, rtol=1e-4, atol=1e-4)
    low, low_context = z.bfloat16(), context.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        there, log_det = single(low, low_context)
    expected, expected_log_det = single(low.float(), low_context.float())
    assert torch.equal(there, expected)
    assert torch.equal(log_det, expected_log_det)


def test_gradients_are_those_of_differences(name):
    flow = flow_of(name, 2, layers=2)
    z, context = (x.requires_grad_() for x in points(1, 2))
    assert torch.autograd.gradcheck(flow, (z, context))
    assert torch.autograd.gradcheck(flow.inverse, (z, context))


@pytest.mark.parametrize(("size", "context_size"), [(1e3, 0), (1e3, 1), (1, 1e3), (1e3, 1e3)])
def test_extremes_stay_finite(name, size, context_size):
    flow = flow_of(name, 15, dtype=torch.float32)
    z, context = points(30, 15, torch.float32)
    z, context = (z * size).requires_grad_(), (context * context_size).requires_grad_()
    there, log_det = flow(z, context)
    # Each in units of its own size: squares of these would overflow.
    ((there / there.detach().abs().amax().clamp_min(1)).sum() + log_det.sum()).backward()
    for values in (there, log_det, z.grad, context.grad):
        assert values.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in flow.parameters())


def test_saved_and_loaded_it_gives_the_same_bits(name):
    flow, other = flow_of(name, 5), flow_of(name, 5, stirred=2)
    other.load_state_dict(load(save(flow.state_dict())))
    for mine, theirs in zip(flow(*points(4, 5)), other(*points(4, 5)), strict=True):
        assert torch.equal(mine, theirs)


# What the families are made of.


def dense(layer, context, latent):
    """Q [N, Z, M], R, R' [N, M, M] and b [N, M] of a Sylvester layer."""
    inside, basis = layer.parameters_of(context)
    n, m = len(context), len(inside.b_MN)
    ones = torch.eye(latent, dtype=context.dtype)[:, :, None].expand(-1, -1, n)
    rows = torch.stack([layer.down(one, basis) for one in ones]).permute(2, 0, 1)
    ones = torch.eye(m, dtype=context.dtype)[:, :, None].expand(-1, -1, n)
    columns = torch.stack([layer.up(one, basis) for one in ones], dim=1).permute(2, 0, 1)
    torch.testing.assert_close(rows, columns)
    r, other = (
        (above + torch.diag_embed(diagonal.t()).permute(1, 2, 0)).permute(2, 0, 1)
        for above, diagonal in (inside[:2], inside[2:4])
    )
    return columns.detach(), r.detach(), other.detach(), inside.b_MN.t().detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Orthogonal, Householder])
@pytest.mark.parametrize(("latent", "rank"), [(2, 2), (5, 3), (15, 5), (15, 15)])
def test_sylvesters_directions_are_orthonormal(kind, latent, rank, dtype):
    torch.manual_seed(3)
    layer = kind(latent, rank, CONTEXT).to(dtype)
    q, *_ = dense(layer, 10 * points(40, latent, dtype)[1], latent)
    assert q.shape == (40, latent, rank if kind is Orthogonal else latent)
    off = q.mT @ q - torch.eye(q.shape[2], dtype=dtype)
    assert off.abs().max() < (1e-6 if dtype == torch.float32 else 1e-12)
    assert (q[0] - q[1]).abs().max() > 1e-3


def test_orthonormal_vectors_are_those_of_a_qr_decomposition():
    vectors = torch.randn(4, 7, 30, dtype=torch.float64)
    q, r = torch.linalg.qr(vectors.permute(2, 1, 0))
    signs = r.diagonal(dim1=1, dim2=2).sign()
    torch.testing.assert_close(orthonormal(vectors).permute(2, 1, 0), q * signs[:, None, :])


def test_nearly_dependent_vectors_are_made_orthonormal_all_the_same():
    vectors = torch.randn(1, 8, 10, dtype=torch.float64).repeat(4, 1, 1)
    vectors += 1e-9 * torch.randn(4, 8, 10, dtype=torch.float64)
    q = orthonormal(vectors).permute(2, 0, 1)
    assert (q @ q.mT - torch.eye(4)).abs().max() < 1e-12


def test_reflections_are_householders_one_after_another():
    torch.manual_seed(3)
    layer = Householder(4, 3, CONTEXT).double()
    _, context = points(1, 4)
    q, *_ = dense(layer, context, 4)
    slow = torch.eye(4, dtype=torch.float64)
    for v in layer.amortised(context)[-1][:, :, 0].detach():
        slow = slow @ (torch.eye(4) - 2 * torch.outer(v, v) / v.dot(v))
    torch.testing.assert_close(q[0], slow)
    assert float(q[0].det()) == pytest.approx(-1)


@pytest.mark.parametrize("kind", ["orthogonal", "householder", "triangular"])
def test_sylvester_against_its_dense_matrices(kind):
    layer = flow_of(kind, 5, layers=1).maps[0]
    z, context = points(9, 5)
    there, log_det = layer(z, context)
    q, r, other, b = dense(layer, context, 5)
    for n in range(9):
        assert torch.equal(r[n], r[n].triu())
        assert torch.equal(other[n], other[n].triu())
        assert (r[n].triu(1) - other[n].triu(1)).abs().max() > 0.05
        inside = other[n] @ q[n].T @ z[n] + b[n]
        torch.testing.assert_close(there[n], z[n] + q[n] @ r[n] @ inside.tanh())
        slopes = torch.diag(1 - inside.tanh() ** 2)
        jacobian = torch.eye(5) + q[n] @ r[n] @ slopes @ other[n] @ q[n].T
        torch.testing.assert_close(log_det[n], jacobian.det().log())


def test_planar_against_its_formula_and_corrected_only_where_it_would_fold():
    torch.manual_seed(3)
    layer = Planar(4, CONTEXT).double()
    with torch.no_grad():
        layer.amortised.linear.weight *= 30
    z, context = points(40, 4)
    there, _ = layer(z, context)
    u, w, b = (part.t() if part.dim() > 1 else part for part in layer.amortised(context))
    along = (u * w).sum(dim=1)
    fine = along >= 0
    assert 5 < int(fine.sum()) < 35
    assert along.min() < -1.5
    move = u * ((w * z).sum(dim=1) + b).tanh()[:, None]
    torch.testing.assert_close(there[fine], (z + move)[fine])
    corrected = (there - z) / ((w * z).sum(dim=1) + b).tanh()[:, None]
    assert ((corrected * w).sum(dim=1) > -1).all()
    # What changes is what points along w.
    change = corrected - u
    across = change - (change * w).sum(1, keepdim=True) * w / w.square().sum(1, keepdim=True)
    assert across.abs().max() < 1e-10


@pytest.mark.parametrize("dilation", [1, 2])
def test_convolutional_against_torchs_convolution(dilation):
    torch.manual_seed(3)
    layer = Convolutional(7, 3, dilation, CONTEXT).double()
    with torch.no_grad():
        layer.amortised.linear.bias += torch.randn(3 + 7 + 7)
    z, context = points(5, 7)
    there, _ = layer(z, context)
    w, u, b = (part.t() for part in layer.parameters_of(context))
    for n in range(5):
        padded = torch.nn.functional.pad(z[n], (2 * dilation, 0))[None, None]
        kernel = w[n].flip(0)[None, None]
        seen = torch.nn.functional.conv1d(padded, kernel, dilation=dilation)[0, 0]
        torch.testing.assert_close(there[n], z[n] + u[n] * (seen + b[n]).tanh())


@pytest.mark.parametrize("name", ["inverse-autoregressive", "spline", "convolutional"])
def test_jacobians_are_triangular_and_every_second_the_other_way(name):
    z, context = points(1, 6)
    one = jacobian(flow_of(name, 6, layers=1), z[0], context[0])
    assert torch.equal(one, one.tril())
    assert one.tril(-1).abs().max() > 0.01
    assert (one.diagonal() > 0).all()
    second = jacobian(flow_of(name, 6, layers=2).maps[1], z[0].flip(0), context[0])
    both = jacobian(flow_of(name, 6, layers=2), z[0], context[0])
    assert torch.equal(second, second.tril())
    assert both.triu(1).abs().max() > 0.01
    assert both.tril(-1).abs().max() > 0.01


def test_the_scalar_equation_against_scipy():
    generator = np.random.default_rng(0)
    y, d = generator.normal(0, 3, (2, 40))
    c = generator.normal(0, 2, 40)
    a = (generator.uniform(SLOPE - 1, 4, 40)) / c
    found = solve_rising(*map(torch.from_numpy, (y, a, c, d)))
    for n in range(40):

        def left(s, n=n):
            return s + a[n] * np.tanh(c[n] * s + d[n]) - y[n]

        reach = abs(a[n]) + 1
        expected = brentq(left, y[n] - reach, y[n] + reach, xtol=1e-13)
        assert float(found[n]) == pytest.approx(expected, abs=1e-10)


def test_restraints_keep_the_slope_positive_and_small_numbers_as_they_are():
    x = torch.linspace(-1e4, 1e4, 20001, dtype=torch.float64)
    y = restrained(x)
    assert (y > SLOPE - 1).all()
    assert (y.diff() > 0).all()
    assert torch.equal(y[x >= 0], x[x >= 0])
    assert float(restrained(torch.tensor(-1e-4))) == pytest.approx(-1e-4, rel=1e-3)
    assert (bounded(x) * bounded(-x) > SLOPE - 1).all()

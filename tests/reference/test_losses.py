import dataclasses

import torch

from raybead.losses import chamfer, distance, kl, mse
from raybead.models import Output


def outputs(sizes):
    generator = torch.Generator().manual_seed(0)
    ptr = torch.tensor([0, *torch.tensor(sizes).cumsum(0).tolist()])
    x, y = (torch.randn(int(ptr[-1]), 3, generator=generator, dtype=torch.float64) for _ in "xy")
    return Output(x.float().requires_grad_(), y.float(), ptr, x)


def slow_chamfer(x, y):
    squares = torch.cdist(x, y).square()
    return squares.min(dim=1).values.sum() + squares.min(dim=0).values.sum()


def test_mse_equals_a_loop():
    output = outputs([3, 1, 7])
    pairs = zip(output.ptr[:-1], output.ptr[1:], strict=True)
    x, y = output.reconstruction_NF, output.target_NF
    expected = torch.stack([(x[a:b] - y[a:b]).square().mean() for a, b in pairs])
    torch.testing.assert_close(mse(output), expected)


def test_chamfer_and_its_gradient_equal_a_loop():
    output = outputs([3, 1, 40, 3])
    x, y = output.reconstruction_NF, output.target_NF
    pairs = list(zip(output.ptr[:-1], output.ptr[1:], strict=True))
    expected = torch.stack([slow_chamfer(x[a:b], y[a:b]) for a, b in pairs])
    found = chamfer(output)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    (mine,) = torch.autograd.grad(found.sum(), x)
    (reference,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(mine, reference, rtol=1e-3, atol=1e-3)


def test_chamfer_ignores_order_and_is_zero_for_equal_sets():
    output = outputs([9])
    order = torch.randperm(9)
    same = Output(output.target_NF[order], output.target_NF, output.ptr, output.latent)
    torch.testing.assert_close(chamfer(same), torch.zeros(1))


def test_distance_equals_a_loop_over_some_columns():
    output = outputs([3, 1, 7])
    pairs = zip(output.ptr[:-1], output.ptr[1:], strict=True)
    off = (output.reconstruction_NF - output.target_NF)[:, [0, 2]]
    expected = torch.stack([off[a:b].norm(dim=1).mean() for a, b in pairs])
    torch.testing.assert_close(distance(output, [0, 2]), expected, rtol=1e-3, atol=1e-3)
    perfect = Output(output.target_NF.clone().requires_grad_(), *list(vars(output).values())[1:4])
    (slope,) = torch.autograd.grad(distance(perfect, [0, 1, 2]).sum(), perfect.reconstruction_NF)
    assert (slope == 0).all()


def test_kl_equals_torchs_of_jets_and_of_nodes():
    mu, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mu, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(5, 3), torch.ones(5, 3))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    jets = outputs([2, 1, 0, 2])
    nodes = dataclasses.replace(
        jets, mu=mu, log_variance=log_variance, latent=mu, latent_ptr=jets.ptr
    )
    torch.testing.assert_close(kl(dataclasses.replace(nodes, latent_ptr=None)), expected)
    means = [expected[:2].mean(), expected[2], torch.tensor(0.0), expected[3:].mean()]
    torch.testing.assert_close(kl(nodes), torch.stack(means))
    same = dataclasses.replace(nodes, mu=mu * 0, log_variance=mu * 0)
    assert (kl(same) == 0).all()

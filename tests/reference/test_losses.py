import torch

from raybead.losses import chamfer, mse
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

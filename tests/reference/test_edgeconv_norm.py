"""Batch norm over pairs against torch-geometric's EdgeConv with the same network."""

import pytest
import torch
from torch_geometric.nn import EdgeConv

from raybead.graphs import JetBatch
from raybead.models import AllPairsEdgeConv, pair_kernel, pair_tiles


def jets_of(sizes, dtype):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(sizes)
    zeros = torch.zeros(len(sizes), dtype=torch.long)
    x = torch.randn(int(sizes.sum()), 3, generator=generator, dtype=dtype)
    return JetBatch(
        x, torch.cat([zeros[:1], sizes.cumsum(0)]), torch.zeros(len(sizes), 4), zeros, zeros, sizes
    )


def both(widths, dtype, **choices):
    """Our layer and theirs with equal weights, scales of either sign among them."""
    torch.manual_seed(1)
    ours = AllPairsEdgeConv(3, widths, norm="batch", **choices).to(dtype)
    for layer in ours.nn:
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    theirs = EdgeConv(
        AllPairsEdgeConv(3, widths, norm="batch", **choices).nn.to(dtype),
        aggr=choices["aggregation"],
    )
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def compare(ours, theirs, jets, rtol, atol):
    """Outputs, gradients, and what a step of training left in the norms."""
    kinds = [next(layer.parameters()).dtype for layer in (ours, theirs)]
    inputs = [jets.x_TF.to(kind, copy=True).requires_grad_() for kind in kinds]
    outputs = ours(inputs[0], jets.ptr), theirs(inputs[1], jets.edge_index())
    torch.testing.assert_close(*outputs, rtol=rtol, atol=atol, check_dtype=False)
    weight = torch.randn_like(outputs[0])
    grads = [
        torch.autograd.grad((output * weight).sum(), [x, *layer.parameters()])
        for output, x, layer in zip(outputs, inputs, (ours, theirs), strict=True)
    ]
    for mine, reference in zip(*grads, strict=True):
        largest = max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(
            mine, reference, rtol=rtol, atol=atol * largest, check_dtype=False
        )
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        torch.testing.assert_close(mine, value, rtol=rtol, atol=atol, check_dtype=False)


@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("widths", [(8, 4), (6, 5, 4, 3)])
def test_training_and_evaluation_equal(widths, last_relu, aggregation, monkeypatch):
    monkeypatch.setattr(pair_tiles, "PAIRS_ON_CPU", 700)
    ours, theirs = both(widths, torch.float64, last_relu=last_relu, aggregation=aggregation)
    jets = jets_of([1, 2, 40, 17, 0, 17, 3], torch.float64)
    for _ in range(2):  # running statistics come from more than one step
        compare(ours, theirs, jets, 1e-9, 1e-10)
    compare(ours.eval(), theirs.eval(), jets, 1e-9, 1e-10)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_a_single_layer(aggregation):
    ours, theirs = both((6,), torch.float64, last_relu=True, aggregation=aggregation)
    jets = jets_of([4, 1, 7], torch.float64)
    compare(ours, theirs, jets, 1e-9, 1e-10)
    compare(ours.eval(), theirs.eval(), jets, 1e-9, 1e-10)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_the_compiled_kernel_equals(aggregation):
    assert pair_kernel.COMPILED
    ours, theirs = both((16, 16, 4), torch.float32, last_relu=True, aggregation=aggregation)
    jets = jets_of([1, 2, 40, 17, 0, 17, 3, 60, 1], torch.float32)
    # In double precision: torch's batch norm over edges loses three digits in single.
    theirs.double()
    compare(ours, theirs, jets, 1e-5, 1e-5)
    compare(ours.eval(), theirs.eval(), jets, 1e-5, 1e-5)

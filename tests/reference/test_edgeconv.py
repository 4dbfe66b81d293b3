"""The all-pairs EdgeConv against torch-geometric's on complete graphs."""

from itertools import pairwise

import pytest
import torch
from torch_geometric.nn import EdgeConv

from raybead.config import NodeBottleneckModel
from raybead.graphs import JetBatch
from raybead.models import AllPairsEdgeConv, NodeBottleneck, pair_kernel, pair_tiles


def jets_of(sizes, features=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(sizes)
    zeros = torch.zeros(len(sizes), dtype=torch.long)
    x = torch.randn(int(sizes.sum()), features, generator=generator, dtype=dtype)
    ptr = torch.cat([zeros[:1], sizes.cumsum(0)])
    return JetBatch(x, ptr, torch.zeros(len(sizes), 4), zeros, zeros, sizes)


@pytest.fixture(params=["compiled", "tiles"])
def pairs_by(request, monkeypatch):
    """Both ways to sum over pairs, each with jets larger than what it takes at a time."""
    assert pair_kernel.COMPILED, "gcc and Python's headers are there, so the kernel has to be"
    monkeypatch.setattr(pair_kernel, "COMPILED", request.param == "compiled")
    monkeypatch.setattr(pair_tiles, "PAIRS_ON_CPU", 700)


@pytest.mark.usefixtures("pairs_by")
@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("widths", [(16, 4), (32, 32, 2), (8, 17, 3, 1), (64, 31)])
def test_outputs_and_gradients_equal(widths, last_relu, aggregation):
    jets = jets_of([1, 2, 40, 17, 0, 17, 3, 60, 1])
    torch.manual_seed(1)
    ours = AllPairsEdgeConv(3, widths, last_relu=last_relu, aggregation=aggregation)
    theirs = EdgeConv(AllPairsEdgeConv(3, widths, last_relu=last_relu).nn, aggr=aggregation)
    theirs.load_state_dict(ours.state_dict())
    inputs = [jets.x_TF.clone().requires_grad_() for _ in range(2)]
    outputs = ours(inputs[0], jets.ptr), theirs(inputs[1], jets.edge_index())
    scale = float(outputs[1].detach().abs().max())
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5 * scale)
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    pairs = [(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    for mine, reference in [(inputs[0].grad, inputs[1].grad), *pairs]:
        largest = float(reference.abs().max())
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5 * largest)


def test_gradients_in_double_precision():
    layer = AllPairsEdgeConv(2, (5, 4, 3), last_relu=True).double()
    jets = jets_of([1, 4, 3], features=2, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        parameters = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(layer, parameters, (x, jets.ptr))

    inputs = (jets.x_TF.requires_grad_(), *layer.parameters())
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.usefixtures("pairs_by")
def test_a_lonely_node_gets_zeros():
    layer = AllPairsEdgeConv(3, (8, 2), last_relu=False)
    assert (layer(torch.randn(3, 3), torch.arange(4)) == 0).all()


@pytest.mark.parametrize("widths", [(7,), (7, 9), (33, 14, 5)])
def test_kernel_exact_on_integers(widths, monkeypatch):
    """Small integers are exact in any order of sums, and lie on the ReLU's kink or far from it.

    Many jets on several threads: chunks of nodes, rows cut between blocks, carried sums.
    """
    generator = torch.Generator().manual_seed(3)

    def integers(*shape):
        return torch.randint(-2, 3, shape, generator=generator).float()

    sizes = [*torch.randint(0, 90, (100,), generator=generator).tolist(), 700]
    ptr = jets_of(sizes).ptr
    nodes = int(ptr[-1])
    inputs = [integers(nodes, widths[0]) for _ in range(2)]
    weights = [
        tensor.clamp(-1, 1)
        for inside, outside in pairwise(widths)
        for tensor in (integers(outside, inside), integers(outside))
    ]
    grad = integers(nodes, widths[-1])
    double = [tensor.double() for tensor in (*inputs, *weights)]
    expected = [
        pair_tiles.sums(*double[:2], ptr, double[2:]),
        *pair_tiles.sums_backward(grad.double(), *double[:2], ptr, double[2:]),
    ]
    assert max(float(tensor.abs().max()) for tensor in expected) < 2**24
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        mine = [
            pair_kernel.sums(*inputs, ptr, weights),
            *pair_kernel.sums_backward(grad, *inputs, ptr, weights),
        ]
        for ours, reference in zip(mine, expected, strict=True):
            assert torch.equal(ours.double(), reference)


def test_a_nan_is_not_swallowed():
    x = torch.randn(12, 7)
    x[3, 2] = torch.nan
    weights = [torch.randn(9, 7), torch.randn(9)]
    ptr = torch.tensor([0, 5, 12])
    out = pair_kernel.sums(x, x, ptr, weights)
    assert out[:5].isnan().any(dim=1).all()
    assert out[5:].isfinite().all()


def test_edgenet_takes_weights_of_torch_geometric_layers():
    torch.manual_seed(2)
    config = NodeBottleneckModel(kind="node-bottleneck", input_norm="batch")
    net = NodeBottleneck(config, 3).eval()
    encoder, decoder = (
        EdgeConv(stack.layers[0].conv.nn, aggr="mean") for stack in (net.encoder, net.decoder)
    )
    jets = jets_of([30, 12, 5])
    edges = jets.edge_index()
    with torch.no_grad():
        expected = decoder(encoder(net.norm(jets.x_TF), edges), edges)
        torch.testing.assert_close(net(jets).reconstruction_NF, expected, rtol=1e-5, atol=1e-6)


def test_to_pyg_gives_the_same_graphs():
    jets = jets_of([4, 2])
    data = jets.to_pyg()
    assert data.num_graphs == 2
    assert data.batch.tolist() == [0, 0, 0, 0, 1, 1]
    assert data.edge_index.shape == (2, 4 * 3 + 2)

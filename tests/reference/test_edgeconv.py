"""The all-pairs EdgeConv against torch-geometric's on complete graphs."""

import pytest
import torch
from torch_geometric.nn import EdgeConv

import raybead.models.edgeconv as edgeconv
from raybead.config import EdgeNetModel
from raybead.graphs import JetBatch
from raybead.models import AllPairsEdgeConv, EdgeNet


def jets_of(sizes, features=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(sizes)
    zeros = torch.zeros(len(sizes), dtype=torch.long)
    x = torch.randn(int(sizes.sum()), features, generator=generator, dtype=dtype)
    ptr = torch.cat([zeros[:1], sizes.cumsum(0)])
    return JetBatch(x, ptr, torch.zeros(len(sizes), 4), zeros, zeros, sizes)


@pytest.mark.parametrize("aggregation", ["mean", "sum"])
@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("widths", [(16, 4), (32, 32, 2), (8, 16, 8, 3)])
def test_outputs_and_gradients_equal(widths, last_relu, aggregation, monkeypatch):
    monkeypatch.setattr(edgeconv, "PAIRS_ON_CPU", 700)  # large jets then take several tiles
    jets = jets_of([1, 2, 40, 17, 17, 3, 60])
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


def test_a_lonely_node_gets_zeros():
    layer = AllPairsEdgeConv(3, (8, 2), last_relu=False)
    assert (layer(torch.randn(3, 3), torch.arange(4)) == 0).all()


def test_edgenet_takes_weights_of_torch_geometric_layers():
    torch.manual_seed(2)
    net = EdgeNet(EdgeNetModel(kind="edgenet"), 3).eval()
    encoder, decoder = EdgeConv(net.encoder.nn, aggr="mean"), EdgeConv(net.decoder.nn, aggr="mean")
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

"""The all-pairs EdgeConv against torch-geometric's on complete graphs."""

import copy
from itertools import pairwise

import pytest
import torch
from torch_geometric.nn import EdgeConv

from raybead.config import NodeBottleneckModel
from raybead.graphs import JetBatch
from raybead.models import AllPairsEdgeConv, Inputs, NodeBottleneck, pair_kernel, pair_tiles


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
    with torch.inference_mode():  # past torch's registry of operators
        assert torch.equal(ours(jets.x_TF, jets.ptr), outputs[0])
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    pairs = [(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    for mine, reference in [(inputs[0].grad, inputs[1].grad), *pairs]:
        largest = float(reference.abs().max())
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_gradients_in_double_precision(aggregation, norm):
    torch.manual_seed(4)
    layer = AllPairsEdgeConv(2, (3, 3, 2), last_relu=True, aggregation=aggregation, norm=norm)
    layer.double()
    jets = jets_of([1, 3, 2], features=2, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        parameters = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(layer, parameters, (x, jets.ptr))

    inputs = (jets.x_TF.requires_grad_(), *layer.parameters())
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("last_relu", [True, False])
def test_maximum_over_a_single_layer(last_relu):
    jets = jets_of([5, 1, 7], dtype=torch.float64)
    layer = AllPairsEdgeConv(3, (6,), last_relu=last_relu, aggregation="max").double()
    theirs = EdgeConv(layer.nn, aggr="max")
    inputs = [jets.x_TF.clone().requires_grad_() for _ in range(2)]
    outputs = layer(inputs[0], jets.ptr), theirs(inputs[1], jets.edge_index())
    torch.testing.assert_close(outputs[0], outputs[1])
    grads = [
        torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
        for output, x in zip(outputs, inputs, strict=True)
    ]
    torch.testing.assert_close(*grads)


def test_a_mean_over_a_single_linear_layer_is_refused():
    layer = AllPairsEdgeConv(3, (6,), last_relu=False)
    with pytest.raises(ValueError, match="no non-linearity"):
        layer(torch.zeros(2, 3), torch.tensor([0, 2]))


LAYERS = [
    pytest.param(aggregation, norm, last_relu, id=f"{aggregation}-{norm}-{last_relu}")
    for aggregation in ("mean", "sum", "max")
    for norm in ("none", "batch")
    for last_relu in (True, False)
]


@pytest.mark.usefixtures("pairs_by")
@pytest.mark.parametrize(("aggregation", "norm", "last_relu"), LAYERS)
def test_a_lonely_node_gets_zeros(aggregation, norm, last_relu):
    layer = AllPairsEdgeConv(3, (8, 2), last_relu=last_relu, aggregation=aggregation, norm=norm)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(3, 3, requires_grad=True)
    out = layer(x, torch.arange(4))
    out.sum().backward()
    assert (out == 0).all()
    assert (x.grad == 0).all()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


@pytest.mark.usefixtures("pairs_by")
@pytest.mark.parametrize("ptr", [[0], [0, 0], [0, 0, 0, 0]])
@pytest.mark.parametrize(("aggregation", "norm", "last_relu"), LAYERS)
def test_no_nodes_at_all(aggregation, norm, last_relu, ptr):
    layer = AllPairsEdgeConv(3, (8, 2), last_relu=last_relu, aggregation=aggregation, norm=norm)
    x = torch.zeros(0, 3, requires_grad=True)
    out = layer(x, torch.tensor(ptr))
    out.sum().backward()
    assert out.shape == (0, 2)
    assert x.grad.shape == (0, 3)
    assert all(
        (weight.grad == 0).all() for weight in layer.parameters() if weight.grad is not None
    )


@pytest.mark.usefixtures("pairs_by")
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_each_jet_is_by_itself(aggregation):
    """Jets of 0, 1, 2 and 700 nodes, one by one and side by side, laid out and counted anyhow."""
    jets = jets_of([0, 2, 700, 1, 0, 3, 0])
    layer = AllPairsEdgeConv(3, (16, 8), last_relu=True, aggregation=aggregation)
    whole = layer(jets.x_TF, jets.ptr)
    strided = jets.x_TF.repeat_interleave(2, dim=1)[:, ::2]
    assert not strided.is_contiguous()
    assert torch.equal(layer(strided, jets.ptr.int()), whole)
    for start, stop in pairwise(jets.ptr.tolist()):
        alone = layer(jets.x_TF[start:stop], torch.tensor([0, stop - start]))
        torch.testing.assert_close(alone, whole[start:stop], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("pairs_by")
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_modes_of_torch_change_nothing(aggregation):
    jets = jets_of([4, 30, 2])
    layer = AllPairsEdgeConv(3, (16, 8), last_relu=True, aggregation=aggregation)
    plain = layer(jets.x_TF, jets.ptr)
    plain.sum().backward()
    grads = [weight.grad.clone() for weight in layer.parameters()]
    layer.zero_grad()
    with torch.inference_mode():
        assert torch.equal(layer(jets.x_TF, jets.ptr), plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(jets.x_TF, jets.ptr)
    out.sum().backward()
    assert torch.equal(out, plain)
    assert all(
        torch.equal(weight.grad, grad)
        for weight, grad in zip(layer.parameters(), grads, strict=True)
    )


@pytest.mark.parametrize("widths", [(7,), (7, 9), (33, 14, 5)])
def test_kernel_exact_on_integers(widths, monkeypatch):
    """Small integers are exact in any order of sums, and lie on the ReLU's kink or far from it.

    Many jets on several threads: chunks of nodes, rows cut between blocks, carried sums. Equal
    maxima abound, too: the first of them counts.
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
    # One node in 16 has a gradient of its squares, or the sums would outgrow single precision.
    rare = (torch.arange(nodes) % 16 == 0)[:, None]
    grad_of_squares = integers(nodes, widths[-1]).clamp(-1, 1) * rare
    grads = [integers(nodes, widths[-1])]
    grads.append(torch.cat([grads[0], grad_of_squares], dim=1))

    def reduced(by, dtype):
        args = [tensor.to(dtype) for tensor in inputs], [tensor.to(dtype) for tensor in weights]
        return [
            by.sums(*args[0], ptr, args[1]),
            by.sums(*args[0], ptr, args[1], True),
            *by.maxima(*args[0], ptr, args[1]),
            *(
                found
                for grad in grads
                for found in by.sums_backward(grad.to(dtype), *args[0], ptr, args[1])
            ),
        ]

    expected = reduced(pair_tiles, torch.float64)
    assert max(float(tensor.abs().max()) for tensor in expected) < 2**24
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        for ours, reference in zip(reduced(pair_kernel, torch.float32), expected, strict=True):
            assert torch.equal(ours.to(reference.dtype), reference)


@pytest.mark.parametrize("sizes", [[5, 7], [400, 90]])
def test_a_nan_is_not_swallowed(sizes):
    jets = jets_of(sizes, features=7)
    jets.x_TF[3, 2] = torch.nan
    weights = [torch.randn(9, 7), torch.randn(9)]
    summed = pair_kernel.sums(jets.x_TF, jets.x_TF, jets.ptr, weights)
    largest, best = pair_kernel.maxima(jets.x_TF, jets.x_TF, jets.ptr, weights)
    for out in (summed, largest):
        assert out[: sizes[0]].isnan().all(dim=1).all()
        assert out[sizes[0] :].isfinite().all()
    others = torch.arange(sizes[0]) != 3
    assert (best[: sizes[0]][others] == 3).all()


@pytest.mark.parametrize(("aggregation", "norm"), [("mean", "none"), ("max", "batch")])
def test_compiled_by_torch(aggregation, norm):
    """One graph, whatever the jets; "aot_eager" is all of torch.compile but its code generator."""
    torch.manual_seed(6)
    torch._dynamo.reset()
    net = Scorer(AllPairsEdgeConv(3, (8, 4), last_relu=True, aggregation=aggregation, norm=norm))
    compiled = torch.compile(copy.deepcopy(net), fullgraph=True, dynamic=True, backend="aot_eager")
    for sizes in ([3, 5, 1, 9], [2, 7, 4, 4, 0, 30]):
        jets = jets_of(sizes)
        found = []
        for model in (net, compiled):
            x = jets.x_TF.clone().requires_grad_()
            out = model(x, jets.ptr)
            found.append([out, *torch.autograd.grad(out.square().sum(), [x, *model.parameters()])])
        torch.testing.assert_close(*found)
        for mine, theirs in zip(net.buffers(), compiled.buffers(), strict=True):
            torch.testing.assert_close(mine, theirs)


class Scorer(torch.nn.Module):
    """A small model around the layer."""

    def __init__(self, edges):
        super().__init__()
        self.edges = edges
        self.last = torch.nn.Linear(4, 1)

    def forward(self, x, ptr):
        return self.last(torch.tanh(self.edges(x, ptr))).squeeze(1)


def test_an_operator_of_torch_in_good_order():
    jets = jets_of([3, 1, 6], features=5)
    a, b = (jets.x_TF.clone().requires_grad_() for _ in range(2))
    inner = [torch.randn(4, 5, requires_grad=True), torch.randn(4, requires_grad=True)]
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    for squares in (False, True):
        args = (a, b, jets.ptr, inner, squares)
        torch.library.opcheck(torch.ops.raybead.pair_sum, args, test_utils=checks)
    args = (a, b, jets.ptr, inner)
    torch.library.opcheck(torch.ops.raybead.pair_max, args, test_utils=checks)


def test_edgenet_takes_weights_of_torch_geometric_layers():
    torch.manual_seed(2)
    config = NodeBottleneckModel(kind="node-bottleneck", input_norm="batch")
    net = NodeBottleneck(config, Inputs(3)).eval()
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

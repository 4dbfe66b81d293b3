"""What every model has to pass, by being among the presets."""

import pytest
import torch
from pydantic import TypeAdapter

from raybead.config import MODEL_PRESETS, Efps, Graph, Model
from raybead.graphs import JetBatch, Scaling
from raybead.losses import mse
from raybead.models import Bundle, Inputs, Recipe, build_model
from raybead.storage import Folder

FEATURES = 3
GRAPH = Graph(efps=Efps(n=2, d=2))
EFPS = 3
"""The polynomials of these: of a vertex, and of one and two edges."""
ORDERED = {name for name, of in MODEL_PRESETS.items() if of.get("layer") in ("dense", "conv")}
"""Models that see which constituent is which: not the same for another order of nodes."""


def config_of(preset):
    return TypeAdapter(Model).validate_python({"preset": preset})


def net_of(preset):
    return build_model(config_of(preset), Inputs(FEATURES, efps=EFPS))


def jets_of(sizes, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(sizes)
    n = len(sizes)
    return JetBatch(
        x_TF=torch.randn(int(sizes.sum()), FEATURES, generator=generator, dtype=dtype),
        ptr=torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]),
        p4_B4=torch.randn(n, 4, generator=generator),
        event_B=torch.arange(n),
        rank_B=torch.zeros(n, dtype=torch.long),
        n_constituents_B=sizes,
        efps_BJE=torch.randn(n, 1, EFPS, generator=generator, dtype=dtype),
        has_jet_BJ=torch.ones(n, 1, dtype=torch.bool),
    )


@pytest.fixture(params=MODEL_PRESETS)
def preset(request):
    return request.param


@pytest.fixture
def net(preset):
    torch.manual_seed(1)
    net = net_of(preset)
    net(jets_of([20, 30, 9, 4], seed=9))  # batch norms have seen something
    return net.eval()


def reconstructions(net, jets):
    """Jet by jet, with gradients off."""
    with torch.inference_mode():
        output = net(jets)
    return [
        output.reconstruction_NF[a:b] for a, b in zip(output.ptr[:-1], output.ptr[1:], strict=True)
    ]


def test_a_batch_equals_its_jets_one_by_one_in_any_order(net):
    jets = jets_of([1, 5, 40, 5, 2, 31])
    together = reconstructions(net, jets)
    backwards = torch.arange(len(jets)).flip(0)
    shuffled = reconstructions(net, jets.select(backwards))[::-1]
    for b in range(len(jets)):
        alone = reconstructions(net, jets.select(torch.tensor([b])))[0]
        torch.testing.assert_close(together[b], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(shuffled[b], alone, rtol=1e-4, atol=1e-5)


def test_the_order_of_nodes_does_not_matter(net, preset):
    jets = jets_of([17])
    order = torch.randperm(17, generator=torch.Generator().manual_seed(3))
    turned = JetBatch(**{**vars(jets), "x_TF": jets.x_TF[order]})
    with torch.inference_mode():
        before, after = net(jets), net(turned)
    of_nodes = before.latent_ptr is not None
    if of_nodes:
        aim = before.reconstruction_NF[order], before.latent[order]
    else:  # what comes out has slots of its own
        aim = before.reconstruction_NF, before.latent
    same = all(
        torch.allclose(mine, theirs, rtol=1e-3, atol=1e-4)
        for mine, theirs in zip((after.reconstruction_NF, after.latent), aim, strict=True)
    )
    assert same == (preset not in ORDERED)


def test_saved_and_loaded_it_gives_the_same_bits(net, preset, tmp_path):
    jets = jets_of([6, 9])
    recipe = Recipe(graph=GRAPH, model=config_of(preset), loss={"kind": "mse"})
    folder = Folder.at(str(tmp_path / "model"))
    scaling = Scaling.fit(GRAPH, jets.x_TF, jets.efps_NE.abs())
    Bundle(recipe, scaling, net.state_dict(), {}).save(folder)
    loaded = Bundle.load(folder)
    assert loaded.recipe == recipe
    for mine, theirs in zip(
        reconstructions(loaded.model(), jets), reconstructions(net, jets), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("training", [True, False])
def test_a_worker_may_have_no_item(net, training):
    """As where a batch has fewer items than there are workers."""
    output = net.train(training)(jets_of([4, 2]).select(torch.arange(0)))
    assert output.reconstruction_NF.shape == output.target_NF.shape == (0, FEATURES)
    assert output.ptr.tolist() == [0]


def test_every_parameter_gets_a_gradient(preset):
    torch.manual_seed(1)
    net = net_of(preset).train()
    output = net(jets_of([8, 19, 10, 7] * 8))
    loss_B = mse(output)
    if output.mu is not None:
        loss_B = loss_B + output.log_variance.square().mean() + output.mu.square().mean()
    if output.log_det_B is not None:
        loss_B = loss_B - 0.1 * output.log_det_B
    loss_B.mean().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [1, 2, 700])
def test_jets_of_extreme_size(net, size):
    jets = jets_of([size, 12])
    output = net(jets)
    assert output.reconstruction_NF.shape == output.target_NF.shape
    loss_B = mse(output)
    loss_B.sum().backward()
    assert loss_B.isfinite().all()
    assert all(
        weight.grad.isfinite().all() for weight in net.parameters() if weight.grad is not None
    )


def test_reduced_precision_is_close_and_trains(net):
    jets = jets_of([12, 30, 7])
    with torch.no_grad():
        exact = mse(net(jets))
    with torch.autocast("cpu", torch.bfloat16):
        output = net(jets)
    loss_B = mse(output)
    assert loss_B.dtype == torch.float32
    torch.testing.assert_close(loss_B, exact, rtol=0.05, atol=0.02)
    loss_B.sum().backward()
    assert all(
        weight.grad.isfinite().all() for weight in net.parameters() if weight.grad is not None
    )


def test_double_precision_agrees_and_its_gradient_is_that_of_differences(net):
    jets = jets_of([3, 5], dtype=torch.float64)
    single = mse(net(JetBatch(**{**vars(jets), "x_TF": jets.x_TF.float()})))
    net.double()
    double = mse(net(jets))
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)
    weight = next(net.parameters())
    (slope,) = torch.autograd.grad(double.sum(), weight)
    step = torch.zeros_like(weight)
    largest = int(slope.abs().argmax())
    step.flatten()[largest] = 1e-6
    with torch.no_grad():
        weight += step
        above = mse(net(jets)).sum()
        weight -= 2 * step
        below = mse(net(jets)).sum()
    torch.testing.assert_close(
        (above - below) / 2e-6, slope.flatten()[largest], rtol=1e-4, atol=1e-8
    )


def test_the_same_seed_gives_the_same_training_step(preset):
    results = []
    for _ in range(2):
        torch.manual_seed(4)
        net = net_of(preset).train()
        mse(net(jets_of([8, 19]))).sum().backward()
        results.append(
            torch.cat([w.grad.flatten() for w in net.parameters() if w.grad is not None])
        )
    assert torch.equal(*results)


def test_message_passing_equals_torch_geometrics_on_complete_graphs():
    from torch_geometric.nn import MetaLayer
    from torch_geometric.utils import scatter

    torch.manual_seed(2)
    net = net_of("meta-layer").eval()
    jets = jets_of([1, 9, 4])

    class Edges(torch.nn.Module):
        def __init__(self, ours):
            super().__init__()
            self.ours = ours

        def forward(self, src, dest, _, u, batch):
            parts = [dest, src] if u is None else [dest, src, u[batch]]
            return self.ours.second(self.ours.first(torch.cat(parts, dim=1)).relu()).relu()

    class Nodes(torch.nn.Module):
        def __init__(self, ours):
            super().__init__()
            self.ours = ours

        def forward(self, x, edge_index, edge_attr, u, batch):
            mean = scatter(edge_attr, edge_index[1], dim=0, dim_size=len(x), reduce="mean")
            return self.ours(torch.cat([x, mean] if u is None else [x, mean, u[batch]], dim=1))

    class Global(torch.nn.Module):
        def forward(self, x, _edges, _attributes, _u, batch):
            return net.global_in(scatter(x, batch, dim=0, dim_size=len(jets), reduce="mean"))

    edges, batch = jets.edge_index(), jets.jet_of_node()
    with torch.inference_mode():
        there = MetaLayer(Edges(net.edges_in), Nodes(net.nodes_in), Global())
        z, _, u = there(net.norm(jets.x_TF), edges, batch=batch)
        back = MetaLayer(Edges(net.edges_out), Nodes(net.nodes_out))
        expected, _, _ = back(z, edges, u=u, batch=batch)
        output = net(jets)
    torch.testing.assert_close(output.latent, z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.reconstruction_NF, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "widths"),
    [
        ("ae", [(3, 32, 32, 2), (2, 32, 32, 3)]),
        ("edgenet", [(6, 32, 32, 2), (4, 32, 32, 3)]),
        ("edgenet-vae", [(6, 32, 32), (4, 32, 32, 3)]),
        ("edgenet-deeper", [(6, 32, 32, 32), (64, 32, 32, 2), (4, 32, 32, 32), (64, 32, 32, 3)]),
        (
            "edgenet-deeper2",
            [(6, 64, 64, 64), (128, 32, 32, 2), (4, 32, 32, 64), (128, 64, 64, 3)],
        ),
        (
            "edgenet-deeper3",
            [
                *((6, 32, 32, 32), (64, 32, 32, 32), (64, 32, 32, 2)),
                *((4, 32, 32, 32), (64, 32, 32, 32), (64, 32, 32, 3)),
            ],
        ),
        ("edgenet-deeper4", [(6, 32, 32, 32), (64, 16, 16, 2), (4, 32, 32, 3)]),
        ("edgenet-deeper5", [(6, 32, 32, 32, 2), (4, 32, 32, 32, 3)]),
        ("edgenet-embed", [(3, 32, 32, 32), (64, 32, 32, 2), (4, 32, 32, 32), (32, 32, 32, 3)]),
        ("edgenet-dynamic", [(6, 32, 32, 2), (4, 32, 32, 3)]),
    ],
)
def test_presets_have_the_published_widths(preset, widths):
    net = net_of(preset)
    chains = []
    for stack in (net.embed, *net.encoder.layers, *net.decoder.layers, net.unembed):
        linears = [layer for layer in stack.modules() if isinstance(layer, torch.nn.Linear)]
        if linears:
            chains.append((linears[0].in_features, *(layer.out_features for layer in linears)))
    assert chains == widths

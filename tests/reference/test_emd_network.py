"""The network of the energy mover's distance against loops, torch-geometric and scipy."""

import math

import numpy as np
import pytest
import torch
from jet_clouds import changed, clouds_of
from scipy.stats import wasserstein_distance
from torch_geometric.nn import EdgeConv

from raybead.config import Emd
from raybead.models.emd_network import EmdNetwork, pair_graph, sliced_of
from raybead.models.neighbour_conv import NeighbourEdgeConv
from raybead.models.neighbours import nearest_neighbours
from raybead.models.sliced import DIRECTIONS
from raybead.observables import energy_movers_distance

SIZES = [1, 2, 5, 21, 12, 7, 40, 3, 9, 30]
OTHERS = [3, 1, 6, 18, 30, 7, 1, 2, 9, 30]


@pytest.mark.parametrize("widths", [(8,), (16, 5), (7, 9, 4)])
@pytest.mark.parametrize("sizes", [[1, 2, 40, 17, 3], [20, 30]], ids=["ragged", "even"])
def test_the_layer_is_torch_geometrics(widths, sizes):
    jets = clouds_of(sizes, dtype=torch.float32)
    x = torch.stack([jets.pt_N, jets.eta_N, jets.phi_N], dim=1)
    edges = nearest_neighbours(x, jets.ptr, 16)
    torch.manual_seed(1)
    ours = NeighbourEdgeConv(3, widths)
    theirs = EdgeConv(NeighbourEdgeConv(3, widths).nn, aggr="mean")
    theirs.load_state_dict(ours.state_dict())
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = ours(inputs[0], edges), theirs(inputs[1], edges)
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)
    for output in outputs:
        (output * torch.arange(output.numel()).view_as(output)).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-3, atol=1e-1)
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        scale = float(reference.grad.abs().max())
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-3, atol=1e-4 * scale)


def particles_of(clouds, jet):
    own = slice(int(clouds.ptr[jet]), int(clouds.ptr[jet + 1]))
    return [x[own].tolist() for x in (clouds.pt_N, clouds.eta_N, clouds.phi_N)]


def slow_distance(net, ours, theirs):
    """One pair of lists (pt, eta, phi), particle by particle and edge by edge."""
    config = net.config
    centres, shares = [], []
    for pt, eta, phi in (ours, theirs):
        share = [p / sum(pt) for p in pt]
        angle = math.atan2(
            sum(s * math.sin(f) for s, f in zip(share, phi, strict=True)),
            sum(s * math.cos(f) for s, f in zip(share, phi, strict=True)),
        )
        centres.append((sum(s * e for s, e in zip(share, eta, strict=True)), angle))
        shares.append(share)
    turn = math.remainder(centres[1][1] - centres[0][1], 2 * math.pi)
    middle = (centres[0][0] + centres[1][0]) / 2, centres[0][1] + turn / 2
    nodes = []
    for share, (_, eta, phi), flag in zip(shares, (ours, theirs), (1.0, -1.0), strict=True):
        for s, e, f in zip(share, eta, phi, strict=True):
            place = (e - middle[0], math.remainder(f - middle[1], 2 * math.pi))
            nodes.append((s, *(x / config.radius for x in place), flag))
    sliced = 0.0
    for direction in range(DIRECTIONS):
        angle = math.pi * direction / DIRECTIONS
        along = [math.cos(angle) * e + math.sin(angle) * f for _, e, f, _ in nodes]
        n = len(shares[0])
        sliced += wasserstein_distance(along[:n], along[n:], *shares)
    sliced *= math.pi / 2 / DIRECTIONS
    spread = math.sqrt(sum(s * (e * e + f * f) for s, e, f, _ in nodes) / 2 + 1e-8)
    numbers = []
    for sign in (1.0, -1.0):
        inputs = torch.tensor(
            [
                [10 * s, *(min(10.0, max(-10.0, x / spread)) for x in (e, f)), sign * flag]
                for s, e, f, flag in nodes
            ],
            dtype=torch.float64,
        )
        x = inputs
        for place, conv in enumerate(net.convs):
            if place > 0:
                x = torch.cat([x, inputs], dim=1)
            rows = []
            for i in range(len(x)):
                apart = [(float((x[j] - x[i]).square().sum()), j) for j in range(len(x))]
                near = [j for _, j in sorted(apart)[: config.neighbours]]
                messages = [conv.nn(torch.cat([x[i], x[j] - x[i]])) for j in near]
                rows.append(torch.stack(messages).mean(dim=0))
            x = torch.stack(rows)
        pooled = x.mean(dim=0)
        if config.total_pt:
            totals = [sum(ours[0]) / 100, sum(theirs[0]) / 100]
            pooled = torch.cat([pooled, torch.tensor(totals[:: int(sign)], dtype=torch.float64)])
        numbers.append(float(net.head(pooled)))
    h = sum(numbers) / 2
    match config.output:
        case "free":
            return sliced * (1 + h)
        case "softplus":
            return sliced * math.log(1 + math.exp(h + math.log(math.e - 1)))
        case _:
            return sliced * max(0.0, 1 + h)


@pytest.mark.parametrize("total_pt", [False, True])
@pytest.mark.parametrize("output", ["free", "softplus", "relu"])
def test_equals_a_loop_over_particles_and_edges(output, total_pt):
    torch.manual_seed(3)
    config = Emd(
        output=output, total_pt=total_pt, widths=(6, 8, 5), head=7, edge_layers=2, neighbours=5,
        radius=0.8,
    )  # fmt: skip
    net = EmdNetwork(config).double()
    with torch.no_grad():  # so that what the network says is seen, and not s alone
        net.head[-1].weight *= 5
        # Jets about the border of phi, the second a little off.
        ours, theirs = clouds_of(SIZES, 1, phi=3.1), clouds_of(OTHERS, 2, phi=-3.0)
        found = net(ours, theirs)
        expected = [
            slow_distance(net, particles_of(ours, jet), particles_of(theirs, jet))
            for jet in range(len(SIZES))
        ]
        ratio = found / sliced_of(pair_graph(ours, theirs, 0.8))
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-9, atol=1e-12)
    assert ratio.std() > 0.005


def test_the_sliced_distance_is_that_of_a_shift_and_below_the_exact_one():
    ours = clouds_of(SIZES, 1, phi=2.0)
    shift = torch.tensor([0.03, -0.05]).double()
    moved = changed(ours, eta_N=ours.eta_N + shift[0], phi_N=ours.phi_N + shift[1])
    found = sliced_of(pair_graph(ours, moved, 1.0))
    expected = torch.full_like(found, float(shift.norm()))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)
    theirs = clouds_of(OTHERS, 2, phi=2.1)
    sliced = sliced_of(pair_graph(ours, theirs, 0.5))
    exact = energy_movers_distance(
        *(x.numpy() for jets in (ours, theirs) for x in vars(jets).values()), radius=0.5
    )
    assert (sliced.numpy() < 1.02 * exact).all()
    assert np.corrcoef(sliced.numpy(), exact)[0, 1] > 0.95

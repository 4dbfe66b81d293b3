"""The transformer's block against torch's own, and its buckets."""

from itertools import pairwise

import pytest
import torch
from test_models import FEATURES, jets_of
from torch import nn

from raybead.config import JetBottleneckModel, NodeBottleneckModel
from raybead.models import Inputs, build_model, transformer
from raybead.models.layers import BlockLayer, Stack, graph_layer
from raybead.models.transformer import TransformerBlock, buckets

SIZES = [3, 0, 17, 16, 1, 30, 17, 9, 0]


def offsets(sizes=SIZES):
    return torch.tensor([0, *sizes]).cumsum(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("heads", [1, 4])
def test_it_is_torchs_encoder_layer_jet_by_jet(heads, dtype):
    torch.manual_seed(0)
    block = TransformerBlock(8, (12,), heads).to(dtype)
    plain = nn.TransformerEncoderLayer(
        8, heads, 12, dropout=0.0, norm_first=True, batch_first=True, dtype=dtype
    )
    theirs = {
        "self_attn.in_proj_weight": block.query_key_value.weight,
        "self_attn.in_proj_bias": block.query_key_value.bias,
        "self_attn.out_proj.weight": block.attention_out.weight,
        "self_attn.out_proj.bias": block.attention_out.bias,
        "linear1.weight": block.feed_forward[0].weight,
        "linear1.bias": block.feed_forward[0].bias,
        "linear2.weight": block.feed_forward[2].weight,
        "linear2.bias": block.feed_forward[2].bias,
        "norm1.weight": block.attention_norm.weight,
        "norm1.bias": block.attention_norm.bias,
        "norm2.weight": block.feed_norm.weight,
        "norm2.bias": block.feed_norm.bias,
    }
    with torch.no_grad():
        for weight in theirs.values():
            weight += 0.3 * torch.randn_like(weight)
    plain.load_state_dict(theirs)
    ptr = offsets()
    x_TW = torch.randn(int(ptr[-1]), 8, dtype=dtype, requires_grad=True)
    found = block(x_TW, ptr)
    jets = [x_TW[a:b] for a, b in pairwise(ptr.tolist()) if b > a]
    aim = torch.cat([plain(jet[None])[0] for jet in jets])
    torch.testing.assert_close(found, aim, rtol=1e-4, atol=1e-5)
    weight = torch.randn_like(aim)
    slopes = [torch.autograd.grad((out * weight).sum(), x_TW)[0] for out in (found, aim)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pairs", [1 << 20, 600, 1])
def test_buckets_hold_every_node_once_and_no_jet_twice(pairs, monkeypatch):
    monkeypatch.setattr(transformer, "PAIRS", pairs)
    ptr = offsets()
    jet_T = torch.repeat_interleave(ptr.diff())
    seen = []
    for nodes, real in buckets(ptr):
        assert (jet_T[nodes] == jet_T[nodes[:, :1]]).all()
        assert real.sum(1).min() > nodes.shape[1] - transformer.STEP
        assert nodes.shape[0] == 1 or nodes.numel() * nodes.shape[1] <= pairs
        seen.append(nodes[real])
    assert torch.cat(seen).sort().values.tolist() == list(range(int(ptr[-1])))


def test_no_nodes_at_all():
    block = TransformerBlock(6, (4,), 4)
    assert block(torch.zeros(0, 6), offsets([0, 0])).shape == (0, 6)


@pytest.mark.parametrize(("inside", "widths"), [(3, (9, 8)), (8, (9, 2)), (6, (6,)), (5, (7, 3))])
def test_a_layer_leads_from_any_width_to_any(inside, widths):
    config = NodeBottleneckModel(kind="node-bottleneck", layer="transformer-block", heads=4)
    torch.manual_seed(0)
    layer = graph_layer(config, inside, widths, last_relu=True)
    assert isinstance(layer, BlockLayer)
    ptr = offsets()
    x = torch.randn(int(ptr[-1]), inside)
    out = layer(x, ptr)
    assert out.shape == (len(x), widths[-1])
    assert bool((out >= 0).all()) == (widths[-1] < inside)
    moved = x.clone()
    moved[int(ptr[2])] += torch.randn(inside)
    linear = graph_layer(config, inside, widths, last_relu=False)
    linear.load_state_dict(layer.state_dict())
    changed = (linear(moved, ptr) != linear(x, ptr)).any(dim=1).nonzero().squeeze(1)
    assert changed.tolist() == list(range(int(ptr[2]), int(ptr[3])))


def test_a_latent_for_every_node_goes_with_blocks():
    """Jet by jet the same as all together, whatever the number of a node's features."""
    config = NodeBottleneckModel(
        kind="node-bottleneck", layer="transformer-block", embedding=(8,), encoder=((16, 8),)
    )
    torch.manual_seed(0)
    net = build_model(config, Inputs(FEATURES)).eval()
    jets = jets_of([12, 3, 30])
    whole = net(jets)
    assert whole.latent.shape == (45, 2)
    alone = [net(jets.select(torch.tensor([b]))) for b in range(3)]
    for name in ("reconstruction_NF", "latent"):
        parts = torch.cat([getattr(one, name) for one in alone])
        torch.testing.assert_close(getattr(whole, name), parts, rtol=1e-4, atol=1e-5)


def test_heads_that_divide_a_width_are_as_wide_as_torchs():
    assert TransformerBlock(8, (4,), 4).query_key_value.out_features == 24
    assert TransformerBlock(9, (4,), 4).query_key_value.out_features == 36


def test_dropout_leaves_sums_of_residuals_whole():
    """Dropped is what is added to them: no number of a node becomes zero."""
    config = JetBottleneckModel(
        kind="jet-bottleneck", layer="transformer-block", encoder=((8,), (8,)), dropout=0.5
    )
    torch.manual_seed(0)
    stack = Stack(config, 8, config.encoder, last_relu=True)
    ptr = offsets()
    x = torch.randn(int(ptr[-1]), 8)
    keys = torch.arange(len(x))
    first, second = stack(x, ptr, keys), stack(x, ptr, keys)
    assert (first != 0).all()
    assert not torch.allclose(first, second)

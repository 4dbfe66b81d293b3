"""Models of events: grids with gaps, noise that belongs to an item, and who its neighbours are."""

import dataclasses

import pytest
import torch
from items import events_of
from pydantic import TypeAdapter
from torch import nn

from raybead.config import MODEL_PRESETS, JetBottleneckModel, Model
from raybead.models import Inputs, build_model
from raybead.models.mlp import Dropout, mlp
from raybead.models.noise import kept
from raybead.models.slots import Slots

JETS = [(15, 15, 15), (15, 2, 7), (3, 0, 0), (15, 9, 0), (1, 1, 1)]
WHOLE = Inputs(features=5, slots=45, jets=3, efps=4)
LAYERS = ["dense", "conv", "edgeconv", "gatv2", "transformer-block", "node"]


def net_of(preset, **more):
    torch.manual_seed(1)
    section = TypeAdapter(Model).validate_python({"preset": preset, **more})
    return build_model(section, WHOLE)


@pytest.mark.parametrize("width", [45, 20, 1, 60])
@pytest.mark.parametrize("gaps", [True, False])
def test_slots_are_those_of_the_dense_grid(width, gaps):
    batch = events_of(JETS)
    if not gaps:
        batch = dataclasses.replace(batch, slot_T=None)
    slots = Slots.of(batch, width)
    grid, mask = batch.dense(width)
    assert torch.equal(slots.spread(batch.x_TF), grid)
    assert torch.equal(slots.mask(grid), mask.float())
    assert torch.equal(slots.packed(grid), grid[mask])
    assert torch.equal(slots.kept(batch.x_TF), grid[mask])
    assert slots.ptr.tolist() == [0, *mask.sum(1).cumsum(0).tolist()]


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_what_is_aimed_at_is_the_real_nodes(preset):
    batch = events_of(JETS, efps=4)
    net = net_of(preset)
    with torch.inference_mode():
        output = net(batch)
        many = net(events_of(JETS[:2], seed=7, efps=4))
    assert torch.equal(output.target_NF, batch.x_TF)
    assert torch.equal(output.ptr, batch.ptr)
    assert output.reconstruction_NF.shape == batch.x_TF.shape
    assert len(many.ptr) == 3


@pytest.mark.parametrize("preset", [name for name in MODEL_PRESETS if "edgenet-" not in name])
def test_an_item_does_not_depend_on_the_others(preset):
    """Nor on what isn't finite in them, which a zero of a mask would let through."""
    net = net_of(preset)
    batch = events_of(JETS, efps=4)
    net(batch)  # batch norms have seen something
    net.eval()
    others = events_of(JETS, seed=3, efps=4)
    first = slice(int(batch.ptr[1]), int(batch.ptr[2]))
    others.x_TF.fill_(torch.nan)
    others.x_TF[first] = batch.x_TF[first]
    others.efps_BJE[1] = batch.efps_BJE[1]
    with torch.inference_mode():
        alone = net(batch.select(torch.tensor([1])))
        among = net(others)
    mine = among.reconstruction_NF[first]
    torch.testing.assert_close(mine, alone.reconstruction_NF, rtol=1e-4, atol=1e-5)


def test_a_decoder_of_fewer_slots_leaves_out_the_nodes_beyond():
    batch = events_of(JETS)
    output = net_of("conv-ae", decode=20)(batch)
    kept_T = batch.slot_T < 20
    assert torch.equal(output.target_NF, batch.x_TF[kept_T])
    assert output.ptr.diff().tolist() == [20, 17, 3, 20, 2]


@pytest.mark.parametrize("layer", LAYERS)
def test_dropout_belongs_to_the_item(layer):
    """So it is the same in a worker's slice as in the whole batch, and off in evaluation."""
    config = JetBottleneckModel(
        kind="jet-bottleneck",
        layer=layer,
        encoder=((8, 8),),
        dropout=0.4,
        decoder_layer="conv" if layer == "conv" else "dense",
        fusion={"width": 8, "dropout": 0.3},
    )
    torch.manual_seed(1)
    net = build_model(config, WHOLE)
    batch = events_of(JETS, efps=4)

    def drawn(of, seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            return net(of).reconstruction_NF

    whole, again, other = drawn(batch, 5), drawn(batch, 5), drawn(batch, 6)
    assert torch.equal(whole, again)
    assert not torch.allclose(whole, other, rtol=1e-3)
    part = drawn(batch.select(torch.tensor([1, 3])), 5)
    aim = torch.cat([whole[batch.ptr[1] : batch.ptr[2]], whole[batch.ptr[3] : batch.ptr[4]]])
    torch.testing.assert_close(part, aim, rtol=1e-4, atol=1e-5)
    net.eval()
    assert torch.equal(drawn(batch, 5), drawn(batch, 6))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999999])
def test_dropout_keeps_the_mean(rate):
    torch.manual_seed(0)
    mask = kept(torch.arange(40_000), 7, rate, torch.zeros(1, dtype=torch.float64))
    assert mask.shape == (40_000, 7)
    assert len(mask.unique()) == 2
    share = (mask > 0).double().mean()
    assert abs(share - (1 - rate)) < 4 * (rate * (1 - rate) / mask.numel()) ** 0.5 + 2**-15
    off = torch.corrcoef(mask.t())[~torch.eye(7, dtype=torch.bool)]
    assert rate > 0.999 or off.abs().max() < 0.03


def test_a_node_bottleneck_drops_between_layers_but_not_its_latent():
    torch.manual_seed(0)
    net = net_of("ae", encoder=((8, 8), (8, 8)), dropout=0.5, latent_relu=False, latent=30)
    batch = events_of(JETS)
    output = net(batch)
    assert (output.latent != 0).all()
    assert (output.reconstruction_NF != 0).all()
    assert not torch.equal(output.latent, net(batch).latent)


def test_an_mlp_without_dropout_is_torchs_own():
    net = mlp((3, 8, 2), last_relu=True)
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU]
    dropping = mlp((3, 8, 2), last_relu=True, norm="batch", dropout=0.2)
    assert isinstance(dropping[-1], Dropout)

"""Convolutions along an item's grid: torch's own, item by item, with zeros where no node is."""

import pytest
import torch
from items import events_of
from torch import nn

from raybead.models import conv
from raybead.models.conv import ConvDecoder, ConvStack
from raybead.models.slots import Slots

JETS = [(15, 15, 15), (15, 2, 7), (3, 0, 0), (15, 9, 0), (1, 1, 1)]


def slots_of(batch, width=45):
    slots = Slots.of(batch, width)
    return slots, slots.spread(batch.x_TF)


def by_conv1d(stack, grid, mask):
    """Each convolution by torch's, of one item at a time, places without a node made zero."""
    rows = []
    for item, real in zip(grid, mask, strict=True):
        x_CD = item.t()[None]
        for place, layer in enumerate(stack.convs):
            plain = nn.Conv1d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size[0],
                padding=layer.kernel_size[0] // 2,
                dtype=grid.dtype,
            )
            plain.load_state_dict(layer.state_dict())
            x_CD = plain(x_CD)
            x_CD = x_CD.relu() if place < stack.relus else x_CD
            if stack.masked:
                x_CD = x_CD.masked_fill(~real, 0.0)
        rows.append(x_CD[0].t())
    return torch.stack(rows)


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("masked", [True, False])
def test_it_is_torchs_convolution(kernel, masked):
    torch.manual_seed(0)
    stack = ConvStack((5, 6, 1, 4), kernel, masked=masked, last_relu=masked).double()
    slots, grid = slots_of(events_of(JETS))
    grid = grid.double().requires_grad_()
    found, aim = stack(grid, slots), by_conv1d(stack, grid, slots.mask(grid).bool())
    torch.testing.assert_close(found, aim)
    weights = [grid, *stack.parameters()]
    weight = torch.randn_like(found)
    mine = torch.autograd.grad((found * weight).sum(), weights)
    names = [name for name, _ in stack.named_parameters()]
    assert names == [f"convs.{k}.{what}" for k in range(3) for what in ("weight", "bias")]
    # The reference has copies of the weights: theirs come by differences, the grid's by autograd.
    torch.testing.assert_close(mine[0], torch.autograd.grad((aim * weight).sum(), grid)[0])
    for parameter, slope in zip(weights[1:], mine[1:], strict=True):
        step = torch.randn_like(parameter)
        with torch.no_grad():
            ends = []
            for sign in (1, -2):
                parameter += sign * 1e-6 * step
                ends.append((stack(grid, slots) * weight).sum())
            parameter += 1e-6 * step
        expected = (ends[0] - ends[1]) / 2e-6
        torch.testing.assert_close((slope * step).sum(), expected, rtol=1e-5, atol=1e-6)


def test_single_precision_is_close():
    torch.manual_seed(0)
    stack = ConvStack((5, 32, 16, 8), 3, masked=True, last_relu=True)
    slots, grid = slots_of(events_of(JETS))
    aim = by_conv1d(stack, grid, slots.mask(grid).bool())
    torch.testing.assert_close(stack(grid, slots), aim, rtol=1e-5, atol=1e-6)


def test_pieces_make_the_whole(monkeypatch):
    torch.manual_seed(0)
    stack = ConvStack((5, 4), 3, masked=True, last_relu=True, norm="batch")
    slots, grid = slots_of(events_of(JETS))
    stack(grid, slots)
    stack.eval()
    with torch.inference_mode():
        whole = stack(grid, slots)
        monkeypatch.setattr(conv, "PLACES", 2 * 45)
        torch.testing.assert_close(stack(grid, slots), whole)


def test_statistics_are_of_places_with_a_node():
    """As of torch's batch norm, given these alone."""
    torch.manual_seed(0)
    for masked in (True, False):
        stack = ConvStack((5, 4), 3, masked=masked, last_relu=True, norm="batch")
        slots, grid = slots_of(events_of(JETS))
        found = stack(grid, slots)
        bare = ConvStack((5, 4), 3, masked=masked, last_relu=True)
        bare.load_state_dict({k: v for k, v in stack.state_dict().items() if "conv" in k})
        plain = nn.BatchNorm1d(4)
        aim = plain(slots.packed(bare(grid, slots)))
        torch.testing.assert_close(slots.packed(found), aim, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(stack.norms[0].running_mean, plain.running_mean)
        torch.testing.assert_close(stack.norms[0].running_var, plain.running_var)
        elsewhere = found[~slots.mask(grid).bool()]
        assert bool((elsewhere == 0).all()) == masked


def test_a_decoder_sees_nothing_but_the_latent():
    torch.manual_seed(0)
    decoder = ConvDecoder((3, 7), (4, 6, 5), 45, 3).eval()
    z = torch.randn(5, 3)
    few, _ = slots_of(events_of(JETS))
    full, _ = slots_of(events_of([(15, 15, 15)] * 5))
    decoded = decoder(z, few)
    assert decoded.shape == (5, 45, 5)
    assert torch.equal(decoded, decoder(z, full))
    grid = decoder.mlp(z).view(5, 45, 4)
    assert (grid >= 0).all()
    torch.testing.assert_close(
        decoded, by_conv1d(decoder.stack, grid, few.mask(grid).bool()), rtol=1e-5, atol=1e-6
    )

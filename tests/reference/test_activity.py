"""What units do, batch by batch, against whole arrays of what each layer gives."""

import numpy as np
import pytest
import torch
from items import events_of
from pydantic import TypeAdapter
from torch import nn

from raybead.config import MODEL_PRESETS, JetBottleneckModel, MetaLayerModel, Model
from raybead.diagnostics import unit_activity
from raybead.graphs import JetBatch
from raybead.models import AllPairsEdgeConv, Inputs, build_model
from raybead.models.activity import UnitSums, activity
from raybead.models.conv import ConvStack
from raybead.models.meta_layer import EdgeMean
from raybead.models.slots import Slots

FEATURES, EFPS = 3, 3
SIZES = ([5, 0, 1, 12], [3, 3, 30], [], [1])
"""Of the jets of each batch"""


def jets_of(sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n, sizes = len(sizes), torch.tensor(sizes, dtype=torch.long)
    return JetBatch(
        x_TF=torch.randn(int(sizes.sum()), FEATURES, generator=generator),
        ptr=torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]),
        p4_B4=torch.randn(n, 4, generator=generator),
        event_B=torch.arange(n),
        rank_B=torch.zeros(n, dtype=torch.long),
        n_constituents_B=sizes,
        efps_BJE=torch.randn(n, 1, EFPS, generator=generator),
        has_jet_BJ=torch.ones(n, 1, dtype=torch.bool),
    )


def net_of(preset, inputs):
    torch.manual_seed(1)
    net = build_model(TypeAdapter(Model).validate_python({"preset": preset}), inputs)
    for module in net.modules():  # norms that don't leave everything as it is
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


@pytest.fixture(params=MODEL_PRESETS)
def preset(request):
    return request.param


def test_every_preset_has_its_layers_in_forward_order(preset):
    net = net_of(preset, Inputs(FEATURES, efps=EFPS))
    batches = [jets_of(sizes, seed) for seed, sizes in enumerate(SIZES)]
    found = unit_activity(net, batches)
    assert (found["items"], found["nodes"]) == (8, sum(map(sum, SIZES)))
    names = [layer["name"] for layer in found["layers"]]
    assert names[-2:] == ["latent", "reconstruction"]
    assert len(set(names)) == len(names)
    # In the order that the model's parts run in, whatever they are called.
    parts = ["embed", "encoder", "fusion", "head", "posterior", "decoder", "unembed"]
    places = [parts.index(name.split(".")[0]) for name in names if name.split(".")[0] in parts]
    assert places == sorted(places)
    assert {"relu", "none"} == {layer["activation"] for layer in found["layers"]}
    rows = {"items": 8, "nodes": sum(map(sum, SIZES)), "neighbourhoods": 50 + 3, "jets": 8}
    for layer in found["layers"]:
        values = [layer[key] for key in ("mean", "standard_deviation", "responds", "dead")]
        assert len({len(column) for column in [*values, layer["constant"]]}) == 1
        assert layer["rows"] == rows.get(layer["of"], layer["rows"]) or layer["of"] == "places"
        assert all(value is not None for column in values for value in column)
    # Every weight of a linear layer that takes part belongs to a layer that is seen.
    weights = {name.removesuffix(".weight") for name, _ in net.named_parameters()}
    assert len(weights & set(names)) >= 3


@pytest.mark.parametrize("preset", [n for n, of in MODEL_PRESETS.items() if "fusion" in of])
def test_events_with_fusion(preset):
    net = net_of(preset, Inputs(5, slots=45, jets=3, efps=4))
    batches = [events_of([[3, 4], [15], [2, 2, 2]], efps=4), events_of([[1, 1, 0]], efps=4)]
    found = unit_activity(net, batches)
    of = {layer["name"]: (layer["of"], layer["rows"]) for layer in found["layers"]}
    assert found["items"] == 4
    assert of["fusion"] == ("items", 4)
    assert {of for name, (of, _) in of.items() if name.startswith("fusion.blocks.")} == {"tokens"}


def test_of_events_at_event_level(preset):
    net = net_of(preset, Inputs(5, slots=45, jets=3, efps=4))
    one = events_of([[3, 4, 1], [15, 0, 2]], efps=4)
    found = unit_activity(net, [one])
    assert found["items"] == 2
    assert all(layer["rows"] > 0 for layer in found["layers"])


def test_batches_add_up_to_whole_arrays():
    """Streamed sums against numpy on all values at once, whatever the batches."""
    generator = np.random.default_rng(1)
    whole = generator.normal(1e4, 1.0, (501, 7)).clip(min=1e4 - 1)
    whole[:, 3] = 0.0
    whole[:, 4] = generator.normal(size=501).clip(min=0)
    whole[:, 5] = 0.1
    sums = UnitSums("a", True, "items")
    for part in np.split(whole, [0, 1, 1, 40, 333]):
        sums.add(torch.tensor(part))
    units = sums.told()
    assert units.rows == 501
    np.testing.assert_allclose(units.mean, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(units.standard_deviation, whole.std(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(units.responds, (whole != 0).mean(axis=0), rtol=1e-12)
    assert units.dead == [False, False, False, True, False, False, False]
    assert units.constant == [False, False, False, True, False, True, False]


def test_one_row_is_not_called_constant():
    sums = UnitSums("a", False, "items")
    assert sums.told().dead == []
    sums.add(torch.tensor([[2.0, 0.0]]))
    assert sums.told().constant == sums.told().dead == [False, False]


def test_how_items_are_batched_changes_nothing(preset):
    net = net_of(preset, Inputs(FEATURES, efps=EFPS))
    whole = jets_of([5, 0, 1, 12, 3, 30, 8])
    ways = [[whole], [whole.select(torch.arange(k, k + 1)) for k in range(7)]]
    one, other = (activity(net, way) for way in ways)
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.name, ours.rows) == (theirs.name, theirs.rows)
        for key in ("mean", "standard_deviation"):
            np.testing.assert_allclose(
                getattr(ours, key), getattr(theirs, key), rtol=1e-3, atol=1e-5
            )


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_what_a_fused_edgeconv_reveals_is_what_a_loop_over_pairs_sees(
    norm, last_relu, aggregation
):
    torch.manual_seed(3)
    conv = AllPairsEdgeConv(
        4, (6, 5, 3), last_relu=last_relu, aggregation=aggregation, norm=norm
    ).eval()
    for module in conv.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.normal_()
    sizes = [4, 1, 0, 2, 7]
    ptr = torch.tensor([0, *np.cumsum(sizes)])
    x_TF = torch.randn(sum(sizes), 4)
    means = {place: [] for place, layer in enumerate(conv.nn) if isinstance(layer, nn.ReLU)}
    with torch.inference_mode():
        for first, last in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
            for i in range(first, last):
                others = [j for j in range(first, last) if j != i]
                if not others:
                    continue
                value = torch.stack([torch.cat([x_TF[i], x_TF[j] - x_TF[i]]) for j in others])
                for place, layer in enumerate(conv.nn):
                    value = layer(value)
                    if place in means:
                        means[place].append(value.mean(dim=0))
        found = list(conv.activations(x_TF, ptr))
    assert [shown.name for shown in found] == [f"nn.{place - 1}" for place in means]
    for shown, expected in zip(found, means.values(), strict=True):
        assert shown.relu
        torch.testing.assert_close(shown.rows, torch.stack(expected), rtol=1e-4, atol=1e-6)


def test_what_an_edge_mean_reveals_ends_in_what_it_gives():
    torch.manual_seed(3)
    edges = EdgeMean(3, 2, 8).eval()
    x_TF, u_TU, ptr = torch.randn(9, 3), torch.randn(9, 2), torch.tensor([0, 4, 9])
    with torch.inference_mode():
        first, second = edges.activations(x_TF, u_TU, ptr)
        torch.testing.assert_close(second.rows, edges(x_TF, u_TU, ptr))
        pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
        hidden = torch.stack(
            [edges.first(torch.cat([x_TF[i], x_TF[j], u_TU[i]])).relu() for i, j in pairs]
        )
    torch.testing.assert_close(first.rows[:4], hidden.view(4, 3, 8).mean(dim=1))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_what_convolutions_reveal_ends_in_what_they_give(masked, norm):
    torch.manual_seed(3)
    stack = ConvStack((3, 6, 4), 3, masked=masked, last_relu=not masked, norm=norm).eval()
    for module in stack.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
    batch = jets_of([5, 0, 9])
    slots = Slots.of(batch, 6)
    grid = slots.spread(batch.x_TF)
    with torch.inference_mode():
        first, last = stack.activations(grid, slots)
        given = slots.packed(stack(grid, slots))
        if norm == "batch" and not masked:  # what is seen is what comes out of the ReLU
            norms = stack.norms[-1]
            given = (given - norms.bias) * (norms.running_var + norms.eps).sqrt()
            given = given / norms.weight + norms.running_mean
        torch.testing.assert_close(last.rows, given, rtol=1e-4, atol=1e-5)
        assert (first.relu, last.relu) == (True, not masked)
        alone = torch.relu(stack.convs[0](grid.transpose(1, 2))).transpose(1, 2)
        torch.testing.assert_close(first.rows, slots.packed(alone), rtol=1e-4, atol=1e-5)


def test_a_model_made_silent_is_seen_so():
    """The ReLU's of a layer whose biases are far below 0, and a unit of constant weights."""
    config = JetBottleneckModel(kind="jet-bottleneck", encoder=((8, 8),), head=(8,))
    torch.manual_seed(0)
    net = build_model(config, Inputs(FEATURES))
    with torch.no_grad():
        net.head[0].bias[:3] = -100.0
        net.encoder.layers[0].conv.nn[2].bias[5] = -100.0
        net.decoder[0].weight[1] = 0.0
        net.decoder[0].bias[1] = 2.0
    found = {units.name: units for units in activity(net, [jets_of([9] * 200)])}
    assert found["head.0"].dead[:3] == [True] * 3
    assert found["head.0"].responds[:3] == [0.0] * 3
    assert found["encoder.layers.0.conv.nn.2"].dead[5]
    still = found["decoder.0"]
    assert (still.dead[1], still.constant[1], still.responds[1]) == (False, True, 1.0)
    assert (still.mean[1], still.standard_deviation[1]) == (2.0, 0.0)


def test_nothing_of_the_model_or_the_random_state_changes(preset):
    net = net_of(preset, Inputs(FEATURES, efps=EFPS)).train()
    quiet = next(module for module in net.modules() if isinstance(module, nn.Linear))
    quiet.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(8)
    state = torch.get_rng_state()
    activity(net, [jets_of([5, 9])])
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert net.training
    assert not quiet.training
    assert not any(module._forward_hooks for module in net.modules())


def test_hooks_and_modes_come_back_after_an_error():
    net = build_model(MetaLayerModel(kind="meta-layer"), Inputs(FEATURES))

    def broken():
        yield jets_of([3])
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        activity(net, broken())
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())

"""Any model with any loss that fits takes a step, and is worth training on."""

import pytest
import torch
from pydantic import TypeAdapter

from raybead.catalogue import fitting, reconstruction_kinds
from raybead.config import MODEL_PRESETS, Graph, Losses, Model
from raybead.graphs import Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import build_model

KINDS = [kind for kind in reconstruction_kinds() if kind != "emd-network"]
"""The learned distance needs a network that was trained: see test_emd_network.py."""


@pytest.fixture(scope="module")
def jets(event_rows):
    graph = Graph(nodes=8)
    some = collate(event_rows.slice(0, 20), graph)
    scaling = Scaling.fit(graph, some.x_TF)
    return Space(graph, scaling), scaling.apply(some)


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_a_step_with_every_loss(preset, jets):
    space, batch = jets
    config = TypeAdapter(Model).validate_python({"preset": preset})
    with_kl = fitting(config) == "any + kl"
    assert with_kl or fitting(config) == "any"
    for kind in KINDS:
        terms = [{"kind": kind}] + [{"kind": "kl", "weight": 0.1}] * with_kl
        loss = JetLoss(TypeAdapter(Losses).validate_python(terms), space)
        torch.manual_seed(0)
        net = build_model(config, 3)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        torch.manual_seed(1)
        before = loss(net(batch), batch)
        assert before.total_B.shape == (len(batch),)
        assert set(before.terms) == set(loss.names)
        before.total_B.mean().backward()
        slopes = [weight.grad for weight in net.parameters() if weight.grad is not None]
        assert all(slope.isfinite().all() for slope in slopes), kind
        # A step downhill, short enough for what is far from smooth.
        length = sum(float(slope.square().sum()) for slope in slopes) ** 0.5
        assert length > 0, kind
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 / length
        optimizer.step()
        torch.manual_seed(1)
        assert loss(net(batch), batch).total_B.mean() < before.total_B.mean(), kind

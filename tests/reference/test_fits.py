"""Any model with any loss that fits takes a step, and is worth training on."""

from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter

from raybead.commands.catalogue import fitting, reconstruction_kinds
from raybead.config import MODEL_PRESETS, Efps, Emd, Graph, Losses, Model, refuse_misfit
from raybead.errors import RunError
from raybead.graphs import Clouds, JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, EmdBundle, EmdNetwork, Inputs, Recipe, build_model
from raybead.storage import Folder

KINDS = [kind for kind in reconstruction_kinds() if kind != "emd-network"]
"""The learned distance needs a network: the last test gives it one."""


@pytest.fixture(scope="module")
def jets(event_rows):
    """By scaling: bce takes one of its own."""
    found = {}
    for name in ("standard", "min-max"):
        graph = Graph(nodes=8, scaling=name, efps=Efps(n=2, d=2))
        some = collate(event_rows.slice(0, 20), graph)
        scaling = Scaling.fit(graph, some.x_TF, some.efps_NE)
        batch = replace(scaling.apply(some), generator_B=torch.arange(len(some)) // 2 % 3)
        found[name] = Space(graph, scaling), batch
    return found


def goes_downhill(config, terms, space, batch):
    """A step, short enough for what is far from smooth, along the loss's slope."""
    loss = JetLoss(TypeAdapter(Losses).validate_python(terms), space)
    torch.manual_seed(0)
    net = build_model(config, Inputs(3, efps=batch.efps_BJE.shape[2]))

    def trained():
        torch.manual_seed(1)
        views = loss.views(batch)
        outputs = net(JetBatch.cat([batch, *views])).split([len(batch)] * (1 + len(views)))
        return loss.training(replace(outputs[0], views=tuple(outputs[1:])), batch, net)

    before = trained()
    assert before.total_B.shape == (len(batch),)
    assert tuple(before.terms) == loss.names
    before.total_B.mean().backward()
    slopes = [weight.grad for weight in net.parameters() if weight.grad is not None]
    assert all(slope.isfinite().all() for slope in slopes), terms
    length = sum(float(slope.square().sum()) for slope in slopes) ** 0.5
    assert length > 0, terms
    torch.optim.SGD(net.parameters(), lr=1e-3 / length).step()
    assert trained().total_B.mean() < before.total_B.mean(), terms


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_a_step_with_every_loss(preset, jets):
    config = TypeAdapter(Model).validate_python({"preset": preset})
    _, *beside = fitting(config).split(" + ")
    assert fitting(config).startswith("any")
    assert len(beside) <= 1
    for kind in KINDS:
        space, batch = jets["min-max" if kind == "bce" else "standard"]
        terms = [{"kind": kind}] + [{"kind": one, "weight": 0.1} for one in beside]
        goes_downhill(config, terms, space, batch)


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_a_step_with_every_term_that_reconstructs_nothing(preset, jets):
    config = TypeAdapter(Model).validate_python({"preset": preset})
    space, batch = jets["standard"]
    flows = getattr(config, "flow", None) is not None
    divergence = "flow-kl" if flows else "kl"
    restrained = [{"kind": divergence, "weight": 0.1}] * (posterior_of(config) != "point")
    some = ["supcon", "ntxent", "weights-l1", "weights-l2"]
    families = [[*restrained, {"kind": kind, "weight": 0.1}] for kind in some]
    if flows:
        families.append([{"kind": kind, "weight": 0.1} for kind in ("kl", "log-det")])
    families.append([term for family in families[:4] for term in family[-1:]] + restrained)
    for family in families:
        terms = [{"kind": "mse"}, *family]
        refuse_misfit(config, TypeAdapter(Losses).validate_python(terms), space.graph)
        goes_downhill(config, terms, space, batch)


def posterior_of(config):
    return getattr(config, "posterior", "point")


def test_the_learned_distance_goes_with_its_bundle(jets, tmp_path):
    """Kept beside the model, it measures where the path that the job gave leads nowhere."""
    space, batch = jets["standard"]
    torch.manual_seed(0)
    config = Emd(widths=(8, 8), head=8, neighbours=4)
    network = EmdBundle(config, EmdNetwork(config).state_dict(), {})
    model = TypeAdapter(Model).validate_python({"preset": "jet-dense"})
    losses = TypeAdapter(Losses).validate_python({"kind": "emd-network", "bundle": "nowhere"})
    recipe = Recipe(graph=space.graph, model=model, loss=losses)
    bundle = Bundle(recipe, space.scaling, recipe.build().state_dict(), {}, network)
    folder = Folder.at(str(tmp_path))
    bundle.save(folder)
    loaded = Bundle.load(folder)
    output = loaded.model()(batch)
    value = JetLoss(losses, Space(space.graph, space.scaling, emd=loaded.emd))(output, batch)
    ours, theirs = map(space.momenta, (output.reconstruction_NF, output.target_NF))
    clouds = [Clouds(x.pt_N, x.eta_N, x.phi_N, output.ptr) for x in (ours, theirs)]
    expected = network.model()(*clouds)
    assert expected.min() > 1e-4
    torch.testing.assert_close(value.total_B, expected)
    value.total_B.sum().backward()
    with pytest.raises(RunError, match="train-emd makes one"):
        JetLoss(losses, space)

"""Warnings about models made sick on purpose, and none about those that are well."""

import copy

import pytest
import torch
from training_jobs import GAUSSIAN, MODEL, small_trainer

from raybead.config import DistanceLoss, FlowKlLoss, KlLoss, NodeBottleneckModel, NtXentLoss
from raybead.config.flow import PlanarFlow
from raybead.losses import JetLoss
from raybead.training import warnings_of

KL = KlLoss(kind="kl", weight=1e-5)
NODES = NodeBottleneckModel(
    kind="node-bottleneck", layer="node", encoder=((16, 16),), latent_relu=False
)
MSE = small_trainer.__defaults__[0]


def trained(event_rows, losses=MSE, model=MODEL):
    trainer = small_trainer(event_rows, losses, model, epochs=15, learning_rate=1e-2)
    for _ in trainer.epochs():
        pass
    trainer.model.load_state_dict(trainer.progress.best_weights)
    return trainer


@pytest.fixture(scope="module")
def plain(event_rows):
    return trained(event_rows)


@pytest.fixture(scope="module")
def variational(event_rows):
    return trained(event_rows, (*MSE, KL), GAUSSIAN)


@pytest.fixture(scope="module")
def of_nodes(event_rows):
    return trained(event_rows, MSE, NODES)


def warned(trainer, model=None, loss=None, index=None):
    items = trainer.items
    return warnings_of(
        trainer.model if model is None else model,
        items,
        torch.arange(len(items)) if index is None else index,
        trainer.loss if loss is None else loss,
        ("pt_deta", "pt_dphi", "pt"),
    )


def made_sick(trainer):
    return copy.deepcopy(trainer.model)


def test_nothing_is_said_of_models_that_are_well(plain, variational, of_nodes):
    assert warned(plain) == []
    assert warned(variational) == []
    assert warned(of_nodes) == []


def test_units_that_never_respond(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[0].bias[:] += 100
        assert warned(plain, model) == []
        model.decoder[0].bias[:12] -= 200
    assert warned(plain, model) == [
        "layer decoder.0: 12 of 16 units respond to none of 120 validation items"
    ]
    with torch.no_grad():
        model.decoder[0].bias[0] += 200
    assert warned(plain, model) == []


def test_a_layer_of_which_nothing_responds_leaves_a_constant_reconstruction(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[2].bias -= 100
    silent, flat = warned(plain, model)
    assert silent == "layer decoder.2: all units respond to none of 120 validation items"
    assert flat.startswith(
        "the reconstruction of pt_deta, pt_dphi, pt hardly depends on the input: over 120"
        " validation items it varies by 0 of what it aims at"
    )


def test_a_silent_unit_within_fused_pairs_is_seen(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.encoder.layers[0].conv.nn[2].bias -= 100
    told = warned(plain, model)
    assert told[0].startswith("layer encoder.layers.0.conv.nn.2: all units respond to none")
    assert any("of the latent's" in line for line in told)


def test_a_decoder_that_knows_only_the_place_is_constant(plain):
    """Its output differs from node to node, and tells nothing of the jet."""
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[4].weight.zero_()
        model.decoder[4].bias.normal_()
    (told,) = warned(plain, model)
    assert told.startswith("the reconstruction of pt_deta, pt_dphi, pt hardly depends")


def test_one_feature_that_is_not_reconstructed(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[4].weight.view(10, 3, -1)[:, 1] *= 1e-4
    (told,) = warned(plain, model)
    assert told.startswith("the reconstruction of pt_dphi hardly depends on the input")
    # Unless nothing is asked of it.
    others = (DistanceLoss(kind="distance", columns=("pt_deta", "pt")),)
    assert warned(plain, model, JetLoss(others, plain.loss._space)) == []


def test_a_reconstruction_that_nothing_is_compared_with_is_not_judged(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[4].weight.zero_()
    loss = JetLoss((NtXentLoss(kind="ntxent"),), plain.loss._space)
    assert warned(plain, model, loss) == []


def test_a_latent_that_is_zeroed(plain, of_nodes):
    model = made_sick(plain)
    with torch.no_grad():
        model.posterior.linear.weight.zero_()
    latent = next(line for line in warned(plain, model) if "latent" in line)
    assert latent == (
        "all of the latent's 2 dimensions are the same for every item of 120 validation items"
    )
    with torch.no_grad():
        model.posterior.linear.weight[0] = plain.model.posterior.linear.weight[0]
    (latent,) = (line for line in warned(plain, model) if "latent" in line)
    assert latent.startswith("1 of the latent's 2 dimensions are the same for every item")
    model = made_sick(of_nodes)
    with torch.no_grad():
        model.encoder.layers[0].nn[-1].weight.zero_()
    assert any("the same for every node of 120" in line for line in warned(of_nodes, model))


def test_posterior_collapse(variational):
    model = made_sick(variational)
    with torch.no_grad():
        model.posterior.mu.weight[0] *= 1e-3
        model.posterior.log_variance.weight[0].zero_()
        model.posterior.log_variance.bias[0] = 0.0
    (told,) = (line for line in warned(variational, model) if "posterior" in line)
    assert told.startswith("posterior collapse: in 1 of the latent's 2 dimensions the means of")
    # Where the posterior is as narrow as its means are close, they say as much as ever.
    with torch.no_grad():
        model.posterior.log_variance.bias[0] = -20.0
    assert not any("posterior" in line for line in warned(variational, model))


def test_a_flow_may_tell_items_apart_without_the_posterior(event_rows):
    flow = GAUSSIAN.model_copy(update={"flow": PlanarFlow(kind="planar", layers=1)})
    trainer = small_trainer(event_rows, (*MSE, FlowKlLoss(kind="flow-kl")), flow)
    with torch.no_grad():
        trainer.model.posterior.mu.weight.zero_()
    assert not any("posterior" in line for line in warned(trainer))


def test_few_items_say_nothing(plain):
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[2].bias -= 100
    assert warned(plain, model, index=torch.arange(63)) == []
    assert len(warned(plain, model, index=torch.arange(64))) == 2


def test_a_feature_that_does_not_vary_asks_for_nothing(plain):
    items = plain.items
    same = items.x_TF.clone()
    same[:, 1] = 0.1
    still = type(items)(**{**vars(items), "x_TF": same})
    model = made_sick(plain)
    with torch.no_grad():
        model.decoder[4].weight.view(10, 3, -1)[:, 1] = 0
    told = warnings_of(
        model, still, torch.arange(len(items)), plain.loss, ("pt_deta", "pt_dphi", "pt")
    )
    assert not any("pt_dphi" in line for line in told)


def test_looking_changes_nothing_of_a_training(event_rows):
    """A training that is looked at after every epoch has the numbers of one that isn't."""
    plain, watched = (small_trainer(event_rows, (*MSE, KL), GAUSSIAN) for _ in range(2))
    history = list(plain.epochs())
    seen = []
    for record in watched.epochs():
        watched.model.train()
        warned(watched)
        assert watched.model.training
        seen.append(record)
    assert seen == history
    for ours, theirs in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)

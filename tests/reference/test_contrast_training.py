"""Training with losses that hold items against one another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_jobs import (
    GAUSSIAN,
    MSE,
    assert_two_equal_one,
    gradient_of,
    small_trainer,
    weights_of,
)

from raybead.config import KlLoss, NtXentLoss, SupConLoss
from raybead.errors import TrainingError
from raybead.training.forward import seen
from raybead.training.split import batches

KL = KlLoss(kind="kl", weight=0.1)
SUPCON = SupConLoss(kind="supcon", weight=0.1, temperature=0.5)
NTXENT = NtXentLoss(kind="ntxent", weight=0.1, temperature=0.5)
ALL = (MSE, KL, SUPCON, NTXENT)


def test_two_workers_equal_one_with_contrast(event_rows, tmp_path):
    anneal = [
        {"target": "loss.ntxent.weight", "kind": "scheduled", "at": {1: 0.0, 2: 0.5}},
        {"target": "loss.supcon.temperature", "kind": "scheduled", "at": {2: 0.1}},
    ]
    assert_two_equal_one(tmp_path, event_rows, ALL, GAUSSIAN, anneal=anneal)


def test_views_draw_noise_of_their_own(event_rows):
    """Views that are hardly altered have the posterior of their item, and another draw of it."""
    trainer = small_trainer(event_rows, (MSE, KL, replace_noise(1e-9)), GAUSSIAN)
    items = trainer.items.select(torch.arange(20))
    trainer.model.train()
    torch.manual_seed(1)
    output = seen(trainer.model, items, trainer.loss, "fp32")
    first, second = output.views
    torch.testing.assert_close(first.mu, output.mu)
    torch.testing.assert_close(second.mu, output.mu)
    noises = [
        (one.latent - one.mu) / (one.log_variance / 2).exp() for one in (output, *output.views)
    ]
    for ours, theirs in ((0, 1), (0, 2), (1, 2)):
        correlation = np.corrcoef(*(noises[i].detach().flatten().numpy() for i in (ours, theirs)))
        assert abs(correlation[0, 1]) < 0.5
    assert output.views[0].views == ()


def replace_noise(noise):
    return NTXENT.model_copy(update={"noise": noise})


def test_the_items_themselves_are_as_without_views(event_rows):
    """In evaluation nothing of the views reaches what is reconstructed."""
    trainer = small_trainer(event_rows, ALL, GAUSSIAN)
    items = trainer.items.select(torch.arange(11))
    trainer.model.eval()
    with torch.inference_mode():
        output, plain = seen(trainer.model, items, trainer.loss, "fp32"), trainer.model(items)
    assert len(output.views) == 2
    torch.testing.assert_close(output.reconstruction_NF, plain.reconstruction_NF)
    assert torch.equal(output.target_NF, plain.target_NF)
    assert torch.equal(output.ptr, plain.ptr)


def test_every_evaluation_is_of_the_same_views_and_company(event_rows):
    trainer = small_trainer(event_rows, ALL, GAUSSIAN)
    state = torch.random.get_rng_state()
    first, second = (trainer.evaluate(trainer.split.validation) for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first["loss"] == pytest.approx(
        first["mse"] + 0.1 * (first["kl"] + first["supcon"] + first["ntxent"]), rel=1e-6
    )


def test_held_out_items_are_contrasted_with_other_generators(event_rows):
    """They lie one generator behind another, and supcon of one alone says nothing."""
    trainer = small_trainer(event_rows, ALL, GAUSSIAN)
    labels = []

    def watched(items):
        labels.append(items.generator_B)
        return plain(items)

    plain = trainer.model.forward
    trainer.model.forward = watched
    trainer.evaluate(trainer.split.train)
    assert all(len(label.unique()) > 1 for label in labels)
    in_order = batches(trainer.split.train, trainer.config.batch_items, None)
    assert any(len(trainer.items.generator_B[part].unique()) == 1 for part in in_order)


def test_an_annealed_temperature_is_the_losss(event_rows):
    anneal = {"target": "loss.supcon.temperature", "kind": "scheduled", "at": {1: 0.2}}
    losses = (MSE, SUPCON)
    annealed = small_trainer(event_rows, losses, GAUSSIAN, anneal=anneal, epochs=2)
    at_once = SUPCON.model_copy(update={"temperature": 0.2})
    plain = small_trainer(event_rows, (MSE, at_once), GAUSSIAN, epochs=2)
    records = [list(trainer.epochs()) for trainer in (annealed, plain)]
    assert torch.equal(weights_of(annealed), weights_of(plain))
    assert [r.train_terms for r in records[0]] == [r.train_terms for r in records[1]]
    # What chooses the epoch is at the temperature that the section says.
    assert records[0][0].terms["supcon"] != records[1][0].terms["supcon"]
    batch = annealed.split.train[:12]
    cold, warm = (
        gradient_of(small_trainer(event_rows, losses, GAUSSIAN), batch, loss)
        for loss in (annealed.loss, annealed._minimised)
    )
    assert not np.allclose(cold, warm)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_options_train_with_contrast_too(event_rows, precision):
    more = {"precision": precision, "clip_norm": 0.5, "deterministic": True}
    records = list(small_trainer(event_rows, ALL, GAUSSIAN, **more).epochs())
    assert records[-1].train < records[0].train


def test_an_item_without_company_is_refused(event_rows):
    with pytest.raises(TrainingError, match="batch_items = 2 is too few for a contrastive"):
        small_trainer(event_rows, ALL, GAUSSIAN, batch_items=2)
    trainer = small_trainer(event_rows, ALL, GAUSSIAN)
    split = trainer.split._replace(validation=trainer.split.validation[:1])
    with pytest.raises(TrainingError, match="validation: one item alone"):
        type(trainer)(
            trainer.model, replace(trainer.items), split, trainer.loss, trainer.config, seed=1
        )

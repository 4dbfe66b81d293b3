"""Annealing, by what it does to a training: its twin has the values from the start."""

import numpy as np
import pytest
import torch
from training_jobs import GAUSSIAN, MSE, gradient_of, small_trainer, train_section, weights_of

from raybead.config import KlLoss, WeightsL2Loss
from raybead.errors import TrainingError
from raybead.training.annealing import Annealer

KL = KlLoss(kind="kl", weight=0.5)
WEIGHT, RATE, BATCH = "loss.kl.weight", "train.learning_rate", "train.batch_items"


def pace(target, start, end, epochs):
    return {
        "target": target,
        "kind": "constant-pace",
        "start": start,
        "end": end,
        "epochs": epochs,
    }


def scheduled(target, **at):
    return {"target": target, "kind": "scheduled", "at": {k.strip("e"): v for k, v in at.items()}}


def triggered(on, values=(0.0, 1.0, 2.0), **more):
    return {"target": WEIGHT, "kind": "triggered", "values": values, "on": on, **more}


def annealer(anneal, **more):
    return Annealer(train_section(anneal=anneal, **more), (MSE, KL))


def told(one, facts):
    """The value of each epoch, told of (cut, waited) after each."""
    found = []
    for epoch, (cut, waited) in enumerate(facts):
        found.append(one.values(epoch)[WEIGHT])
        one.note(cut=cut, waited=waited)
    return [*found, one.values(len(facts))[WEIGHT]]


def test_a_constant_pace_ends_at_its_end():
    one = annealer(pace(WEIGHT, 0, 1, 4))
    assert [one.values(epoch)[WEIGHT] for epoch in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    down = annealer(pace(BATCH, 64, 16, 5))
    assert [down.values(epoch)[BATCH] for epoch in range(6)] == [64, 54, 45, 35, 26, 16]


def test_a_schedule_changes_at_its_epochs_counted_from_1():
    one = annealer(scheduled(WEIGHT, e3=0.1, e5=0.0))
    assert [one.values(epoch)[WEIGHT] for epoch in range(6)] == [0.5, 0.5, 0.1, 0.1, 0.0, 0.0]


@pytest.mark.parametrize(
    ("anneal", "facts", "values"),
    [
        # Stale for three epochs is once; better in between, and it happens again; the last stays.
        (triggered("stale"), [0, 1, 2, 3, 0, 1, 0, 1, 0], [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        # Half of a patience of 5 is 2.5: after 3 epochs without a better one.
        (triggered("patience"), [0, 1, 2, 3, 4, 0, 1, 2, 3], [0, 0, 0, 0, 1, 1, 1, 1, 1, 2]),
        (triggered("patience", fraction=1 / 5), [0, 1, 0, 1], [0, 0, 1, 1, 2]),
    ],
)
def test_a_trigger_goes_off_when_its_condition_begins(anneal, facts, values):
    one = annealer(anneal, patience=5)
    assert told(one, [(False, waited) for waited in facts]) == values


def test_every_cut_of_the_learning_rate_counts():
    cuts = [False, True, True, False, True]
    assert told(annealer(triggered("plateau")), [(cut, 3) for cut in cuts]) == [0, 0, 1, 2, 2, 2]


def test_a_trigger_goes_on_where_it_was():
    facts = [(False, waited) for waited in (0, 1, 2, 0, 1, 2)]
    whole = told(annealer(triggered("stale")), facts)
    for cut in range(len(facts)):
        first, second = annealer(triggered("stale")), annealer(triggered("stale"))
        told(first, facts[:cut])
        second.restore(first.state())
        assert told(second, facts[cut:]) == whole[cut:]


def test_an_annealed_weight_trains_as_the_sections_own_would(event_rows):
    anneal = scheduled(WEIGHT, e1=0.25)
    annealed = small_trainer(event_rows, (MSE, KL), GAUSSIAN, anneal=anneal, epochs=2)
    plain = small_trainer(event_rows, (MSE, KlLoss(kind="kl", weight=0.25)), GAUSSIAN, epochs=2)
    other = small_trainer(event_rows, (MSE, KL), GAUSSIAN, epochs=2)
    records = [list(trainer.epochs()) for trainer in (annealed, plain, other)]
    assert torch.equal(weights_of(annealed), weights_of(plain))
    assert not torch.allclose(weights_of(annealed), weights_of(other))
    for ours, theirs in zip(*records[:2], strict=True):
        assert ours.annealed == {WEIGHT: 0.25}
        assert (ours.train, ours.terms, ours.train_terms) == (
            theirs.train, theirs.terms, theirs.train_terms,
        )  # fmt: skip
        assert ours.train == pytest.approx(
            ours.train_terms["mse"] + 0.25 * ours.train_terms["kl"], rel=1e-6
        )
        # The best epoch is chosen by what the section says.
        assert ours.validation == pytest.approx(ours.terms["mse"] + 0.5 * ours.terms["kl"])


def test_a_weight_that_moves_moves_the_gradient(event_rows):
    """Gradients of the terms by themselves, added up at each epoch's weight."""
    trainer = small_trainer(event_rows, (MSE, KL), GAUSSIAN, anneal=pace(WEIGHT, 0, 1, 2))
    batch = trainer.split.train[:12]
    alone = {}
    for kind, weights in (("mse", (1, 0)), ("kl", (0, 1))):
        loss = trainer.loss.altered(mse={"weight": weights[0]}, kl={"weight": weights[1]})
        twin = small_trainer(event_rows, (MSE, KL), GAUSSIAN)
        alone[kind] = gradient_of(twin, batch, loss)
    assert np.abs(alone["kl"]).max() > 1e-3
    for epoch, weight in enumerate((0.0, 0.5, 1.0)):
        twin = small_trainer(event_rows, (MSE, KL), GAUSSIAN)
        loss = trainer._loss_at(trainer.annealer.values(epoch))
        np.testing.assert_allclose(
            gradient_of(twin, batch, loss), alone["mse"] + weight * alone["kl"],
            rtol=1e-4, atol=1e-6,
        )  # fmt: skip


def test_a_term_of_weight_0_is_told_of_and_does_nothing(event_rows):
    off = small_trainer(event_rows, (MSE, KL), GAUSSIAN, anneal=scheduled(WEIGHT, e1=0))
    without = small_trainer(event_rows, (MSE,), GAUSSIAN)
    records, others = list(off.epochs()), list(without.epochs())
    assert torch.equal(weights_of(off), weights_of(without))
    assert [r.train for r in records] == [r.train for r in others]
    assert all(record.train_terms["kl"] > 0 for record in records)


def test_a_loss_of_nothing_is_refused(event_rows):
    anneal = scheduled("loss.mse.weight", e2=0)
    epochs = small_trainer(event_rows, anneal=anneal).epochs()
    next(epochs)
    with pytest.raises(TrainingError, match=r"epoch 2: .* leaves no term"):
        next(epochs)


def test_an_annealed_learning_rate_is_the_optimizers(event_rows):
    annealed = small_trainer(event_rows, anneal=scheduled(RATE, e1=1e-3, e3=0.02))
    by_hand = small_trainer(event_rows)
    rates = []
    epochs = by_hand.epochs()
    for epoch in range(4):
        for group in by_hand.optimizer.param_groups:
            group["lr"] = 1e-3 if epoch < 2 else 0.02
        next(epochs)
    rates = [record.learning_rate for record in annealed.epochs()]
    assert rates == [1e-3, 1e-3, 0.02, 0.02]
    assert torch.equal(weights_of(annealed), weights_of(by_hand))


def test_the_plateau_schedule_cuts_an_annealed_rate_too(event_rows):
    """Nothing is ever better than the first epoch by so much, so every later one cuts."""
    more = {"min_delta": 1e9, "patience": 50, "plateau_patience": 0, "epochs": 5}
    trainer = small_trainer(event_rows, anneal=pace(RATE, 1e-9, 2e-9, 4), **more)
    trainer.schedule.threshold = 0.999  # of the best: a loss never falls that far
    trainer.schedule.eps = 0.0
    rates = [record.learning_rate for record in trainer.epochs()]
    base = np.linspace(1e-9, 2e-9, 5)
    np.testing.assert_allclose(rates, base * [1, 1, 0.5, 0.25, 0.125], rtol=1e-12)


@pytest.mark.parametrize("anneal", [scheduled(BATCH, e1=16, e2=40), pace(BATCH, 16, 40, 1)])
def test_an_annealed_batch_is_what_the_model_sees(event_rows, anneal):
    seen = []

    def counted(network):
        return lambda items: (seen.append(len(items)), network(items))[1]

    trainer = small_trainer(event_rows, wrap=counted, anneal=anneal, epochs=2, batch_items=99)
    n = len(trainer.split.train)
    for width in (16, 40):
        seen.clear()
        next(trainer.epochs())
        assert len(seen) == -(-n // width)
        assert sum(seen) == n


def test_all_of_it_survives_a_kill(event_rows, tmp_path):
    more = {
        "anneal": [
            triggered("stale", (0.0, 0.3, 0.6)), pace(RATE, 1e-3, 0.3, 6), pace(BATCH, 16, 48, 3),
        ],
        "epochs": 8, "patience": 20, "plateau_patience": 0,
    }  # fmt: skip
    whole = small_trainer(event_rows, (MSE, KL), GAUSSIAN, **more)
    history = list(whole.epochs())
    steps = [record.annealed[WEIGHT] for record in history]
    assert steps[0] == 0.0
    assert steps[-1] > 0.0
    assert whole.progress.cuts < 1
    for cut in (1, steps.index(0.3), 6):
        broken = small_trainer(event_rows, (MSE, KL), GAUSSIAN, **more)
        epochs = broken.epochs()
        for _ in range(cut):
            next(epochs)
        torch.save(broken.state(), tmp_path / "state.pt")
        resumed = small_trainer(event_rows, (MSE, KL), GAUSSIAN, **more)
        resumed.restore(torch.load(tmp_path / "state.pt"))
        list(resumed.epochs())
        assert resumed.progress.history == history
        assert torch.equal(weights_of(resumed), weights_of(whole))


def test_terms_keep_their_names_whatever_their_order(event_rows):
    """Penalties are computed after all other terms, wherever the job names them."""
    losses = (WeightsL2Loss(kind="weights-l2", weight=1e-3), MSE)
    trainer = small_trainer(event_rows, losses, epochs=1, learning_rate=1e-9)
    (record,) = trainer.epochs()
    squares = float(weights_of(trainer).double().square().sum())
    assert record.terms["weights-l2"] == pytest.approx(squares, rel=0.5)
    assert record.validation == pytest.approx(
        record.terms["mse"] + 1e-3 * record.terms["weights-l2"], rel=1e-6
    )

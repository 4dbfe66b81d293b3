"""Optimizers against torch's own, and against the published rules where these are short."""

import pytest
import torch
from training_jobs import small_trainer, train_section, weights_of

from raybead.training.optimizers import build_optimizer

OURS = {
    "adam": lambda w, lr, decay, _: torch.optim.Adam(w, lr, weight_decay=decay),
    "adamw": lambda w, lr, decay, _: torch.optim.AdamW(w, lr, weight_decay=decay),
    "rmsprop": lambda w, lr, decay, m: torch.optim.RMSprop(w, lr, weight_decay=decay, momentum=m),
    "sgd": lambda w, lr, decay, m: torch.optim.SGD(
        w, lr, weight_decay=decay, momentum=m, nesterov=m > 0
    ),
    "radam": lambda w, lr, decay, _: torch.optim.RAdam(w, lr, weight_decay=decay),
    "adagrad": lambda w, lr, decay, _: torch.optim.Adagrad(w, lr, weight_decay=decay),
}


def path(make, steps=40):
    """The way of two weights down a bent valley."""
    weights = torch.nn.Parameter(torch.tensor([1.5, -1.0], dtype=torch.float64))
    optimizer, found = make([weights]), []
    for _ in range(steps):
        optimizer.zero_grad()
        (10 * (weights[1] - weights[0] ** 2) ** 2 + (1 - weights[0]) ** 2).backward()
        optimizer.step()
        found.append(weights.detach().clone())
    return torch.stack(found)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_steps_are_torchs(name, decay):
    momentum = {"momentum": 0.8} if name in ("sgd", "rmsprop") else {}
    config = train_section(optimizer=name, learning_rate=3e-3, weight_decay=decay, **momentum)
    ours = path(lambda weights: build_optimizer(weights, config))
    assert torch.equal(ours, path(lambda weights: OURS[name](weights, 3e-3, decay, 0.8)))
    others = [
        path(lambda w, o=other: OURS[o](w, 3e-3, decay, 0.8)) for other in OURS if other != name
    ]
    # Adam and AdamW are one where nothing decays.
    alike = sum(torch.equal(ours, other) for other in others)
    assert alike == (name in ("adam", "adamw") and decay == 0)


def test_sgd_without_momentum_is_plain():
    config = train_section(optimizer="sgd", learning_rate=1e-3, momentum=0.0)
    weights = torch.tensor([1.5, -1.0], dtype=torch.float64)
    for found in path(lambda w: build_optimizer(w, config), steps=5):
        x, y = weights
        slope = torch.stack([-40 * x * (y - x**2) - 2 * (1 - x), 20 * (y - x**2)])
        weights = weights - 1e-3 * slope
        torch.testing.assert_close(found, weights)


@pytest.mark.parametrize("name", OURS)
def test_each_trains(event_rows, name):
    """And in the loop is what it is by itself."""
    more = {"optimizer": name, "epochs": 2, "learning_rate": 3e-3, "weight_decay": 1e-3}
    trainer, plain = (small_trainer(event_rows, **more) for _ in range(2))
    plain.optimizer = OURS[name](plain.model.parameters(), 3e-3, 1e-3, 0.9)
    records = list(trainer.epochs())
    assert records[-1].train < records[0].train
    list(plain.epochs())
    assert torch.equal(weights_of(trainer), weights_of(plain))

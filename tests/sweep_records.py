"""Made-up trials of a sweep, whose objective follows from what was tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from raybead.config import Job, parse_job
from raybead.sweeping.records import Quantity, Status, TrialRecord

JOB = """
name = "tried"
[data.background]
source = "pythia"
events = 100
[data.search]
source = "pythia"
events = 100
signal_fraction = 0.05
seed = 7
[sweep]
{sweep}
[sweep.over]
"model.preset" = {{ choice = ["jet-dense", "edgenet", "conv-ae", "transformer-ae"] }}
"train.learning_rate" = {{ log_uniform = [1e-4, 1e-2] }}
"model.latent" = {{ choice = [2, 4, 8], when = {{ "model.preset" = "jet-dense" }} }}
[sweep.over.loss]
choice = [[{{ kind = "mse" }}], [{{ kind = "mse" }}, {{ kind = "kl", weight = 0.01 }}]]
"""
REPLICAS = 40


def job_of(sweep: str = 'also = ["stability"]') -> Job:
    """A job that sweeps over a model, a loss, a learning rate, and a latent of one model."""
    return parse_job(JOB.format(sweep=sweep))


def quantity(value: float, noise: np.ndarray) -> Quantity:
    return Quantity(value=value, replicas=tuple((value + noise).tolist()))


def draw(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """What one trial has."""
    values: dict[str, Any] = {}
    for key, dimension in (job.sweep.over if job.sweep else {}).items():
        if any(values.get(other) != wanted for other, wanted in dimension.when.items()):
            continue
        if dimension.choice is not None:
            values[key] = dimension.choice[rng.integers(len(dimension.choice))]
        elif dimension.log_uniform is not None:
            values[key] = float(np.exp(rng.uniform(*np.log(dimension.log_uniform))))
    return values


def trials(
    job: Job,
    n: int,
    good: Callable[[Mapping[str, Any]], float],
    *,
    noise: float = 0.0,
    seed: int = 0,
    status: Callable[[int], Status] = lambda _: "done",
    reason: str = "epoch 3: the loss isn't finite",
) -> list[TrialRecord]:
    """Trials whose objective is what ``good`` says of their values, with some noise."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.01, REPLICAS)
    records = []
    for number in range(n):
        values = draw(job, rng)
        value = good(values) + noise * rng.normal()
        told = {
            "trial": f"t{number:03d}", "number": number, "values": values, "of_epochs": 20,
            "status": status(number), "seconds": 1.5,
        }  # fmt: skip
        if told["status"] == "failed":
            records.append(TrialRecord(**told, epochs=2, reason=reason))
            continue
        quantities = {
            name: quantity(number_, shared + rng.normal(0, 0.003, REPLICAS))
            for name, number_ in {
                "corruption": value, "stability": rng.normal(), "auc": value + 0.1 * rng.normal(),
            }.items()
        }  # fmt: skip
        records.append(
            TrialRecord(
                **told, epochs=20, best_epoch=18, parameters=1000 + number,
                quantities=quantities, objective=quantities["corruption"],
                history=tuple((epoch, value - 0.5 / epoch) for epoch in (5, 10, 20)),
            )
        )  # fmt: skip
    return records

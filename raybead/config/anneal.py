"""``[[train.anneal]]``: settings that change while a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from raybead.config.section import Section


class Annealing(Section):
    """What changes: ``loss.<kind>.weight``, ``loss.<kind>.temperature``, ``train.learning_rate``
    or ``train.batch_items``.

    What the sections themselves say stays what the best epoch is chosen and items are scored by,
    so that epochs compare. A learning rate is further cut by the plateau schedule.
    """

    target: Annotated[
        str,
        Field(
            pattern=r"^(loss\.[a-z0-9-]+\.(weight|temperature)|train\.(learning_rate|batch_items))$"
        ),
    ]


class PaceAnnealing(Annealing):
    """From ``start`` to ``end`` in equal steps over ``epochs``; ``end`` from then on."""

    kind: Literal["constant-pace"]
    start: NonNegativeFloat
    end: NonNegativeFloat
    epochs: PositiveInt


class TriggeredAnnealing(Annealing):
    """One value further, every time that something happens; the last one stays."""

    kind: Literal["triggered"]
    values: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=2)]
    on: Literal["plateau", "stale", "patience"] = "stale"
    """plateau: the learning rate is cut; stale: an epoch is no better than the best, after one
    that was; patience: ``fraction`` of ``[train] patience`` has passed without a better one."""
    fraction: Annotated[PositiveFloat, Field(le=1.0)] = 0.5


class ScheduledAnnealing(Annealing):
    """The value of the last epoch named that has come; ``at = { 1 = 0.0, 11 = 0.01 }``."""

    kind: Literal["scheduled"]
    at: Annotated[dict[PositiveInt, NonNegativeFloat], Field(min_length=1)]
    """By epoch, counted from 1. Before the first one the section's own value holds."""


Anneal = Annotated[
    PaceAnnealing | TriggeredAnnealing | ScheduledAnnealing, Field(discriminator="kind")
]
Annealings = Annotated[
    tuple[Anneal, ...],
    BeforeValidator(lambda raw: [raw] if isinstance(raw, dict | Section) else raw),
]

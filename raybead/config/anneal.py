"""``[[train.anneal]]``: settings that change while a model is trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from raybead.config.section import Section

if TYPE_CHECKING:
    from raybead.config.loss import Loss
    from raybead.config.train import Train

LEARNING_RATE, BATCH_ITEMS = "train.learning_rate", "train.batch_items"


class Annealing(Section):
    """What changes: ``loss.<kind>.weight``, ``loss.<kind>.temperature``, ``train.learning_rate``
    or ``train.batch_items``.

    What the sections themselves say stays what the best epoch is chosen and items are scored by,
    so that epochs compare. A learning rate is further cut by the plateau schedule.
    """

    target: str
    """What changes: ``loss.<kind>.weight``, ``loss.<kind>.temperature``, ``train.learning_rate``
    or ``train.batch_items``."""

    @field_validator("target")
    @classmethod
    def _can_be_annealed(cls, target: str) -> str:
        known = re.fullmatch(r"loss\.[a-z0-9-]+\.(weight|temperature)", target)
        if known is None and target not in (LEARNING_RATE, BATCH_ITEMS):
            raise ValueError(
                "what can be annealed is loss.<kind>.weight, loss.<kind>.temperature,"
                f" {LEARNING_RATE} and {BATCH_ITEMS}"
            )
        return target


class PaceAnnealing(Annealing):
    """From ``start`` to ``end`` in equal steps over ``epochs``; ``end`` from then on."""

    kind: Literal["constant-pace"]
    start: NonNegativeFloat
    """Value of the first epoch."""
    end: NonNegativeFloat
    """Value after ``epochs`` epochs, and from then on."""
    epochs: PositiveInt
    """How many it takes from start to end."""

    @property
    def named(self) -> tuple[float, ...]:
        """The values that the section names, as the other kinds' is."""
        return self.start, self.end


class TriggeredAnnealing(Annealing):
    """One value further, every time that something happens; the last one stays."""

    kind: Literal["triggered"]
    values: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=2)]
    """One after another."""
    on: Literal["plateau", "stale", "patience"] = "stale"
    """plateau: the learning rate is cut; stale: an epoch is no better than the best, after one
    that was; patience: ``fraction`` of ``[train] patience`` has passed without a better one. A
    better one has to come before stale and patience can happen again."""
    fraction: Annotated[PositiveFloat, Field(lt=1.0)] = 0.5
    """Of the patience; see ``on``."""

    @property
    def named(self) -> tuple[float, ...]:
        return self.values


class ScheduledAnnealing(Annealing):
    """The value of the last epoch named that has come; ``at = { 1 = 0.0, 11 = 0.01 }``."""

    kind: Literal["scheduled"]
    at: Annotated[dict[PositiveInt, NonNegativeFloat], Field(min_length=1)]
    """By epoch, counted from 1. Before the first one the section's own value holds."""

    @property
    def named(self) -> tuple[float, ...]:
        return tuple(self.at.values())


Anneal = Annotated[
    PaceAnnealing | TriggeredAnnealing | ScheduledAnnealing, Field(discriminator="kind")
]
Annealings = Annotated[
    tuple[Anneal, ...],
    BeforeValidator(lambda raw: [raw] if isinstance(raw, dict | Section) else raw),
]


def refuse_unknown_targets(train: Train, losses: Sequence[Loss]) -> None:
    """Refuse annealing of what a job hasn't got, or through values that it can't have.

    Raises:
        ValueError: of which target, and why.
    """
    terms = {term.kind: term for term in losses}
    targets = [anneal.target for anneal in train.anneal]
    for anneal in train.anneal:
        target = anneal.target
        if targets.count(target) > 1:
            raise ValueError(f"train.anneal: {target} stands there twice")
        section, *kind, key = target.split(".")
        if section == "loss":
            term = terms.get(kind[0])
            if term is None:
                raise ValueError(
                    f"train.anneal: {target}: the job's loss has no {kind[0]}; it has"
                    f" {', '.join(terms)}"
                )
            if key not in type(term).model_fields:
                raise ValueError(f"train.anneal: {target}: {kind[0]} has no {key}")
        for value in anneal.named:
            why = _fault(target, value)
            if why is not None:
                raise ValueError(f"train.anneal: {target} = {value:g}: {why}")


def smallest_batch(train: Train) -> int:
    """Items of the smallest batch that a training comes to."""
    return min([train.batch_items, *map(int, _batches(train))])


def _batches(train: Train) -> Iterator[float]:
    for anneal in train.anneal:
        if anneal.target == BATCH_ITEMS:
            yield from anneal.named


def _fault(target: str, value: float) -> str | None:
    match target.rpartition(".")[2]:
        case "batch_items" if value != int(value) or value < 2:
            return "a batch holds a whole number of items, 2 or more"
        case "temperature" | "learning_rate" if value <= 0:
            return "has to be above 0"
        case _:
            return None

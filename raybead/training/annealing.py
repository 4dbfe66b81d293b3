"""Settings that change while a model is trained: the values that each epoch has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybead.config import (
    BATCH_ITEMS,
    Anneal,
    Loss,
    PaceAnnealing,
    ScheduledAnnealing,
    Train,
    TriggeredAnnealing,
)

Values = dict[str, float]
"""By target of ``[[train.anneal]]``."""


@dataclass
class _Trigger:
    """How far a triggered annealing has come."""

    steps: int = 0
    held: bool = False
    """Whether what it waits for held after the last epoch, and has to end to happen again"""


class Annealer:
    """The values of a job's annealed settings, epoch by epoch.

    It is told of every epoch by numbers that all workers share, so they agree on every value.
    """

    def __init__(self, config: Train, losses: Sequence[Loss]) -> None:
        """Set all annealings to their beginning.

        Args:
            config: whose ``anneal`` says what changes.
            losses: whose own values hold where an annealing doesn't say any yet.
        """
        self._config = config
        self._own = {
            anneal.target: _own_value(anneal.target, config, losses) for anneal in config.anneal
        }
        self._triggers = {
            anneal.target: _Trigger()
            for anneal in config.anneal
            if isinstance(anneal, TriggeredAnnealing)
        }

    def values(self, epoch: int) -> Values:
        """What every target is in an epoch, counted from 0; none where nothing is annealed."""
        found = {anneal.target: self._value(anneal, epoch) for anneal in self._config.anneal}
        if BATCH_ITEMS in found:
            found[BATCH_ITEMS] = round(found[BATCH_ITEMS])
        return found

    def note(self, *, cut: bool, waited: int) -> None:
        """Take note of an epoch that is over.

        Args:
            cut: whether the plateau schedule cut the learning rate after it.
            waited: epochs since the best one.
        """
        for anneal in self._config.anneal:
            if not isinstance(anneal, TriggeredAnnealing):
                continue
            trigger = self._triggers[anneal.target]
            holds = self._holds(anneal, cut, waited)
            # A cut is over at once: another one right after the next epoch is another one.
            if holds and not (trigger.held and anneal.on != "plateau"):
                trigger.steps += 1
            trigger.held = holds

    def state(self) -> dict[str, Any]:
        """How far it has come."""
        return {target: dict(vars(trigger)) for target, trigger in self._triggers.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where :meth:`state` was taken."""
        self._triggers = {target: _Trigger(**trigger) for target, trigger in state.items()}

    def _holds(self, anneal: TriggeredAnnealing, cut: bool, waited: int) -> bool:
        match anneal.on:
            case "plateau":
                return cut
            case "stale":
                return waited > 0
            case "patience":
                return waited >= anneal.fraction * self._config.patience

    def _value(self, anneal: Anneal, epoch: int) -> float:
        match anneal:
            case PaceAnnealing(start=start, end=end, epochs=epochs):
                return end if epoch >= epochs else start + (end - start) * epoch / epochs
            case TriggeredAnnealing(values=values):
                return values[min(self._triggers[anneal.target].steps, len(values) - 1)]
            case ScheduledAnnealing(at=at):
                come = [number for number in at if number <= epoch + 1]
                return at[max(come)] if come else self._own[anneal.target]


def loss_settings(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """What of the values is the loss's, as :meth:`raybead.losses.JetLoss.altered` takes it."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for target, value in values.items():
        section, *kind, key = target.split(".")
        if section == "loss":
            found[kind[0].replace("-", "_")][key] = value
    return dict(found)


def _own_value(target: str, config: Train, losses: Sequence[Loss]) -> float:
    section, *kind, key = target.split(".")
    if section == "train":
        return getattr(config, key)
    return next(getattr(term, key) for term in losses if term.kind == kind[0])

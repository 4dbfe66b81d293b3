"""Tree-structured Parzen estimators (doi:10.5555/2986459.2986743), by Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.trial import Trial, TrialState, create_trial

from raybead.config.dimension import Dimension, canonical
from raybead.sweeping.proposers import Known, Refused, Verdict, draws, ledger_of
from raybead.sweeping.space import Space, Values

TRIES = 50
"""Proposals in a row that bring nothing new, after which a random one is taken."""


class Parzen:
    """Proposes values that are likelier among the best trials than among the others.

    Failed trials and refused combinations count as worse than all that came to an end.

    Args:
        space: of the sweep.
        trials: at most, known ones among them.
        seed: of the sweep. What follows from it is the same where trials are told in the same
            order.
        known: trials of an interrupted sweep; those that lie in the space.
        queued: those of its trials that will be told of, though they aren't proposed here.
    """

    def __init__(
        self,
        space: Space,
        trials: int | None,
        seed: int,
        known: Sequence[Known] = (),
        queued: Sequence[Values] = (),
    ) -> None:
        self._space = space
        self._ledger = ledger_of(space, trials, known, queued)
        self._draws = draws(space, seed, self._ledger)
        self._kinds = {key: _kind(of) for key, of in space.over.items()}
        self._startup = 10 if trials is None else min(10, max(4, trials // 4))
        self._measured = 0
        self._pending: dict[str, int] = {}
        inside = [(values, objective) for values, objective in known if space.has(values)]
        # Proposals of a sweep that goes on aren't those that it began with.
        (state,) = np.random.SeedSequence([seed, len(inside)]).generate_state(1)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(state), multivariate=True, group=True, n_startup_trials=1,
                constant_liar=True,
            )  # fmt: skip
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, objective in inside:
            self.tell(values, objective)

    @property
    def refused(self) -> Sequence[Refused]:
        return self._ledger.refused

    def propose(self) -> Values | None:
        if self._ledger.full:
            return None
        if self._measured >= self._startup:
            for _ in range(TRIES):
                trial = self._study.ask()
                values = self._suggested(trial)
                match self._ledger.take(values):
                    case Verdict.TAKEN:
                        self._pending[canonical(values)] = trial.number
                        return values
                    case Verdict.REFUSED:
                        self._study.tell(trial, state=TrialState.PRUNED)
                    case Verdict.AGAIN:  # which says nothing new of these values
                        self._study.tell(trial, state=TrialState.FAIL)
        for values in self._draws:
            if self._ledger.take(values) is Verdict.TAKEN:
                self._study.enqueue_trial(self._parameters(values))
                trial = self._study.ask()
                self._suggested(trial)
                self._pending[canonical(values)] = trial.number
                return values
        self._ledger.refuse_if_nothing_fits()
        return None

    def tell(self, values: Values, objective: float | None) -> None:
        worth = objective if objective is not None and math.isfinite(objective) else None
        state = TrialState.PRUNED if worth is None else TrialState.COMPLETE
        number = self._pending.pop(canonical(values), None)
        if number is not None:
            self._study.tell(number, worth, state=state)
        else:
            parameters = self._parameters(values)
            kinds = {key: self._kinds[key] for key in parameters}
            self._study.add_trial(
                create_trial(state=state, value=worth, params=parameters, distributions=kinds)
            )
        self._measured += worth is not None

    def _suggested(self, trial: Trial) -> Values:
        values: Values = {}
        for key in self._space.order:
            if self._space.is_set(key, values):
                values[key] = _suggested(trial, key, self._space.over[key])
        return {key: values[key] for key in self._space.over if key in values}

    def _parameters(self, values: Values) -> dict[str, int | float]:
        return {key: _parameter(self._space.over[key], value) for key, value in values.items()}


def _kind(dimension: Dimension) -> BaseDistribution:
    # Listed values by their places: they may be lists or tables, which Optuna doesn't take.
    if dimension.listed is not None:
        return CategoricalDistribution(range(len(dimension.listed)))
    assert dimension.ends is not None  # a dimension is one or the other
    low, high = dimension.ends
    log = dimension.log_uniform is not None
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _suggested(trial: Trial, key: str, dimension: Dimension) -> Any:
    match _kind(dimension):
        case IntDistribution(low=low, high=high, log=log):
            return trial.suggest_int(key, low, high, log=log)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(key, low, high, log=log)
        case _:
            assert dimension.listed is not None  # or it were one of those
            place = trial.suggest_categorical(key, range(len(dimension.listed)))
            return dimension.listed[place]


def _parameter(dimension: Dimension, value: Any) -> int | float:
    if dimension.listed is not None:
        return [canonical(one) for one in dimension.listed].index(canonical(value))
    return int(value) if dimension.whole else float(value)

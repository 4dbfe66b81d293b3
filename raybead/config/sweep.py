"""``[sweep]``: which keys of the job are tried, how, and by what the best is known."""

from __future__ import annotations

import difflib
import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from raybead.config.dimension import Dimension, in_order
from raybead.config.section import Section
from raybead.config.swept_keys import flattened, refuse_never, why_not

CorruptionKind = Literal["shuffle", "mass-scaling", "two-prong"]
VALIDATION_LOSS, CORRUPTION, STABILITY, REACH, AUC, SIC = (
    "validation-loss", "corruption", "stability", "reach", "auc", "sic",
)  # fmt: skip
BY_TRUTH = frozenset({AUC, SIC})
"""Quantities that truth is looked at for."""
_MUTATED = re.compile(
    r"train\.(learning_rate|weight_decay|momentum|clip_norm)|loss(\.\d+)?\.(weight|temperature)"
)


class Sweep(Section):
    """Trials of one job with other values of some keys; the best is told without truth."""

    over: Annotated[dict[str, Dimension], Field(min_length=1)]
    """By dotted key, as ``"model.preset" = { choice = ["jet-dense", "edgenet"] }``."""
    search: Literal["random", "grid", "tpe", "pbt"] = "random"
    """grid: every combination of finitely many values; tpe: tree-structured Parzen estimators
    (doi:10.5555/2986459.2986743), by Optuna; pbt: population-based training (arXiv:1711.09846),
    which perturbs keys of ``[train]`` and weights of losses while a population trains."""
    trials: PositiveInt | None = None
    """At most; all of a grid, else 16, if not given."""
    scheduler: Literal["none", "asha", "median"] = "none"
    """What stops trials early: asynchronous successive halving (arXiv:1810.05934), or being worse
    than the median of the others (doi:10.1145/3097983.3098043). Which trials they stop depends on
    which is quicker, where several run at a time."""
    grace: PositiveInt = 4
    """Epochs before a trial is stopped, and between perturbations of pbt."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Of asha: one of so many goes on."""
    objective: str | dict[str, float] = CORRUPTION
    """What is made as large as possible: a quantity, or several with weights. See docs/sweeps.md.
    corruption: how well background is told from corrupted background; corruption-shuffle, ...:
    from that of one kind; stability: how little a cut's efficiency moves with the mass, and from
    events trained on to others; reach: the smallest signal that the hunt finds; validation-loss,
    where neither loss nor features are swept; with ``evaluation``: auc, sic."""
    also: tuple[str, ...] = ()
    """Quantities to be told besides."""
    evaluation: bool = False
    """Whether truth of the search sample is looked at."""
    corruptions: Annotated[tuple[CorruptionKind, ...], Field(min_length=1)] = (
        "shuffle", "mass-scaling", "two-prong",
    )  # fmt: skip
    """shuffle: a jet's constituents take one another's pT; mass-scaling: angles in a jet, and so
    its mass, are larger; two-prong: jets of two prongs, each made of a background jet."""
    events: PositiveInt = 2000
    """Background events, unseen by training, that trials are judged by, at most."""
    replicas: Annotated[int, Field(ge=20)] = 200
    """Of the bootstrap that errors are told by."""
    masses: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (
        3000.0,
        3500.0,
        4000.0,
        4500.0,
    )
    """Of the signals that ``reach`` looks for [GeV]."""
    minutes: PositiveFloat | None = None
    """After which no trial begins, and those that run end as they are."""
    epochs: PositiveInt | None = None
    """Of all trials together, likewise."""
    workers: PositiveInt = 1
    """Of each trial."""
    cpus: PositiveFloat | None = None
    """Of each worker; as ``[resources.train]`` says, else 1, if not given."""
    gpus: NonNegativeFloat | Literal["auto"] = "auto"
    """Of each worker; a share lets trials have one together. auto: where there are GPUs, as
    ``[resources.train]`` says, else one."""
    concurrent: PositiveInt | Literal["auto"] = "auto"
    """Trials at a time; auto: as many as fit when the sweep begins, so that a cluster that grows
    is asked for more by a number."""
    keep: PositiveInt = 5
    """Best bundles that are kept with the model, for ``[score] ensemble``."""

    @property
    def weights(self) -> dict[str, float]:
        """By quantity: what it counts in the objective."""
        return {self.objective: 1.0} if isinstance(self.objective, str) else self.objective

    @property
    def quantities(self) -> tuple[str, ...]:
        """All that is worked out of a trial."""
        truth = (AUC, SIC) if self.evaluation else ()
        return tuple(dict.fromkeys([*self.weights, *self.also, *truth]))

    @property
    def most_trials(self) -> int | None:
        """Trials at most; None where all of a grid are meant."""
        return self.trials if self.trials is not None or self.search == "grid" else 16

    @property
    def mutated(self) -> tuple[str, ...]:
        """Keys that pbt perturbs: ranges of what may change while a model is trained."""
        return tuple(
            key for key, of in self.over.items() if of.ends is not None and _MUTATED.fullmatch(key)
        )

    @field_validator("over", mode="before")
    @classmethod
    def _by_dotted_key(cls, raw: Any) -> Any:
        """``model.preset = {...}`` without quotes is a table in a table; it means the same."""
        if not isinstance(raw, dict):
            return raw
        found: dict[str, Any] = {}
        for key, value in flattened(raw):
            if key in found:
                raise ValueError(f"{key} stands there twice, with quotes and without")
            found[key] = value
        return found

    @field_validator("over")
    @classmethod
    def _can_be_swept(cls, over: dict[str, Dimension]) -> dict[str, Dimension]:
        for key, dimension in over.items():
            why = why_not(key)
            if why is not None:
                raise ValueError(f"{key}: {why}")
            if f"{key}.".startswith("jets.") and dimension.listed is None:
                raise ValueError(
                    f"{key}: each value's jets are prepared once, so that there have to be"
                    " finitely many; give a choice or a grid"
                )
            for condition in dimension.when:
                refuse_never(key, condition, over)
        in_order(over)
        return over

    @field_validator("objective", mode="before")
    @classmethod
    def _counts_something(cls, objective: Any) -> Any:
        if not isinstance(objective, str | dict) or not objective:
            raise ValueError("give a quantity's name, or a table of names with weights")
        for name, weight in objective.items() if isinstance(objective, dict) else ():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or weight == 0 or not math.isfinite(weight):
                raise ValueError(f"the weight of {name} isn't a number other than 0")
        return objective

    @field_validator("corruptions", "masses", "also")
    @classmethod
    def _once_each(cls, told: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(told)) < len(told):
            raise ValueError("says one thing twice")
        return told

    @model_validator(mode="after")
    def _quantities_are_there(self) -> Sweep:
        blind = (VALIDATION_LOSS, CORRUPTION, STABILITY, REACH)
        known = [*blind, *(f"{CORRUPTION}-{kind}" for kind in self.corruptions), AUC, SIC]
        for name in (*self.weights, *self.also):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"quantity {name!r} is none of {', '.join(known)}{hint}")
            if name in BY_TRUTH and not self.evaluation:
                raise ValueError(f"{name} looks at truth; say evaluation = true, or leave it out")
            other = [key for key in self.over if key.split(".")[0] in ("loss", "graph", "jets")]
            if name == VALIDATION_LOSS and other:
                raise ValueError(
                    f"{VALIDATION_LOSS} doesn't compare where {other[0]} differs; leave either"
                    f" out, or take {CORRUPTION}"
                )
        return self

    @model_validator(mode="after")
    def _search_fits(self) -> Sweep:
        match self.search:
            case "grid":
                for key, dimension in self.over.items():
                    if dimension.listed is None:
                        raise ValueError(
                            f"search grid goes through all values, and {key} has a range; give a"
                            " choice or a grid, or search otherwise"
                        )
            case "pbt":
                if self.most_trials == 1:
                    raise ValueError("search pbt needs a population: trials = 2 or more")
                if self.workers != 1:
                    raise ValueError("search pbt trains each trial by one worker; say workers = 1")
                if self.scheduler != "none":
                    raise ValueError(
                        f"search pbt schedules by itself; say scheduler = 'none', not"
                        f" {self.scheduler!r}"
                    )
                if not self.mutated:
                    raise ValueError(
                        "search pbt perturbs what may change while a model is trained; give"
                        " train.learning_rate, weight_decay, momentum or clip_norm, or a loss's"
                        " weight or temperature, a range"
                    )
            case _:
                pass
        return self

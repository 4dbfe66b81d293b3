"""``[sweep]``: which keys of the job are tried, how, and by what the best is known."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from raybead.config.section import Section

CorruptionKind = Literal["shuffle", "mass-scaling", "two-prong"]
VALIDATION_LOSS, CORRUPTION, STABILITY, REACH, AUC, SIC = (
    "validation-loss", "corruption", "stability", "reach", "auc", "sic",
)  # fmt: skip
BY_TRUTH = frozenset({AUC, SIC})
"""Quantities that truth is looked at for."""
SWEPT_SECTIONS = ("jets", "graph", "model", "loss", "train", "score")
"""Sections whose keys can be swept: what decides a score. A hunt isn't chosen by its result."""
HELD = frozenset({
    "train.test", "train.validation", "train.max_events", "train.workers", "train.use_gpu",
    "train.start_from", "train.max_failures", "train.keep_every", "score.store", "score.controls",
    "score.workers", "score.use_gpu", "score.batch_items", "score.ensemble",
})  # fmt: skip
"""Keys of these that stay: all trials are judged by the same events, unseen by all."""


class Dimension(Section):
    """One of ``[sweep.over]``: the values that a dotted key of the job may take."""

    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """Values, of which each trial takes one."""
    grid: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """Values that are gone through in turn, so that all get the same number of trials."""
    uniform: tuple[float, float] | None = None
    """From, to; of two whole numbers whole ones are drawn, both ends among them."""
    log_uniform: tuple[PositiveFloat, PositiveFloat] | None = None
    """The same, uniform in the logarithm."""
    when: dict[str, Any] = Field(default_factory=dict)
    """Other keys, each with a value or a list of values: the key is set where all of them have
    one of theirs, and left as the job says elsewhere."""


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
    cpus: PositiveFloat = 1.0
    """Of each worker."""
    gpus: NonNegativeFloat | Literal["auto"] = "auto"
    """Of each worker; a share lets trials have one together. auto: one where there are GPUs."""
    concurrent: PositiveInt | Literal["auto"] = "auto"
    """Trials at a time; auto: as many as fit."""
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

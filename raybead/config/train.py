"""``[train]``: how a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from raybead.config.anneal import Annealings
from raybead.config.section import Section


class Train(Section):
    """Optimizer, plateau schedule and early stopping on the validation loss."""

    epochs: PositiveInt = 50
    max_events: PositiveInt | None = None
    """Background events that training looks at, taken evenly from all; all if not given."""
    batch_items: PositiveInt = 512
    """Items a step over all workers together, so the result doesn't depend on their number."""
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "radam", "adagrad"] = "adam"
    """torch's; sgd with Nesterov's momentum where ``momentum`` is above 0."""
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Of sgd and rmsprop."""
    plateau_patience: NonNegativeInt = 4
    plateau_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    patience: PositiveInt = 10
    """Epochs without a better validation loss before training stops."""
    min_delta: NonNegativeFloat = 0.0
    validation: Annotated[float, Field(gt=0.0, le=0.5)] = 0.1
    test: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1
    """Shares of background events held out to choose the epoch, and to report."""
    clip_norm: PositiveFloat | None = None
    anneal: Annealings = ()
    start_from: str | None = None
    """Folder of a bundle, ``OUTPUT/NAME/model`` of another run, whose weights training begins
    with; its model, features and scaling have to be the job's."""
    keep_every: PositiveInt | None = None
    """Epochs between bundles that are kept as ``model/epochs/<epoch>``, besides the best one."""
    deterministic: bool = False
    """Whether torch refuses operations that don't give the same bits every time, on GPUs."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: PositiveInt | Literal["auto"] = "auto"
    """One a GPU; without GPUs one a CPU as far as the batch makes that worth while."""
    use_gpu: bool | Literal["auto"] = "auto"
    max_failures: NonNegativeInt = 3
    """Lost workers that are replaced before the job gives up."""

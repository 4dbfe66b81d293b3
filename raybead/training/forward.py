"""One pass of a model over items and their altered views."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch

from raybead.graphs import JetBatch
from raybead.losses import JetLoss
from raybead.models import Output
from raybead.timing import timed

_APART = 1 << 40
"""Beyond the events of any sample: a view's noise isn't its item's (raybead.models.noise)."""


def seen(
    model: Callable[[JetBatch], Output],
    items: JetBatch,
    loss: JetLoss,
    precision: Literal["fp32", "bf16", "fp16"],
) -> Output:
    """What a model makes of items, and of the views of them that a loss asks for.

    A model that draws from a posterior draws for each view anew: noise that two views shared
    would make them alike, and a contrastive loss would have it grow.

    Args:
        model: called once, on all of them.
        items: scaled, on the model's device.
        loss: whose views are drawn from torch's generator.
        precision: of ``[train]``.

    Returns:
        Of the items, with that of the views in :attr:`Output.views`.
    """
    drawn = part_of_step("views", items.device) if loss.contrasts else contextlib.nullcontext()
    with drawn:
        views = [
            replace(view, event_B=view.event_B + number * _APART)
            for number, view in enumerate(loss.views(items), start=1)
        ]
        every = JetBatch.cat([items, *views]) if views else items
    with part_of_step("forward", items.device), autocast(precision, items.device):
        output = model(every)
    if not views:
        return output
    first, *others = output.split([len(items), *map(len, views)])
    return replace(first, views=tuple(others))


def part_of_step(name: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Time of the block counts to a part of a training step; an evaluation is a part by itself."""
    if torch.is_inference_mode_enabled():
        return contextlib.nullcontext()
    return timed(name, partial(settle, device))


def settle(device: torch.device) -> None:
    """Wait for a device, so that time counts to the part that it was used in."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def autocast(
    precision: Literal["fp32", "bf16", "fp16"], device: torch.device
) -> contextlib.AbstractContextManager[Any]:
    """Where a model computes in that precision."""
    match precision:
        case "fp32":
            return contextlib.nullcontext()
        case "bf16":
            return torch.autocast(device.type, torch.bfloat16)
        case "fp16":
            return torch.autocast(device.type, torch.float16)

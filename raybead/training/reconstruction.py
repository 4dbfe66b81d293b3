"""Inputs against reconstructions, feature by feature: the first thing to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from raybead.graphs import JetBatch, Scaling
from raybead.losses import JetLoss

MAX_JETS = 4096
BINS = 60


def reconstruction_histograms(
    model: nn.Module, jets: JetBatch, scaling: Scaling, loss: JetLoss | None = None
) -> dict[str, dict[str, list[float]]]:
    """Histograms of every feature in its own units, of inputs and of reconstructions.

    Args:
        model: trained.
        jets: held out from training, scaled; the first few thousand are looked at.
        scaling: to be undone. Where it can't be, the features stay as the model sees them, and
            ``_scaled`` ends their names.
        loss: that the model was trained on, which says what its output stands for; features
            if not given.

    Returns:
        For each feature ``edges`` [61], ``input`` [60] and ``reconstruction`` [60]; values
        beyond the 0.1 and 99.9 percentiles of the input count in the outermost bins.
    """
    model.eval()
    few = jets.select(torch.arange(min(len(jets), MAX_JETS)))
    with torch.inference_mode():
        output = model(few.to(next(model.parameters()).device))
    aims, names = _in_own_units(output.target_NF, scaling)
    got_NF = output.reconstruction_NF if loss is None else loss.reconstruction(output)
    gets, _ = _in_own_units(got_NF, scaling)
    found: dict[str, dict[str, Any]] = {}
    for column, name in enumerate(names):
        low, high = np.quantile(aims[:, column], [0.001, 0.999])
        edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
        found[name] = {"edges": edges.tolist()}
        for kind, values in (("input", aims), ("reconstruction", gets)):
            inside = np.clip(values[:, column], edges[0], edges[-1])
            found[name][kind] = np.histogram(inside, edges)[0].tolist()
    return found


def _in_own_units(x_NF: torch.Tensor, scaling: Scaling) -> tuple[np.ndarray, list[str]]:
    x_NF = x_NF.float().cpu()
    if scaling.invertible:
        return scaling.invert(x_NF).numpy(), list(scaling.columns)
    return x_NF.numpy(), [f"{name}_scaled" for name in scaling.scaled_columns]

"""Mean length of a jet's residuals.

A squared residual lets a jet's one worst constituent decide; its length counts them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raybead.config import DistanceLoss
from raybead.losses.space import Space, Term
from raybead.models import Output, at_least_single

SMOOTH = 1e-4
"""Added to the squared length, in scaled units: at 0 a length has no gradient."""


def build(config: DistanceLoss, space: Space) -> Term:
    """The term of a job."""
    names = space.graph.scaled_columns
    columns = [names.index(name) for name in config.columns or names]
    return lambda output, _: distance(output, columns)


def distance(output: Output, columns: Sequence[int]) -> Tensor:
    """[B] mean over a jet's nodes of ``sqrt(|residual|^2 + 1e-4)``, over some of the features."""
    residual_NF = at_least_single(output.reconstruction_NF) - output.target_NF
    squares_N = residual_NF[:, columns].square().sum(dim=1)
    length_N = (squares_N + SMOOTH).sqrt()
    return torch.segment_reduce(length_N, "mean", offsets=output.ptr, axis=0, initial=0)

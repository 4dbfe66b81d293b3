"""Who owns what lies packed, one group behind another.

Axes: B groups, T members of all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def owners(ptr: Tensor, members: int) -> Tensor:
    """[T] which group each member belongs to.

    Args:
        ptr: [B + 1] offsets of the groups.
        members: T, known beforehand so that a GPU needn't be waited for.
    """
    groups = torch.arange(len(ptr) - 1, device=ptr.device)
    return torch.repeat_interleave(groups, ptr.diff(), output_size=members)

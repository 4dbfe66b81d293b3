"""The same bits every time, on GPUs as on CPUs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from raybead.errors import TrainingError

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def prepare_gpu(asked: bool) -> None:
    """Set what cuBLAS reads once, when it starts: to be called before anything runs on a GPU.

    Args:
        asked: ``[train] deterministic``; nothing happens if not.
    """
    if asked:
        os.environ.setdefault(CUBLAS, ":4096:8")


@contextlib.contextmanager
def same_bits(asked: bool) -> Iterator[None]:
    """Let torch take deterministic operations alone, until the block ends.

    Args:
        asked: ``[train] deterministic``; nothing happens if not.

    Raises:
        TrainingError: an operation has no deterministic form.
    """
    if not asked:
        yield
        return
    cudnn = torch.backends.cudnn
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
    )
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition(", but you set")[0].splitlines()[0]
        if "deterministic" not in reason.lower():
            raise
        raise TrainingError(
            f"train.deterministic: {reason}; set it to false, or train on CPUs"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = before[2:]

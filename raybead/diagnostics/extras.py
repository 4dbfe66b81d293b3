"""Optional packages that ``[diagnostics]`` may ask for."""

from __future__ import annotations

from importlib.util import find_spec

from raybead.config import Diagnostics
from raybead.errors import JobError


def refuse_missing_extras(config: Diagnostics) -> None:
    """Refuse what isn't installed before work goes into anything else.

    Raises:
        JobError: which extra has it.
    """
    if config.items and "umap" in config.reduce and find_spec("umap") is None:
        raise JobError(
            "diagnostics.reduce: umap needs umap-learn, which isn't installed here:"
            " pip install 'raybead[umap]'"
        )

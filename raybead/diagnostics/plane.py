"""Latents in the plane: principal components, t-SNE, UMAP.

All are computed on one thread, so that the same seed gives the same numbers wherever there are as
many items. Axes: B items, Z latent.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from raybead.config import Diagnostics, Reduction
from raybead.diagnostics.extras import refuse_missing_extras

Array = NDArray[np.float64]
FEWEST = 8
"""Items that a plane can be laid through."""
FIRST_TO = 50
"""Principal components that t-SNE and UMAP begin with where a latent has more dimensions."""
PERPLEXITY, ITERATIONS, ANGLE = 30.0, 500, 0.8
"""Of t-SNE."""
NEIGHBOURS = 15
"""Of UMAP."""


@dataclass(frozen=True)
class Planes:
    """Where each item lies in planes of several kinds."""

    coordinates: dict[str, Array]
    """[B, 2] by reduction; NaN of items whose latent isn't finite. ``plane`` is a latent of two
    dimensions as it is, ``line`` [B, 1] of one."""
    explained: tuple[float, float] | None
    """Shares of the variance that the two principal components have."""
    undrawn: dict[str, str]
    """Why not, by reduction."""


def planes(latent_BZ: Array, kinds: Sequence[Reduction], seed: int) -> Planes:
    """Latents by each kind of reduction.

    Args:
        latent_BZ: of the items.
        kinds: wanted.
        seed: of t-SNE and UMAP.

    Raises:
        JobError: UMAP isn't installed.
    """
    width = latent_BZ.shape[1]
    real_B = np.isfinite(latent_BZ).all(axis=1)
    within_BZ = latent_BZ[real_B]
    why = _why_not(within_BZ)
    coordinates: dict[str, Array] = {}
    if width <= 2 and (why is None or width == 1) and len(within_BZ):
        coordinates["line" if width == 1 else "plane"] = within_BZ
    undrawn: dict[str, str] = dict.fromkeys(kinds, why) if why is not None else {}
    explained = None
    if why is None:
        with threadpool_limits(1):
            principal_BZ, share_Z = principal_components(within_BZ)
            explained = (float(share_Z[0]), float(share_Z[1]))
            for kind in kinds:
                coordinates[kind] = _reduced(kind, within_BZ, principal_BZ, seed)
    everywhere = {}
    for kind, values in coordinates.items():
        everywhere[kind] = np.full((len(latent_BZ), values.shape[1]), np.nan)
        everywhere[kind][real_B] = values
    return Planes(everywhere, explained, undrawn)


def principal_components(latent_BZ: Array) -> tuple[Array, Array]:
    """Latents [B, min(B, Z)] in their principal components, and these's shares of the variance.

    The sign of a component is that its largest coefficient is positive.
    """
    centred_BZ = latent_BZ - latent_BZ.mean(axis=0)
    left_BK, scale_K, right_KZ = np.linalg.svd(centred_BZ, full_matrices=False)
    largest_K = np.abs(right_KZ).argmax(axis=1)
    sign_K = np.sign(right_KZ[np.arange(len(right_KZ)), largest_K])
    variance_K = scale_K**2
    return left_BK * scale_K * sign_K, variance_K / variance_K.sum()


def _why_not(latent_BZ: Array) -> str | None:
    n, width = latent_BZ.shape
    if n < FEWEST:
        return f"{n} items with finite latents; {FEWEST} are the fewest"
    if width < 2:
        return "a latent of one dimension spans no plane; it is drawn as it is"
    spread = float(np.ptp(latent_BZ, axis=0).max())
    if spread <= 1e-6 * max(1e-30, float(np.abs(latent_BZ).max())):
        return "all latents are the same"
    return None


def _reduced(kind: Reduction, latent_BZ: Array, principal_BZ: Array, seed: int) -> Array:
    start_B2 = principal_BZ[:, :2]
    given_BZ = principal_BZ[:, :FIRST_TO] if latent_BZ.shape[1] > FIRST_TO else latent_BZ
    match kind:
        case "pca":
            return start_B2
        case "tsne":
            from sklearn.manifold import TSNE  # takes a second to load

            n = len(latent_BZ)
            tsne = TSNE(
                # As scikit-learn's own start by principal components.
                init=(start_B2 / start_B2[:, 0].std() * 1e-4).astype(np.float32),
                perplexity=min(PERPLEXITY, (n - 1) / 3),
                max_iter=ITERATIONS,
                angle=ANGLE,
                random_state=seed,
                n_jobs=1,
            )
            return tsne.fit_transform(given_BZ).astype(np.float64)
        case "umap":
            refuse_missing_extras(Diagnostics(reduce=("umap",)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its compiler, and of what it will change
                from umap import UMAP

                reducer = UMAP(
                    n_neighbors=min(NEIGHBOURS, len(latent_BZ) - 1),
                    init=(10 * start_B2 / np.abs(start_B2).max()).astype(np.float32),
                    random_state=seed,
                    n_jobs=1,
                )
                return np.asarray(reducer.fit_transform(given_BZ), np.float64)

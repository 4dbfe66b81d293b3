"""``[diagnostics]``: what of a trained model is looked at besides its scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from raybead.config.section import Section

Reduction = Literal["pca", "tsne", "umap"]


class Diagnostics(Section):
    """What is drawn of the model. None of it takes part in the hunt."""

    items: Annotated[int, Field(ge=0, le=100_000)] = 2000
    """Items (jets, or events) whose latents are looked at, half of them of each sample, at random.
    t-SNE takes a few milliseconds each."""
    reduce: tuple[Reduction, ...] = ("pca", "tsne")
    """Ways from the latent to a plane: pca (principal components), tsne (van der Maaten
    and Hinton, JMLR 9, 2579 (2008)), umap (arXiv:1802.03426; needs the extra ``umap``)."""
    examples: Annotated[int, Field(ge=0, le=60)] = 6
    """Items that are drawn beside their reconstructions: half of held-out background, from low to
    high loss, and half the worst of the search sample."""
    events: Annotated[int, Field(ge=0, le=60)] = 6
    """Events of the search sample that are drawn: those of the highest scores."""

    units: bool = True
    """Whether it is looked at which units of the model respond, and to how much."""
    drift: bool = True
    """Whether features of the search sample are held against those of the background."""

    @field_validator("reduce")
    @classmethod
    def _once_each(cls, reduce: tuple[Reduction, ...]) -> tuple[Reduction, ...]:
        if len(set(reduce)) < len(reduce):
            raise ValueError("says one thing twice")
        return reduce

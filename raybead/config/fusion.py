"""``[model.fusion]``: a transformer over tokens of an item, in place of its encoding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from raybead.config.section import Section

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class Fusion(Section):
    """The encoder's vector and a token of every jet's energy flow polynomials, through a
    transformer whose class token becomes the item's encoding."""

    tokens: Annotated[tuple[Literal["encoder", "efps"], ...], Field(min_length=1)] = (
        "encoder",
        "efps",
    )
    """efps: need ``[graph.efps]``."""
    width: PositiveInt = 64
    """Of tokens; ``heads`` divide it."""
    heads: PositiveInt = 4
    """Of attention."""
    layers: PositiveInt = 2
    """Transformer blocks."""
    feed_forward: PositiveInt = 128
    """Width of each block's feed-forward network."""
    dropout: Share = 0.0
    """Of embedded polynomials and of the blocks, while training."""
    gate: Literal["sigmoid", "relu6", "tanh", "none"] = "sigmoid"
    """How much of each embedded polynomial passes, learned; below ``gate_threshold`` none does."""
    gate_threshold: NonNegativeFloat = 0.05
    """Opening of a gate below which nothing passes."""
    layer_norm: bool = True
    """Of the embedded polynomials."""

    @model_validator(mode="after")
    def _whole(self) -> Fusion:
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("tokens: says one thing twice")
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads don't divide a width of {self.width}")
        return self

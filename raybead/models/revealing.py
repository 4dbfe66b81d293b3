"""How a module whose kernel fuses its layers says what each of them gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

Of = Literal["items", "nodes", "jets", "places", "neighbourhoods", "edges", "tokens"]
"""What a layer's rows are. A neighbourhood is a node with a neighbour: its row is the mean over
its neighbours of what an EdgeConv makes of the pairs."""


class Shown(NamedTuple):
    """What one layer gives."""

    name: str
    """Within the module, of the layer's weights"""
    relu: bool
    """Whether a ReLU made it"""
    of: Of
    rows: Tensor
    """[R, U] of R rows and U units"""


@runtime_checkable
class Revealing(Protocol):
    """A module that calls no module for its layers."""

    def activations(self, *inputs: Any) -> Iterator[Shown]:
        """What its layers give in evaluation, in order, of what it is called with."""
        ...

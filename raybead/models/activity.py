"""What every unit of a model does on a sample: seen by hooks, and summed up as batches go by.

Axes: R rows (items, nodes, places, ...), U units of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from raybead.graphs import JetBatch
from raybead.models.fusion import Fusion
from raybead.models.layers import AttentionLayer, DynamicLayer
from raybead.models.output import Output
from raybead.models.revealing import Of, Revealing
from raybead.models.transformer import TransformerBlock

STEADY = 1e-5
"""A unit whose standard deviation is less, in units of its root mean square, doesn't vary: single
precision leaves hardly two digits of such a spread."""


COUNTED: tuple[Of, ...] = ("items", "nodes", "jets")
"""What rows are told by their number to be, where the layer's place doesn't say it."""


@dataclass
class UnitSums:
    """What one layer's units have done so far, in double precision."""

    name: str
    relu: bool
    """Whether a ReLU made it, so that a unit can be silent."""
    of: Of | None
    """None for what is told by the number of rows."""
    rows: int = 0
    fits: set[Of] = field(default_factory=lambda: set(COUNTED))
    """What rows may be, by their number in every batch"""
    mean_U: Tensor = field(default_factory=lambda: torch.zeros(0))
    square_U: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Summed squares of distances from the mean"""
    responded_U: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Rows that aren't 0"""

    def add(self, x_RU: Tensor) -> None:
        """Take a batch's rows in.

        Means and squares of parts add up without loss (Chan, Golub, LeVeque 1983).
        """
        x_RU = x_RU.detach().flatten(0, -2).double()
        n = len(x_RU)
        if self.rows == 0:
            self.mean_U, self.square_U, self.responded_U = x_RU.new_zeros(3, x_RU.shape[1])
        if n == 0:
            return
        mean_U = x_RU.mean(dim=0)
        apart_U = mean_U - self.mean_U
        total = self.rows + n
        self.square_U = (
            self.square_U
            + (x_RU - mean_U).square().sum(dim=0)
            + apart_U.square() * (self.rows * n / total)
        )
        self.mean_U = self.mean_U + apart_U * (n / total)
        self.responded_U = self.responded_U + (x_RU != 0).sum(dim=0)
        self.rows = total

    def told(self) -> Units:
        """What they have done."""
        n = max(self.rows, 1)
        spread_U = (self.square_U / n).sqrt()
        size_U = (self.mean_U.square() + self.square_U / n).sqrt()
        # Of one row nothing can be said to vary, nor not to.
        steady_U = (spread_U <= STEADY * size_U) & (self.rows > 1)
        silent_U = self.responded_U == 0 if self.relu else steady_U
        responds_U = self.responded_U / n if self.relu else (~steady_U).double()
        known: list[Of] = [*(of for of in COUNTED if of in self.fits), "edges"]
        return Units(
            name=self.name,
            activation="relu" if self.relu else "none",
            of=self.of if self.of is not None else known[0],
            rows=self.rows,
            mean=_numbers(self.mean_U),
            standard_deviation=_numbers(spread_U),
            responds=responds_U.tolist(),
            dead=(silent_U & (self.rows > 0)).tolist(),
            constant=steady_U.tolist(),
        )


@dataclass(frozen=True)
class Units:
    """What one layer's units did on a sample; lists have a value a unit."""

    name: str
    """Of the layer's weights in the model's state"""
    activation: Literal["relu", "none"]
    of: Of
    """What the rows are that it was seen on"""
    rows: int
    mean: list[float | None]
    """None where it is no finite number"""
    standard_deviation: list[float | None]
    responds: list[float]
    """Share of rows at which it isn't 0. Where no ReLU is, 1 for what varies and 0 for what
    doesn't."""
    dead: list[bool]
    """Whether it responds nowhere"""
    constant: list[bool]
    """Whether it doesn't vary; what is dead doesn't"""


def activity(
    model: nn.Module,
    batches: Iterable[JetBatch],
    also: Callable[[JetBatch, Output], None] | None = None,
) -> list[Units]:
    """What each layer's units do in evaluation, in the order of the layers.

    Seen are all linear layers, after the ReLU that follows where one does; attention and
    transformer blocks at what they give; layers whose kernel fuses them, which
    :class:`Revealing` modules work out by themselves; and at the end the latent and the
    reconstruction. Not seen are queries within torch-geometric's attention, the maps of a flow
    (but what they make the latent), and what norms give.

    Neither weights, nor running statistics, nor torch's random numbers change, and the model is
    left training if it was.

    Args:
        model: a jet model.
        batches: scaled, anywhere; each is moved to the model.
        also: called with every batch and what the model made of it.
    """
    device = next(model.parameters()).device
    modes = {module: module.training for module in model.modules()}
    sums: dict[str, UnitSums] = {}
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        devices = [device] if device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices))
        for module, training in modes.items():
            stack.callback(setattr, module, "training", training)
        model.eval()
        for one in _watched(model):
            of = _rows_inside(model, one.name)
            hook = _revealed(sums, one.name) if one.asked else _seen(sums, one.name, one.relu, of)
            stack.callback(one.module.register_forward_hook(hook).remove)
        for batch in batches:
            _look(model, batch.to(device), sums, also)
    return [one.told() for one in sums.values()]


def _look(
    model: nn.Module,
    batch: JetBatch,
    sums: dict[str, UnitSums],
    also: Callable[[JetBatch, Output], None] | None,
) -> None:
    before = {name: one.rows for name, one in sums.items()}
    output: Output = model(batch)
    _seen(sums, "latent", False, None)(None, (), output.latent)
    _seen(sums, "reconstruction", False, "nodes")(None, (), output.reconstruction_NF)
    jets = None if batch.has_jet_BJ is None else int(batch.has_jet_BJ.sum())
    for name, one in sums.items():
        rows = one.rows - before.get(name, 0)
        numbers: dict[Of, int | None] = {
            "items": len(batch), "nodes": len(batch.x_TF), "jets": jets
        }  # fmt: skip
        one.fits &= {of for of, number in numbers.items() if number == rows}
    if also is not None:
        also(batch, output)


def _seen(
    sums: dict[str, UnitSums], name: str, relu: bool, of: Of | None
) -> Callable[[Any, Any, Tensor], None]:
    def hook(_module: Any, _inputs: Any, x_RU: Tensor) -> None:
        # At its first call, so that layers stand in the order that they run in.
        sums.setdefault(name, UnitSums(name, relu, of)).add(x_RU)

    return hook


def _revealed(sums: dict[str, UnitSums], name: str) -> Callable[[Any, Any, Tensor], None]:
    def hook(module: Any, inputs: Any, _output: Tensor) -> None:
        for shown in module.activations(*inputs):
            whole = f"{name}.{shown.name}"
            sums.setdefault(whole, UnitSums(whole, shown.relu, shown.of)).add(shown.rows)

    return hook


@dataclass(frozen=True)
class _Watched:
    """A module whose output is a layer's, or that is to be asked for its layers'."""

    name: str
    module: Any
    relu: bool = False
    asked: bool = False


def _watched(model: nn.Module) -> Iterator[_Watched]:
    after_relu: set[nn.Module] = set()
    for name, module in model.named_modules():
        match module:
            case Revealing():
                yield _Watched(name, module, asked=True)
            case nn.Sequential():
                for place, relu in enumerate(module):
                    if not isinstance(relu, nn.ReLU):
                        continue
                    before = module[place - 1] if place > 0 else relu
                    after_relu.add(before)
                    at = place - 1 if isinstance(before, nn.Linear) else place
                    yield _Watched(f"{name}.{at}", relu, relu=True)
            case nn.Linear() if module not in after_relu:
                yield _Watched(name, module)
            case AttentionLayer() if len(module.rest) == 0:
                yield _Watched(name, module)
            case TransformerBlock() | Fusion():
                yield _Watched(name, module)


def _rows_inside(model: nn.Module, name: str) -> Of | None:
    """What rows are within modules that are called on something of their own."""
    parents = ["".join(name[:end]) for end in range(len(name)) if name[end] == "."]
    for parent in parents:
        match model.get_submodule(parent):
            case Fusion() if name.startswith(f"{parent}.blocks"):
                return "tokens"
            case DynamicLayer():
                return "edges"
    return None


def _numbers(values_U: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values_U.tolist()]

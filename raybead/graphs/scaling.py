"""Scaling of node features, fitted once on training background, kept with the model.

Axes: T nodes, F features before scaling, S features after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor

from raybead.config import Graph, ScalingKind
from raybead.errors import InputError, JobError
from raybead.graphs.efp_scaling import EfpScaling
from raybead.graphs.jetbatch import JetBatch
from raybead.graphs.scaling_steps import Affine, Direction, Identity, SinCos, Step

Stage = tuple[Step, ...]


class Scaling(BaseModel):
    """Chains of steps, column by column; see :mod:`raybead.graphs.scaling_steps`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...]
    """[F] names before scaling"""
    scaled_columns: tuple[str, ...]
    """[S] names after scaling"""
    stages: tuple[Stage, ...]
    """The first steps of all columns, then the second steps, ...; shorter chains end in ``none``.
    One step for every column that the stage before leaves."""
    efps: EfpScaling | None = None
    """Of the jets' energy flow polynomials, where a job asks for them"""

    @classmethod
    def fit(cls, graph: Graph, x_TF: Tensor, efps_NE: Tensor | None = None) -> Scaling:
        """The scaling that a job asks for, fitted on nodes of training background.

        Args:
            graph: whose ``scaling`` says the kinds, each fitted to what the one before it leaves.
            x_TF: [T, F] unscaled features.
            efps_NE: :attr:`JetBatch.efps_NE` of the same items, where ``graph.efps`` asks for
                them.

        Raises:
            InputError: there are no nodes, or values that can't be scaled.
        """
        # Only training fits: whoever applies needn't wait for scikit-learn to load.
        from raybead.graphs.scaling_fit import fit_step

        _refuse_unfit(graph, x_TF)
        if (graph.efps is None) != (efps_NE is None):
            raise ValueError("graph.efps and the polynomials to fit on come together")
        x_TS = x_TF.detach().cpu().double()
        chains = [graph.chain(name) for name in graph.columns]
        stages: list[Stage] = []
        for place in range(max(map(len, chains))):
            kinds: list[ScalingKind] = [
                chain[place] if place < len(chain) else "none" for chain in chains
            ]
            stage = tuple(
                fit_step(kind, x_T.numpy())
                for kind, x_T in zip(kinds, x_TS.unbind(1), strict=True)
            )
            x_TS = _apply(stage, x_TS)
            if place == 0:  # where one column may have become two
                twice = [1 + (kind == "sin-cos") for kind in kinds]
                chains = [c for c, n in zip(chains, twice, strict=True) for _ in range(n)]
            stages.append(stage)
        return cls(
            columns=graph.columns,
            scaled_columns=graph.scaled_columns,
            stages=tuple(stages),
            efps=None if efps_NE is None else EfpScaling.fit(efps_NE),
        )

    @property
    def invertible(self) -> bool:
        """Whether :meth:`invert` can undo it: ``l2`` drops what that would need."""
        return not any(isinstance(step, Direction) for stage in self.stages for step in stage)

    def apply(self, batch: JetBatch) -> JetBatch:
        """The batch with scaled features, and polynomials, which stay 0 of jets that aren't there.

        Raises:
            ValueError: only one of both, scaling and batch, has polynomials.
        """
        efps_BJE, has_jet_BJ = batch.efps_BJE, batch.has_jet_BJ
        if (self.efps is None) != (efps_BJE is None):
            raise ValueError("a scaling with polynomials and a batch with them come together")
        if self.efps is not None and efps_BJE is not None and has_jet_BJ is not None:
            efps_BJE = self.efps.scaled(efps_BJE) * has_jet_BJ[..., None]
        return replace(batch, x_TF=self.scaled(batch.x_TF), efps_BJE=efps_BJE)

    def scaled(self, x_TF: Tensor) -> Tensor:
        """Scaled features [T, S], of x's type."""
        x_TS = self._precise(x_TF)
        for stage in self.stages:
            x_TS = _apply(stage, x_TS)
        return x_TS.to(x_TF.dtype)

    def invert(self, x_TS: Tensor) -> Tensor:
        """Scaled features back in their own units, [T, F], of x's type.

        Raises:
            JobError: not :attr:`invertible`.
        """
        if not self.invertible:
            raise JobError(
                "graph.scaling: l2 keeps a node's direction and drops its length: can't be undone"
            )
        x_TF = self._precise(x_TS)
        for stage in reversed(self.stages):
            x_TF = _invert(stage, x_TF)
        return x_TF.to(x_TS.dtype)

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Scaling:
        """The scaling that :meth:`as_dict` told of, bit for bit.

        Raises:
            pydantic.ValidationError: it isn't one.
        """
        return cls.model_validate(raw)

    @model_validator(mode="after")
    def _of_one_width(self) -> Scaling:
        width = len(self.columns)
        for stage in self.stages:
            if len(stage) != width:
                raise ValueError(f"a stage of {len(stage)} steps for {width} columns")
            width += sum(isinstance(step, SinCos) for step in stage)
        if width != len(self.scaled_columns):
            raise ValueError(f"{width} columns that are scaled, {len(self.scaled_columns)} names")
        return self

    def _precise(self, x: Tensor) -> Tensor:
        # Chains, logs and ranks need double precision on the way. A lone shift and scale doesn't,
        # and keeps the numbers it always gave, unless float32 can't hold the shift well enough.
        lone = len(self.stages) == 1 and all(_is_near(step) for step in self.stages[0])
        return x if lone else x.double()


def _apply(stage: Stage, x_TS: Tensor) -> Tensor:
    vector = [x_T for step, x_T in zip(stage, x_TS.unbind(1), strict=True) if _is_l2(step)]
    length_T = torch.stack(vector, dim=1).norm(dim=1) if vector else x_TS.new_ones(len(x_TS))
    length_T = length_T.where(length_T > 0, 1.0)
    found: list[Tensor] = []
    for step, x_T in zip(stage, x_TS.unbind(1), strict=True):
        match step:
            case SinCos():
                found += [x_T.sin(), x_T.cos()]
            case Direction():
                found.append(x_T / length_T)
            case _:
                found.append(step.apply(x_T))
    return torch.stack(found, dim=1)


def _invert(stage: Stage, x_TS: Tensor) -> Tensor:
    columns = iter(x_TS.unbind(1))
    found: list[Tensor] = []
    for step in stage:
        match step:
            case SinCos():
                sine_T, cosine_T = next(columns), next(columns)
                # Of no direction, as from a model that gives zeros: 0, and no slope, not NaN.
                nowhere_T = (sine_T == 0) & (cosine_T == 0)
                found.append(torch.atan2(sine_T, cosine_T.masked_fill(nowhere_T, 1.0)))
            case Direction():
                raise AssertionError("what can't be undone is refused before")
            case _:
                found.append(step.invert(next(columns)))
    return torch.stack(found, dim=1)


def _is_near(step: Step) -> bool:
    """Whether rounding the shift to float32 moves the result by less than 1e-6."""
    match step:
        case Affine():
            return abs(step.shift) <= 8 * step.scale
        case _:
            return isinstance(step, Identity)


def _is_l2(step: Step) -> bool:
    return isinstance(step, Direction)


def _refuse_unfit(graph: Graph, x_TF: Tensor) -> None:
    if len(x_TF) == 0:
        raise InputError(f"training background has no {graph.node}s to fit graph.scaling on")
    for name, x_T in zip(graph.columns, x_TF.unbind(1), strict=True):
        bad = int((~x_T.isfinite()).sum())
        if bad:
            raise InputError(
                f"{name} of {bad} {graph.node}s of training background isn't a finite number"
            )

"""The bundle: a trained model as one folder that is enough to score with.

``weights.safetensors`` and ``bundle.json``: configuration, scaling, versions, training summary.
Scoring adds ``calibration.json``, the way from losses to event scores; ``emd/`` is the learned
distance of a loss that has one.
Loading it runs no code of the bundle's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import nn

import raybead
from raybead.config import Graph, Losses, Model
from raybead.errors import RunError
from raybead.graphs import Scaling
from raybead.models.build import build_model
from raybead.models.emd_bundle import DESCRIPTION, WEIGHTS, EmdBundle
from raybead.models.inputs import Inputs
from raybead.storage import Folder

EMD = "emd"
"""Folder in a bundle of the learned distance that its loss measures with."""


class Recipe(BaseModel):
    """What rebuilds a model around its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    graph: Graph
    model: Model
    loss: Losses

    def build(self) -> nn.Module:
        """The model with fresh weights."""
        return build_model(self.model, Inputs.of(self.graph))


@dataclass(frozen=True)
class Bundle:
    """A trained model with all that scoring needs."""

    recipe: Recipe
    scaling: Scaling
    weights: dict[str, torch.Tensor]
    summary: dict[str, Any]
    """Of the training: epochs, losses, numbers of jets."""
    emd: EmdBundle | None = None
    """The learned distance that the loss measures with, if it does"""

    def model(self) -> nn.Module:
        """The model with its trained weights, in evaluation mode."""
        model = self.recipe.build()
        try:
            model.load_state_dict(self.weights)
        except RuntimeError:
            raise RunError("the weights of a model bundle don't fit its description") from None
        return model.eval()

    def save(self, folder: Folder) -> None:
        """Write the bundle's files."""
        if self.emd is not None:
            self.emd.save(folder / EMD)
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.weights.items()}
        folder.write(WEIGHTS, safetensors.torch.save(tensors))
        folder.write_json(
            DESCRIPTION,
            {
                **self.recipe.model_dump(mode="json"),
                "scaling": self.scaling.as_dict(),
                "summary": self.summary,
                "versions": {"raybead": raybead.__version__, "torch": str(torch.__version__)},
            },
        )

    @classmethod
    def load(cls, folder: Folder) -> Bundle:
        """Read a bundle.

        Raises:
            RunError: there is none in the folder, or not a whole one.
        """
        if not folder.exists(DESCRIPTION):
            raise RunError(f"{folder}: no model bundle in it; train first")
        raw = folder.read_json(DESCRIPTION)
        try:
            recipe = Recipe(graph=raw["graph"], model=raw["model"], loss=raw["loss"])
            weights = safetensors.torch.load(folder.read(WEIGHTS))
            scaling = Scaling.from_dict(raw["scaling"])
            emd = EmdBundle.load(folder / EMD) if folder.exists(f"{EMD}/{DESCRIPTION}") else None
            bundle = cls(recipe, scaling, weights, raw["summary"], emd)
        except (KeyError, ValidationError, SafetensorError) as error:
            raise RunError(f"{folder}: not a whole model bundle: {error}") from None
        graph = recipe.graph
        if (scaling.columns, scaling.scaled_columns, scaling.efps is None) != (
            graph.columns,
            graph.scaled_columns,
            graph.efps is None,
        ):
            raise RunError(f"{folder}: not a whole model bundle: its scaling is of other features")
        return bundle

"""The bundle of a learned energy mover's distance: one folder that is enough to measure with.

``weights.safetensors`` and ``bundle.json``: the ``[emd]`` section, versions, summary of the
training. Loading it runs no code of the bundle's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError

import raybead
from raybead.config import Emd
from raybead.errors import RunError
from raybead.models.emd_network import EmdNetwork
from raybead.storage import Folder

WEIGHTS = "weights.safetensors"
DESCRIPTION = "bundle.json"


@dataclass(frozen=True)
class EmdBundle:
    """A trained network with all that a loss needs."""

    config: Emd
    weights: dict[str, torch.Tensor]
    summary: dict[str, Any]
    """Of the training: epochs, losses, numbers of pairs."""

    def model(self) -> EmdNetwork:
        """The network with its trained weights, in evaluation mode; its weights stay as they are.

        What goes through it still gets gradients.

        Raises:
            RunError: the weights are of another network.
        """
        network = EmdNetwork(self.config)
        try:
            network.load_state_dict(self.weights)
        except RuntimeError:
            raise RunError(
                "the weights of a learned energy mover's distance don't fit its description"
            ) from None
        return network.eval().requires_grad_(False)

    def save(self, folder: Folder) -> None:
        """Write the bundle's files."""
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.weights.items()}
        folder.write(WEIGHTS, safetensors.torch.save(tensors))
        folder.write_json(
            DESCRIPTION,
            {
                "emd": self.config.model_dump(mode="json"),
                "summary": self.summary,
                "versions": {"raybead": raybead.__version__, "torch": str(torch.__version__)},
            },
        )

    @classmethod
    def load(cls, folder: Folder) -> EmdBundle:
        """Read a bundle.

        Raises:
            RunError: there is none in the folder, or not a whole one.
        """
        if not folder.exists(DESCRIPTION):
            raise RunError(
                f"{folder}: no learned energy mover's distance in it; raybead train-emd makes one"
            )
        raw = folder.read_json(DESCRIPTION)
        try:
            weights = safetensors.torch.load(folder.read(WEIGHTS))
            return cls(Emd.model_validate(raw["emd"]), weights, raw["summary"])
        except (KeyError, TypeError, ValidationError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"{folder}: not a learned energy mover's distance, or not a whole one: {reason}"
            ) from None

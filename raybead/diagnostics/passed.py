"""What a trained model makes of items, in inference.

Axes: B items, N reconstructed nodes of all items together, F features, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raybead.graphs import JetBatch, Scaling
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Output

Array = NDArray[np.float64]
BATCH_ITEMS = 1024


@dataclass(frozen=True)
class Passed:
    """Items, and what a model made of them."""

    items: JetBatch
    """[B] unscaled."""
    total_B: Array
    """Their losses, as they are scored."""
    latents: dict[str, Array]
    """[B, Z] ``latent``; ``mu`` and ``sigma`` where there is a posterior; ``z0`` before a flow.
    The mean over the item's nodes where every node has its own."""
    output: Output
    """Of all items, its reconstruction that of features, scaled."""


@dataclass(frozen=True)
class Passing:
    """A trained model, ready to look at items.

    Args:
        bundle: of the model.
        device: that it runs on.
    """

    bundle: Bundle
    device: str = "cpu"

    def __call__(self, items: JetBatch) -> Passed:
        """What the model makes of items.

        Args:
            items: unscaled.
        """
        recipe, scaling = self.bundle.recipe, self.bundle.scaling
        loss = JetLoss(recipe.loss, Space(recipe.graph, scaling, self.device, self.bundle.emd))
        totals, outputs = [], []
        for batch, output in self.batches(items):
            totals.append(loss(output, batch).total_B.double().cpu())
            outputs.append(replace(output, reconstruction_NF=loss.reconstruction(output)))
        whole = _whole(outputs, scaling, recipe.model.latent)
        total_B = torch.cat(totals) if totals else torch.empty(0, dtype=torch.float64)
        return Passed(items, total_B.numpy(), _latents(whole), whole)

    def batches(self, items: JetBatch) -> Iterator[tuple[JetBatch, Output]]:
        """Scaled items, batch after batch, with what the model makes of them."""
        if len(items) == 0:
            return
        model = self.model
        with torch.inference_mode():
            for batch in self.scaled(items):
                yield batch, model(batch)

    def scaled(self, items: JetBatch) -> Iterator[JetBatch]:
        """Items as the model sees them, batch after batch, on its device."""
        if len(items) == 0:
            return
        scaled = self.bundle.scaling.apply(items)
        for index in torch.arange(len(items)).split(BATCH_ITEMS):
            yield scaled.select(index).to(self.device)

    @property
    def model(self) -> nn.Module:
        """The model, on its device."""
        return self.bundle.model().to(self.device)


def _latents(output: Output) -> dict[str, Array]:
    found = {"latent": output.latent, "mu": output.mu, "z0": output.z0}
    if output.log_variance is not None:
        found["sigma"] = (output.log_variance.float() / 2).exp()
    return {
        name: output.per_item(values).double().numpy()
        for name, values in found.items()
        if values is not None
    }


def _whole(outputs: list[Output], scaling: Scaling, latent: int) -> Output:
    """One output of the batches' outputs, on the CPU and in single precision."""
    if not outputs:
        none_NF = torch.empty(0, len(scaling.scaled_columns))
        return Output(none_NF, none_NF, torch.zeros(1, dtype=torch.long), torch.empty(0, latent))
    first = outputs[0]
    optional = ("mu", "log_variance", "z0")
    return Output(
        *(torch.cat([getattr(o, name).float().cpu() for o in outputs])
          for name in ("reconstruction_NF", "target_NF")),
        ptr=_joined([o.ptr for o in outputs]),
        latent=torch.cat([o.latent.float().cpu() for o in outputs]),
        latent_ptr=None if first.latent_ptr is None
        else _joined([o.latent_ptr for o in outputs if o.latent_ptr is not None]),
        **{
            name: torch.cat([getattr(o, name).float().cpu() for o in outputs])
            for name in optional
            if getattr(first, name) is not None
        },
    )  # fmt: skip


def _joined(offsets: list[Tensor]) -> Tensor:
    sizes = torch.cat([ptr.diff().cpu() for ptr in offsets])
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])

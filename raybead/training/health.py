"""What ails a trained model: units that are silent, outputs and latents that stay the same.

Each warning says what was measured, so none is wrong of a model that is well; thresholds only
decide what is worth a line. Axes: N reconstructed nodes, F features, Z of the latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from raybead.config import DistanceLoss
from raybead.graphs import JetBatch
from raybead.losses import JetLoss
from raybead.models import Output
from raybead.models.activity import STEADY, Units, activity
from raybead.models.slots import Slots
from raybead.training.split import batches

MAX_ITEMS = 2048
"""Enough for a unit that responds to one item in 300 to be seen with 99.9 %."""
MIN_ITEMS = 64
"""Of fewer, silence says nothing: a unit may well have its item elsewhere."""
SILENT = 0.75
"""Share of a layer's units from which on their silence is told. ReLU networks that train well
have a quarter to two thirds of such; the diagnostics of a run have them all."""
FLAT = 1e-4
"""Variance of a reconstruction in units of its target's: what varies by less than a hundredth of
the spread can take away a fiftieth of the squared error at best."""
INACTIVE = 0.01
"""Variance of mu across items in units of the posterior's own: what a standard normal prior makes
the known criterion of an inactive unit, 0.01 (arXiv:1509.00519, sec. 5.2). Noise drowns it."""


def warnings_of(
    model: nn.Module, items: JetBatch, index: Tensor, loss: JetLoss, names: Sequence[str]
) -> list[str]:
    """Lines of warning about a trained model, from items that it wasn't fitted on.

    Weights, running statistics, torch's random numbers and whether the model trains stay as they
    were.

    Args:
        model: with the weights that are kept.
        items: scaled.
        index: of the items that may be looked at; :data:`MAX_ITEMS` of them are, evenly from all.
        loss: that it was trained on.
        names: [F] of the scaled features.

    Returns:
        None for a model that is well, or on fewer than :data:`MIN_ITEMS`.
    """
    n = min(len(index), MAX_ITEMS)
    if n < MIN_ITEMS:
        return []
    few = index[torch.arange(n) * len(index) // n]
    made: list[_Made] = []
    layers = activity(
        model,
        (items.select(part) for part in batches(few, 512, None)),
        lambda batch, output: made.append(_Made.of(model, batch, output, loss)),
    )
    compared = _compared(loss, names)
    return [
        *_silent(layers, n),
        *_flat(made, [names.index(name) for name in compared], compared, n),
        *_collapsed(made, n),
    ]


class _Made:
    """What a model made of a batch, on the CPU and in double precision."""

    def __init__(self, place_N: Tensor, got_NF: Tensor, aim_NF: Tensor, output: Output) -> None:
        self.place_N, self.got_NF, self.aim_NF = place_N.cpu(), _double(got_NF), _double(aim_NF)
        self.latent = _double(output.latent)
        self.of_nodes = output.latent_ptr is not None
        self.flows = output.z0 is not None
        self.shares = output.concentration is not None
        self.mu = self.log_variance = None
        if output.mu is not None and output.log_variance is not None:
            self.mu, self.log_variance = _double(output.mu), _double(output.log_variance)

    @classmethod
    def of(cls, model: nn.Module, batch: JetBatch, output: Output, loss: JetLoss) -> _Made:
        width = getattr(model, "decode", None)
        if width is None:  # every node is decoded
            taken = batch.sizes_B if batch.slot_T is None else batch.slot_T + 1
            width = max(taken.tolist(), default=1)
        place_N = Slots.of(batch, max(width, 1)).place_N % max(width, 1)
        return cls(place_N, loss.reconstruction(output), output.target_NF, output)


def _silent(layers: Sequence[Units], items: int) -> Iterator[str]:
    for layer in layers:
        silent, units = sum(layer.dead), len(layer.dead)
        if layer.activation != "relu" or silent < SILENT * units or not silent:
            continue
        which = "all" if silent == units else f"{silent} of {units}"
        yield f"layer {layer.name}: {which} units respond to none of {items} validation items"


def _flat(
    made: Sequence[_Made], columns: list[int], names: Sequence[str], items: int
) -> Iterator[str]:
    """Of reconstructions that don't depend on the item.

    A decoder that knows nothing of an item still gives each place its own value, so spreads are
    those around each place's mean.
    """
    place_N = torch.cat([one.place_N for one in made])
    got_NF = torch.cat([one.got_NF for one in made])[:, columns]
    aim_NF = torch.cat([one.aim_NF for one in made])[:, columns]
    got_F, aim_F = _variance_within(place_N, got_NF), _variance_within(place_N, aim_NF)
    # A target that doesn't vary asks for nothing else.
    asks_F = aim_F > STEADY**2 * aim_NF.square().mean(dim=0)
    flat_F = asks_F & (got_F < FLAT * aim_F)
    flat: list[int] = flat_F.nonzero().flatten().tolist()
    if flat:
        spread = max(float((got_F[k] / aim_F[k]).sqrt()) for k in flat)
        yield (
            f"the reconstruction of {', '.join(names[k] for k in flat)} hardly depends on the"
            f" input: over {items} validation items it varies by {spread:.1g} of what it aims at"
            + (", or less" if len(flat) > 1 else "")
        )


def _collapsed(made: Sequence[_Made], items: int) -> Iterator[str]:
    of = "node" if made[0].of_nodes else "item"
    latent = torch.cat([one.latent for one in made])
    steady_Z = latent.std(dim=0, correction=0) <= STEADY * latent.square().mean(dim=0).sqrt()
    size = len(steady_Z)
    if bool(steady_Z.any()):
        yield (
            f"{_of_all(steady_Z)} of the latent's {size} dimensions are the same for every {of} of"
            f" {items} validation items"
        )
    drowned_Z = _drowned(made)
    if drowned_Z is not None and bool((drowned_Z & ~steady_Z).any()):
        yield (
            f"posterior collapse: in {_of_all(drowned_Z)} of the latent's {size} dimensions the"
            f" means of {items} validation items differ by less than a tenth of the posterior's"
            " width"
        )


def _drowned(made: Sequence[_Made]) -> Tensor | None:
    """[Z] whether a posterior's own spread drowns what its mean says; None where there is none.

    A flow lets a latent depend on the item by another way than the posterior, and nothing is said
    of it. Shares depend on all means together, so something is said of all only.
    """
    mus = [one.mu for one in made if one.mu is not None]
    log_variances = [one.log_variance for one in made if one.log_variance is not None]
    if not mus or made[0].flows:
        return None
    # The mean logarithm: a few items with a huge variance aren't the posterior.
    noise_Z = torch.cat(log_variances).mean(dim=0).exp()
    drowned_Z = torch.cat(mus).var(dim=0, correction=0) < INACTIVE * noise_Z
    return drowned_Z & drowned_Z.all() if made[0].shares else drowned_Z


def _of_all(which_Z: Tensor) -> str:
    return "all" if bool(which_Z.all()) else str(int(which_Z.sum()))


def _compared(loss: JetLoss, names: Sequence[str]) -> list[str]:
    """Scaled features whose reconstruction the loss compares with anything."""
    compared: set[str] = set()
    for section in loss.sections:
        if not section.compares or section.weight == 0:
            continue
        only = section.columns if isinstance(section, DistanceLoss) else None
        compared |= set(names if only is None else only)
    return [name for name in names if name in compared]


def _variance_within(place_N: Tensor, x_NF: Tensor) -> Tensor:
    """[F] mean square of the distance from the mean of a node's place."""
    places = int(place_N.max()) + 1 if len(place_N) else 0
    count_P1 = torch.bincount(place_N, minlength=places).clamp(min=1)[:, None]
    mean_PF = x_NF.new_zeros(places, x_NF.shape[1]).index_add(0, place_N, x_NF) / count_P1
    return (x_NF - mean_PF[place_N]).square().sum(dim=0) / max(len(x_NF), 1)


def _double(x: Tensor) -> Tensor:
    return x.detach().double().cpu()

"""Bundles of epochs that are kept besides the best one's."""

from __future__ import annotations

from raybead.models import Bundle
from raybead.storage import Folder


def kept_name(epoch: int) -> str:
    """Folder of the bundle of an epoch, counted from 1."""
    return f"{epoch:04d}"


def keep(bundle: Bundle, folder: Folder, epoch: int) -> None:
    """Write the bundle of an epoch in a folder of such, whole or not at all.

    Args:
        bundle: with the weights that the epoch left.
        folder: of all kept epochs.
        epoch: counted from 1. One that is there, from a try that was killed, is written anew.
    """
    name = kept_name(epoch)
    beside = folder / f".{name}"
    beside.delete()
    bundle.save(beside)
    beside.move_to(folder / name)


def kept_epochs(epochs: int, every: int | None) -> list[int]:
    """The epochs, counted from 1, that a training of so many keeps."""
    return [] if every is None else list(range(every, epochs + 1, every))

"""Where a training runs, and with whom."""

from __future__ import annotations

import io
import warnings
from typing import Any, Protocol

import torch
from torch import nn

from raybead.errors import StorageError
from raybead.storage import Folder
from raybead.training.loop import Trainer
from raybead.training.team import Alone, Team

STATE = "state.pt"


class Place(Protocol):
    """What a training asks of whatever runs it."""

    device: torch.device
    team: Team

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model in what averages gradients over the team."""
        ...

    def take_up(self, trainer: Any) -> None:
        """Go back to the last epoch that an earlier try left, if there is one."""
        ...

    def leave_state(self, trainer: Any) -> None:
        """Leave what a later try is taken up from."""
        ...


class LonePlace:
    """One process by itself, whose state lies in a folder."""

    def __init__(self, folder: Folder, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.team: Team = Alone()
        self._folder = folder

    def wrapped(self, model: nn.Module) -> nn.Module:
        return model

    def take_up(self, trainer: Trainer) -> None:
        if self._folder.exists(STATE):
            trainer.restore(state_of(self._folder.read(STATE), f"{self._folder}/{STATE}"))

    def leave_state(self, trainer: Trainer) -> None:
        self._folder.write(STATE, state_bytes(trainer))


def state_bytes(trainer: Any) -> bytes:
    """All that decides how a training goes on."""
    sink = io.BytesIO()
    torch.save(trainer.state(), sink)
    return sink.getvalue()


def state_of(content: bytes, origin: str) -> Any:
    """The state that :func:`state_bytes` wrote; reading it runs no code.

    Raises:
        StorageError: the content is anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is refused a line on
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  whatever another file makes of torch's reader
        raise StorageError(
            f"{origin}: not the state of a training; remove it to begin anew"
        ) from None

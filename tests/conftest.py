"""What tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from made import make_particles

from raybead.config import Jets
from raybead.events import Particles, event_table, make_jets, write_lhco

# What passed passes again: the same examples every time. `HYPOTHESIS_PROFILE=explore pytest
# tests/property` looks for new ones; one that fails is then kept as an @example.
# No deadline: how quick an example is says how busy the machine is.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", max_examples=200, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def particles() -> Particles:
    return make_particles(60, seed=3, signal=0.3)


@pytest.fixture(scope="session")
def event_rows(particles):
    """The particles as rows of the event schema."""
    return event_table(make_jets(particles, Jets()))


@pytest.fixture(scope="session")
def lhco_files(tmp_path_factory) -> dict[str, Path]:
    """Background without label, and a labelled search sample with a resonance."""
    folder = tmp_path_factory.mktemp("lhco")
    background, search = folder / "background.h5", folder / "search.h5"
    write_lhco(background, [make_particles(700, seed=1)], 700, "none")
    write_lhco(search, [make_particles(500, seed=2, signal=0.06)], 500, "column")
    return {"background": background, "search": search}


@pytest.fixture
def rewritten(tmp_path) -> Callable[..., Path]:
    """A copy of a small LHC Olympics file with some values changed: ``rewritten({(r, c): v})``."""
    import h5py

    def make(changes: dict[tuple[int, int], float], labels: str = "column") -> Path:
        path = tmp_path / "changed.h5"
        write_lhco(path, [make_particles(12, seed=5)], 12, labels)  # type: ignore[arg-type]
        with h5py.File(path, "r+") as file:
            for (row, column), value in changes.items():
                file["df/block0_values"][row, column] = value
        return path

    return make

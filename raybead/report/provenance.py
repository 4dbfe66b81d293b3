"""Where a run comes from, and what it took: input files, time and cost of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raybead.errors import StorageError
from raybead.events import recorded_by_both
from raybead.storage import MANIFEST, Folder, StageName

PROFILE = "profile.json"
"""What a run that was profiled keeps beside its stages."""


@dataclass(frozen=True)
class Input:
    """A file that events were read from."""

    sample: str
    path: str
    size: int | None
    """Bytes; None where the stage didn't keep them."""
    sha256: str | None
    """Of its content; None where it isn't known."""
    fingerprint: str
    """Short, of its size and what the storage says of its version."""


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    stage: str
    version: str
    """raybead's that did it."""
    seconds: float
    """By the clock."""
    cpu_hours: float | None
    """Of CPU time, all workers together; None where it wasn't measured."""
    peak_bytes: int | None
    """Most memory of a worker, likewise."""


@dataclass(frozen=True)
class Provenance:
    """Inputs and costs of a run."""

    inputs: tuple[Input, ...] = ()
    costs: tuple[Cost, ...] = ()
    shared: tuple[str, ...] = ()
    """Events that background and search both read, a sentence a file."""

    @classmethod
    def read(cls, run: Folder, stages: tuple[StageName, ...]) -> Provenance:
        """Of the stages of a run that are done.

        Raises:
            StorageError: a manifest is broken.
        """
        manifests = {
            name: (run / name).read_json(MANIFEST)
            for name in stages
            if (run / name).exists(MANIFEST)
        }
        inputs = tuple(
            one
            for name, manifest in manifests.items()
            if name.startswith("events/")
            for one in _inputs(name.removeprefix("events/"), manifest)
        )
        measured = _measured(run)
        costs = tuple(
            _cost(name, manifest, measured.get(name, {})) for name, manifest in manifests.items()
        )
        background, search = (
            manifests[name]["depends"].get("data", ()) if name in manifests else ()
            for name in ("events/background", "events/search")
        )
        return cls(inputs, costs, tuple(recorded_by_both(background, search)))

    @property
    def is_profiled(self) -> bool:
        """Whether CPU time of any stage is known."""
        return any(cost.cpu_hours is not None for cost in self.costs)

    @property
    def seconds(self) -> float:
        """Of all stages together."""
        return sum(cost.seconds for cost in self.costs)


def _inputs(sample: str, manifest: Mapping[str, Any]) -> list[Input]:
    kept = {one["path"]: one for one in manifest["facts"].get("inputs", ())}
    found = []
    for source in manifest["depends"].get("data", ()):
        for key, mark in (("path", "fingerprint"), ("labels", "labels_fingerprint")):
            path = source.get(key)
            if path is None or mark not in source:
                continue
            told = kept.get(path, {})
            found.append(Input(sample, path, told.get("bytes"), told.get("sha256"), source[mark]))
    return list(dict.fromkeys(found))


def _measured(run: Folder) -> Mapping[str, Any]:
    if not run.exists(PROFILE):
        return {}
    try:
        stages = run.read_json(PROFILE)["stages"]
    except (StorageError, KeyError, TypeError):  # not one of ours
        return {}
    return stages if isinstance(stages, dict) else {}


def _cost(name: str, manifest: Mapping[str, Any], measured: Mapping[str, Any]) -> Cost:
    # A profile of another key is of what the stage held before.
    if measured.get("key") != manifest["key"]:
        measured = {}
    seconds = measured.get("cpu_seconds")
    return Cost(
        name,
        manifest["raybead"],
        manifest["facts"].get("seconds", 0.0),
        None if seconds is None else seconds / 3600,
        measured.get("peak_rss_bytes"),
    )

"""The run folder: what lies where, and what of it is current."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import raybead
from raybead.errors import RunError
from raybead.storage.files import Folder

MANIFEST = "_manifest.json"
"""Readers of Parquet folders pass over names that begin with an underscore."""
JOB = "job.toml"
LAYOUT = 5
"""Raised when a stage's files change their form, so that older ones are made anew."""

StageName = Literal[
    "events/background", "events/search", "model", "scores", "hunt", "calibration", "reach",
    "diagnostics", "figures", "emd", "judged", "sweep",
]  # fmt: skip
Role = Literal["background", "search"]


@dataclass(frozen=True)
class Stage:
    """One stage's place in a run, and the key of what it should hold."""

    run: Folder
    name: StageName
    depends: Mapping[str, Any]
    """What its content follows from: parts of the job, inputs, keys of earlier stages."""
    manner: frozenset[str] = frozenset()
    """Keys of ``depends`` that only say how it is done: done otherwise it tells of the same."""

    @property
    def key(self) -> str:
        """Hash of all that the stage's content follows from."""
        return _key_of(self.depends)

    @property
    def folder(self) -> Folder:
        return self.run / self.name

    @property
    def beside(self) -> Folder:
        """Where the stage works until it is whole; another key has another place."""
        return self.run / ".partial" / f"{self.name.replace('/', '-')}-{self.key[:12]}"

    def why_stale(self) -> str | None:
        """Why the stage has to be done, in words; None if what lies there is current."""
        if not self.folder.exists(MANIFEST):
            return "resumed where it stopped" if self.beside.exists() else "not done yet"
        manifest = self.folder.read_json(MANIFEST)
        if manifest.get("key") == self.key:
            lost = sorted(set(manifest.get("files", [])) - set(self.folder.names()))
            return f"files are gone: {', '.join(lost[:3])}" if lost else None
        then = manifest.get("depends", {})
        now = json.loads(json.dumps(self.depends))
        changed = sorted(k for k in {*then, *now} if then.get(k) != now.get(k))
        return f"changed: {', '.join(changed) or 'layout of the files'}"

    def held(self) -> str | None:
        """Key of what lies there, where that tells of what this would, in whichever manner."""
        if not self.folder.exists(MANIFEST):
            return None
        manifest = self.folder.read_json(MANIFEST)
        key, then = manifest.get("key"), manifest.get("depends", {})
        if set(manifest.get("files", [])) - set(self.folder.names()):
            return None
        alike = self._subject(then) == self._subject(json.loads(json.dumps(self.depends)))
        return key if key == self.key or (alike and key == _key_of(then)) else None

    def mark(self) -> None:
        """Note in the manifest whether what lies there tells of what the run's job now says."""
        if self.folder.exists(MANIFEST):
            manifest = self.folder.read_json(MANIFEST)
            current = self.held() is not None
            if manifest.get("current") != current:
                self.folder.write_json(MANIFEST, manifest | {"current": current})

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Move what was written beside into place and sign it."""
        files = self.beside.names()
        self.beside.move_to(self.folder)
        self._sign(facts, files)
        partial = self.run / ".partial"
        for name in partial.names():  # what earlier settings left half done
            if name.startswith(f"{self.name.replace('/', '-')}-"):
                (partial / name).delete()

    def _subject(self, depends: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in depends.items() if name not in self.manner}

    def _sign(self, facts: Mapping[str, Any], files: list[str]) -> None:
        """Write the manifest: from here on the stage counts as done."""
        self.folder.write_json(
            MANIFEST,
            {
                "stage": self.name,
                "key": self.key,
                "current": True,
                "raybead": raybead.__version__,
                "depends": dict(self.depends),
                "files": files,
                "facts": dict(facts),
            },
        )

    def facts(self) -> dict[str, Any]:
        """What the stage said of itself when it was done.

        Raises:
            RunError: it isn't done.
        """
        return stage_facts(self.run, self.name)


def _key_of(depends: Mapping[str, Any]) -> str:
    text = json.dumps({"layout": LAYOUT, **depends}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(run: Folder, name: StageName) -> bool:
    """Whether a stage is done, and for the job that the run folder now holds."""
    held = run / name
    return held.exists(MANIFEST) and bool(held.read_json(MANIFEST).get("current"))


def stage_facts(run: Folder, name: StageName) -> dict[str, Any]:
    """What a stage said of itself when it was done, whichever job it was done for."""
    if not (run / name).exists(MANIFEST):
        raise RunError(f"{run}: stage {name} isn't done")
    return (run / name).read_json(MANIFEST)["facts"]

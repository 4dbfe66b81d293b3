"""What of a run is brought elsewhere, and how it is put in place there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from raybead.errors import RunError, StorageError
from raybead.storage.files import Folder
from raybead.storage.run import JOB

FETCHED = ".fetched.json"
"""In a folder that was fetched, and so may be fetched again: where it came from."""


def fetched_files(run: Folder, *, events: bool) -> dict[str, int]:
    """What of a run is brought elsewhere: bytes of each file, by name.

    Args:
        run: whose files they are.
        events: prepared events too; they are most of a run, and can be prepared again.

    Raises:
        RunError: there is no run.
        StorageError: a file has a name that can't be taken over.
    """
    if not run.exists(JOB):
        raise RunError(f"{run}: no run of raybead there")
    kept = {}
    for name, size in run.files().items():
        parts = name.split("/")
        # Hidden: work that isn't finished, and what a process is writing just now.
        if any(part.startswith(".") and part != ".." for part in parts):
            continue
        if events or "events" not in parts[:-1]:
            kept[safe_name(name)] = size
    return kept


def safe_name(name: str) -> str:
    """A file's name below a folder, as it is.

    Raises:
        StorageError: it leads out of the folder, is hidden, or no name everywhere.
    """
    parts = name.split("/")
    odd = any(not part or part.startswith(".") for part in parts)
    if odd or not name.isprintable() or any(sign in name for sign in "\\:"):
        raise StorageError(f"{name!r} is no name of a run's file")
    return name


def refuse_taken(target: Path) -> None:
    """Refuse to fetch to where something else lies.

    Raises:
        RunError: what lies there wasn't fetched.
    """
    if os.path.lexists(target) and (target.is_symlink() or not (target / FETCHED).is_file()):
        raise RunError(f"{target}: is there, and wasn't fetched; fetch to another folder")


def fetch(target: Path, source: str, fill: Callable[[Path], object]) -> None:
    """Put a run at ``target``, whole or not at all; an earlier one that was fetched goes.

    Args:
        target: of the run.
        source: what is noted of where it came from.
        fill: writes the run into an empty folder.

    Raises:
        RunError: something else lies there.
        StorageError: it can't be written.
    """
    refuse_taken(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"{target.parent}: {error.strerror or error}") from None
    try:
        new, old = beside / "new", beside / "old"
        new.mkdir()
        fill(new)
        (new / FETCHED).write_text(json.dumps({"from": source}))
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            if old.exists():
                os.rename(old, target)
            raise
    except OSError as error:
        raise StorageError(f"{target}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside)

"""Job files as they are written: read, overridden, and not checked yet."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raybead.config.secrets import refuse_secrets
from raybead.errors import JobError

_ARRAYS = ("loss", "train.anneal")
"""Keys under which one table may stand for an array of one."""


def load_raw(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a job file as it is written, with overrides set; see :func:`raybead.config.load_job`.

    Raises:
        JobError: the file can't be read, or an override is no key and value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise JobError(f"{path}: no such job file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: can't be read as text: {error}") from None
    return parse_raw(text, overrides, origin=str(path))


def parse_raw(text: str, overrides: Sequence[str] = (), *, origin: str = "job") -> dict[str, Any]:
    """The same of a text."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{origin}: not TOML: {error}") from None
    for override in overrides:
        _override(raw, override)
    refuse_secrets(raw, origin=origin)
    return raw


def set_key(raw: dict[str, Any], key: str, value: Any, *, origin: str) -> None:
    """Set ``section.key`` in place; a place in an array is its number.

    Raises:
        JobError: there is no such place, or a section's name has a value.
    """
    parts = key.split(".")
    here: Any = raw
    for depth, part in enumerate(parts[:-1]):
        if ".".join(parts[: depth + 1]) in _ARRAYS and parts[depth + 1].isdigit():
            _as_array(here, part)
        if isinstance(here, list):
            here = here[_place(part, here, origin)]
        else:
            here = here.setdefault(part, {})
        if not isinstance(here, (dict, list)):
            raise JobError(f"{origin}: {part} is a value, not a section")
        if isinstance(here, list) and not parts[depth + 1].isdigit():
            raise JobError(f"{origin}: {part} is a list of {len(here)}; say which, as {part}.0")
    if isinstance(here, list):
        here[_place(parts[-1], here, origin)] = value
    else:
        here[parts[-1]] = value


def value_at(raw: Any, key: str) -> tuple[bool, Any]:
    """Whether ``section.key`` is said, and what it says."""
    for part in key.split("."):
        if isinstance(raw, Mapping) and part in raw:
            raw = raw[part]
        elif isinstance(raw, list | tuple) and part.isdigit() and int(part) < len(raw):
            raw = raw[int(part)]
        else:
            return False, None
    return True, raw


def _override(raw: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    key, origin = key.strip(), f"--set {override!r}"
    if not sign or not all(key.split(".")):
        raise JobError(f"{origin}: write it as section.key=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    set_key(raw, key, parsed, origin=origin)


def _as_array(section: Any, part: str) -> None:
    if isinstance(section, dict) and isinstance(section.get(part, {}), dict):
        section[part] = [section.get(part, {})]


def _place(part: str, held: list[Any], origin: str) -> int:
    if not part.isdigit() or int(part) >= len(held):
        raise JobError(f"{origin}: {part!r} is no place in a list of {len(held)}")
    return int(part)

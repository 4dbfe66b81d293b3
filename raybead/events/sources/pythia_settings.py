"""Which of Pythia's settings a job file may make."""

from __future__ import annotations

import re
from typing import Any

from raybead.errors import InputError

_LINE = re.compile(r"([A-Za-z0-9]+(?::[A-Za-z0-9]+){1,2})(?:\s*=\s*|\s+)(\S.*)")
"""``Name:name = value``, or ``34:m0 = value`` of a particle. Pythia itself is more lenient, in
ways by which a name could be hidden."""


def refuse_reaching_out(pythia: Any, line: str) -> None:
    """Refuse a setting by which Pythia would load a library, or read or write files of its own.

    A job file says what is computed; it isn't a way to run code. ``Init:plugins`` and
    ``Vincia:MEplugin`` load libraries, sets of LHAPDF come by one, and many words are files.

    Args:
        pythia: whose settings say of which kind each is.
        line: as ``readString`` takes it.

    Raises:
        InputError: which line.
    """
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise InputError(f"the Pythia setting {line!r} isn't written as 'Name:name = value'")
    name, value = found[1].lower(), found[2].strip()
    word = pythia.settings.isWord(name) and not value.isdecimal()  # PDF sets of its own: numbers
    if word or name.startswith("init:") or name.endswith("reuseinit"):
        raise InputError(
            f"the Pythia setting {line!r} would load a library, or read or write a file; a job"
            " file doesn't"
        )

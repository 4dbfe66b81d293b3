"""Pages that are written from the code: ``make keys`` writes them, a test holds them to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pages_from_code.bibliography import bibliography
from pages_from_code.command_line import command_line
from pages_from_code.job_file import job_file

DOCS = Path(__file__).parents[1]
PAGES: dict[str, Callable[[], str]] = {
    "job-file.md": job_file,
    "command-line.md": command_line,
    "bibliography.md": bibliography,
}
"""By file in docs/: what it says."""

__all__ = ["DOCS", "PAGES"]

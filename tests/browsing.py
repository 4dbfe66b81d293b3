"""A real browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def opened_browser() -> Iterator[Any]:
    """A headless Chromium: of RAYBEAD_BROWSER, of the path, or playwright's own; or a skip."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    with api.sync_playwright() as playwright:
        named = os.environ.get("RAYBEAD_BROWSER")
        found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
        own = playwright.chromium.executable_path
        if found is None and not Path(own).exists():
            pytest.skip(
                "no browser: RAYBEAD_BROWSER says none, no chromium or chrome is on the path, and"
                " playwright has none of its own"
            )
        # Chromium refuses its sandbox to root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()

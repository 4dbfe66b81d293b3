"""The site is built without a warning, and without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from texts import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site, its notebook not run: that is another test's."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-D", "nb_execution_mode=off", "-d", folder / "trees"]
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "-b", "html", DOCS, folder / "html"],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "html"


def test_every_page_is_there(site):
    pages = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    assert len(pages) > 20
    for page in pages:
        built = site / page.relative_to(DOCS).with_suffix(".html")
        assert built.stat().st_size > 5000, page


def test_what_people_look_up_is_found(site):
    def has(page: str, *words: str) -> None:
        text = (site / page).read_text(encoding="utf-8")
        assert [word for word in words if word not in text] == []

    has("job-file.html", "batch_items", "Entropic regularisation", "keys-of-losssinkhorn")
    has("command-line.html", "--from-sweep", "train-emd")
    has("api/running.html", "raybead.pipeline.execute", "raybead.config.reference.tables")
    has("api/hunt.html", "hunt_here")
    has("bibliography.html", "https://arxiv.org/abs/1101.0390")
    has("tutorial.html", "MASS")
    has("genindex.html", "execute()")


def test_nothing_leads_to_another_machine(site):
    """Pages load nothing but what lies beside them, and what draws formulae."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(https?:[^\"]+)", text
        )
        assert [one for one in loaded if "mathjax" not in one.lower()] == [], page

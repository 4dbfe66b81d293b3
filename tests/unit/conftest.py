"""A server to download from, and the command that does."""

from __future__ import annotations

import pytest
from zenodo import serving

from raybead.cli import main


@pytest.fixture
def zenodo():
    """A server of two files on this machine."""
    with serving() as server:
        yield server


@pytest.fixture
def downloaded(zenodo, tmp_path, capsys):
    """Run ``raybead download`` against the server: exit status, stdout, stderr."""

    def run(*words, api=None):
        options = ["--record-api", api or zenodo.api, "--wait", "0.001", "--tries", "3"]
        code = 0
        try:
            main(["download", *words, "--to", str(tmp_path / "data"), *options])
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return run

"""The tutorial runs as it stands, by this Python, and what it claims holds."""

from __future__ import annotations

import json
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from texts import NOTEBOOK, ROOT

STRICT = """
import warnings
warnings.filterwarnings("error")
warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning, module="ray.*")
warnings.filterwarnings("ignore", category=ResourceWarning)
warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="ipykernel.*")
"""
"""Warnings as in all other tests."""


def test_nothing_that_was_run_is_kept():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_tutorial_runs(tmp_path, monkeypatch):
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "this Python",
        "language": "python",
    }
    kernel = tmp_path / "kernels" / "this-python"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Ray's sockets don't fit under a long path; it makes its own folder in /tmp.
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="this-python",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()  # a cell that fails raises
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    drawn = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert "global p" in printed
    assert "without the truth column" in printed
    assert len(drawn) == 5

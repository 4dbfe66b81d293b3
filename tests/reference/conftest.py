"""What references share."""

from __future__ import annotations

import pytest

from raybead.hunt.toys import kernel


@pytest.fixture(params=["compiled", "direct", "by bin", "numpy"])
def how(request, monkeypatch):
    """Every way in which toys are drawn: event by event, bin by bin, without a compiler."""
    assert kernel.COMPILED, "gcc and Python's headers are there, so the toys have to be"
    monkeypatch.setattr(kernel, "COMPILED", request.param != "numpy")
    direct = {"direct": 10**9, "by bin": 0}.get(request.param, kernel._DIRECT)
    monkeypatch.setattr(kernel, "_DIRECT", direct)

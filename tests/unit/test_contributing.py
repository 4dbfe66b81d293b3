"""The example of a new loss works as it stands."""

import re
import sys
import types
from pathlib import Path
from typing import Literal

import torch

import raybead.config
from raybead.config import Graph
from raybead.config.terms import Term as Section
from raybead.graphs import Scaling
from raybead.losses import JetLoss, Space
from raybead.models import Output

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_example_trains_and_scores(monkeypatch):
    section, loss = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {"Term": Section, "Literal": Literal}
    exec(section, names)
    monkeypatch.setattr(raybead.config, "WorstLoss", names["WorstLoss"], raising=False)
    module = types.ModuleType("raybead.losses.worst")
    exec(loss, vars(module))
    monkeypatch.setitem(sys.modules, "raybead.losses.worst", module)
    x, y = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    ptr = torch.tensor([0, 2, 5])
    space = Space(Graph(), Scaling.fit(Graph(), y))
    term = names["WorstLoss"](kind="worst", weight=2.0)
    value = JetLoss([term], space)(Output(x, y, ptr, x), None)
    squares = (x - y).square().sum(dim=1)
    expected = torch.stack([squares[:2].max(), squares[2:].max()])
    torch.testing.assert_close(value.terms["worst"], expected)
    torch.testing.assert_close(value.total_B, 2 * expected)
    value.total_B.sum().backward()
    assert (x.grad != 0).any(dim=1).sum() == 2

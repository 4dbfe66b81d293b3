"""What takes seconds to load is loaded by who needs it: every worker process would wait for it."""

import subprocess
import sys

import pytest

FIT = """
import torch
from raybead.config import Graph
from raybead.distributed import train
from raybead.graphs import Scaling
Scaling.fit(Graph(), torch.randn(9, 3))
"""
SCORE = """
import torch
from raybead.distributed import score
from raybead.models import AllPairsEdgeConv
with torch.inference_mode():
    for aggregation in ("mean", "max"):
        layer = AllPairsEdgeConv(3, (4, 2), last_relu=True, aggregation=aggregation)
        layer(torch.randn(5, 3), torch.tensor([0, 2, 5]))
"""


@pytest.mark.parametrize(
    ("work", "unwanted"),
    [
        ("from raybead.distributed import emd_targets, hunt, prepare", "torch"),
        ("from raybead.distributed import hunt", "ray.data"),
        (FIT, "sklearn"),
        (SCORE, "torch._dynamo"),
    ],
    ids=["no torch", "no Ray Data", "no scikit-learn", "no compiler"],
)
def test_a_worker_does_without(work, unwanted):
    check = f"{work}\nimport sys; assert {unwanted!r} not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", check], check=True)

"""A driver that fills every node's object store before it does what raybead is told.

As a program: ``ballast.py ADDRESS MEGABYTES VERB JOB``.
"""

from __future__ import annotations

import sys

import numpy as np
import ray
from ray._private.internal_api import memory_summary
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PART = 10
"""Megabytes of an object."""


@ray.remote(num_cpus=0)
def weight(number: int) -> np.ndarray:
    return np.full(PART * 2**20, number % 256, dtype=np.uint8)


def main() -> None:
    from raybead.cli import main as raybead

    address, megabytes, *arguments = sys.argv[1:]
    ray.init(address=address, logging_level="warning", log_to_driver=False)
    held = []
    for node in ray.nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        on_node = weight.options(scheduling_strategy=there)
        held += [on_node.remote(n) for n in range(int(megabytes) // PART)]
    ray.wait(held, num_returns=len(held), fetch_local=False)
    try:
        raybead(arguments)
    finally:
        for line in memory_summary(address, stats_only=True).splitlines():
            if "pilled" in line or "estored" in line:
                print(line.strip(), flush=True)
        for number, one in enumerate(held):  # what was put aside is whole
            assert (ray.get(one) == number % (int(megabytes) // PART) % 256).all()


if __name__ == "__main__":
    main()

"""Energy flow polynomials, beside one einsum a graph and jet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from raybead.config import Efps
from raybead.observables.efps import Multigraph, multigraphs
from raybead.observables.efps.values import polynomials

Paired = Callable[[Callable[[], object], Callable[[], object]], tuple[float, float]]


def efp_rows(paired: Paired) -> list[tuple[str, str, str, bool | None]]:
    """Rows of the table: all 140 of up to 5 vertices and 6 edges, of made-up jets of 30.

    The reference has its angles and a greedy order for every contraction beforehand, and doesn't
    do composites: those are products in both.
    """
    torch.set_num_threads(1)
    config, n, size = Efps(), 256, 30
    rng = np.random.default_rng(0)
    pt = rng.exponential(20, (n, size))
    eta, phi = rng.normal(0, 0.3, (2, n, size))
    columns = [torch.from_numpy(x.ravel()) for x in (pt, eta, phi)]
    ptr = torch.arange(n + 1) * size
    z = pt / pt.sum(axis=1, keepdims=True)
    theta = np.hypot(eta[:, :, None] - eta[:, None], phi[:, :, None] - phi[:, None])
    powers = [theta**k for k in range(config.d + 1)]
    graphs = multigraphs(config.model_copy(update={"composites": False}))[1:]
    found: dict[str, np.ndarray] = {}

    def operands(graph: Multigraph, jet: int) -> list[Any]:
        vertices = {v for edge in graph for v in edge}
        taken: list[Any] = [x for v in sorted(vertices) for x in (z[jet], [v])]
        for edge in sorted(set(graph)):
            taken += [powers[graph.count(edge)][jet], list(edge)]
        return [*taken, []]

    paths = [np.einsum_path(*operands(graph, 0), optimize="greedy")[0] for graph in graphs]
    few = n // 8

    def ours() -> None:
        found["ours"] = polynomials(columns[0], columns[1], columns[2], ptr, config).numpy()

    def one_by_one() -> None:
        found["theirs"] = np.array(
            [
                [
                    np.einsum(*operands(g, jet), optimize=p)
                    for g, p in zip(graphs, paths, strict=True)
                ]
                for jet in range(few)
            ]
        )

    mine, reference = paired(ours, one_by_one)
    connected = found["ours"][:few, 1 : 1 + len(graphs)]
    np.testing.assert_allclose(connected, found["theirs"], rtol=1e-10)
    each, ratio = mine / n, reference / few / (mine / n)
    return [
        (
            f"{len(found['ours'][0])} energy flow polynomials over an einsum each, one thread",
            f"{ratio:.1f}",
            ">= 10",
            ratio >= 10,
        ),
        ("the same, ms a jet of 30", f"{1e3 * each:.2f}", "< 0.88", 1e3 * each < 0.88),
    ]

"""Loopless multigraphs, the names of the energy flow polynomials (arXiv:1712.07124, section 2)."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

from raybead.config import Efps

Multigraph = tuple[tuple[int, int], ...]
"""Edges (i, j) with i < j, as often as they are there; vertices are numbered from 0."""
_Links = tuple[tuple[int, ...], ...]
"""How many edges join vertex k to each of 0 ... k - 1, for every k."""


def multigraphs(config: Efps) -> tuple[Multigraph, ...]:
    """All that a job asks for, one of each kind up to isomorphism, in an order that stays.

    First the connected ones, by vertices, then edges, then form: the single vertex leads. Of all
    numberings of the vertices, a graph's is the one that makes the numbers of edges between 0
    and 1, 0 and 2, 1 and 2, 0 and 3, ... largest, compared one after another; of two graphs the
    one whose numbers are larger comes first. Then, with ``composites``, the disjoint unions of
    connected ones that have an edge, by vertices, edges and the places of their parts. Vertices
    and edges of a union count together.
    """
    alone = connected(config.n, config.d)
    if not config.composites:
        return alone
    return alone + tuple(
        _union([alone[i] for i in parts]) for parts in composites(config.n, config.d)
    )


def n_polynomials(config: Efps) -> int:
    """How many :func:`multigraphs` are."""
    return len(connected(config.n, config.d)) + (
        len(composites(config.n, config.d)) if config.composites else 0
    )


@lru_cache
def connected(n: int, d: int) -> tuple[Multigraph, ...]:
    """Connected multigraphs of at most ``n`` vertices and ``d`` edges."""
    generation: set[_Links] = {((),)}
    found = set(generation)
    for _ in range(d):
        # Without an edge of a cycle, or the leaf of a tree, a connected graph is still connected:
        # all of them grow from those of one edge less.
        grown = {larger for links in generation for larger in _one_edge_more(links, n)}
        generation = {_numbered(links) for links in grown}
        found |= generation
    ordered = sorted(found, key=lambda links: (len(links), _n_edges(links), _descending(links)))
    return tuple(map(_edges, ordered))


@lru_cache
def composites(n: int, d: int) -> tuple[tuple[int, ...], ...]:
    """Places in :func:`connected` of the parts of every composite, ascending."""
    sizes = [(n_vertices(graph), len(graph)) for graph in connected(n, d)]
    unions: list[tuple[int, int, tuple[int, ...]]] = []

    def extend(parts: tuple[int, ...], vertices: int, edges: int) -> None:
        if len(parts) > 1:
            unions.append((vertices, edges, parts))
        for i in range(parts[-1] if parts else 1, len(sizes)):  # 0 is the single vertex
            if vertices + sizes[i][0] <= n and edges + sizes[i][1] <= d:
                extend((*parts, i), vertices + sizes[i][0], edges + sizes[i][1])

    extend((), 0, 0)
    return tuple(parts for _, _, parts in sorted(unions))


def n_vertices(graph: Multigraph) -> int:
    """Vertices of a graph of which only a single one can be without an edge."""
    return 1 + max((j for _, j in graph), default=0)


def _one_edge_more(links: _Links, n: int) -> list[_Links]:
    """With another edge between two vertices, or to a new one."""
    size = len(links)
    grown = []
    for i, j in combinations(range(size), 2):
        row = (*links[j][:i], links[j][i] + 1, *links[j][i + 1 :])
        grown.append((*links[:j], row, *links[j + 1 :]))
    if size < n:
        leaves = [tuple(int(i == j) for j in range(size)) for i in range(size)]
        grown += [(*links, leaf) for leaf in leaves]
    return grown


def _numbered(links: _Links) -> _Links:
    """The same graph in the numbering of :func:`multigraphs`."""
    size = len(links)
    between = [[0] * size for _ in range(size)]
    for k, row in enumerate(links):
        for i, count in enumerate(row):
            between[k][i] = between[i][k] = count
    # Vertex by vertex, all numberings that are still the best.
    best: list[tuple[int, ...]] = [()]
    form: list[tuple[int, ...]] = []
    for _ in range(size):
        rows: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for taken in best:
            for k in range(size):
                if k not in taken:
                    row = tuple(between[k][i] for i in taken)
                    rows.setdefault(row, []).append((*taken, k))
        form.append(max(rows))
        best = rows[form[-1]]
    return tuple(form)


def _n_edges(links: _Links) -> int:
    return sum(map(sum, links))


def _descending(links: _Links) -> list[int]:
    return [-count for row in links for count in row]


def _edges(links: _Links) -> Multigraph:
    pairs = [(i, j, count) for j, row in enumerate(links) for i, count in enumerate(row)]
    return tuple(sorted((i, j) for i, j, count in pairs for _ in range(count)))


def _union(parts: list[Multigraph]) -> Multigraph:
    """Side by side, each part's vertices after those of the one before."""
    edges: list[tuple[int, int]] = []
    shift = 0
    for part in parts:
        edges += [(i + shift, j + shift) for i, j in part]
        shift += n_vertices(part)
    return tuple(edges)

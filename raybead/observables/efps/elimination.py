"""In which order to sum over a multigraph's vertices, so that graphs share what they need.

The polynomial of a graph is a sum over all choices of a particle for every vertex. Taking a vertex
out sums over its particle alone (variable elimination, arXiv:1712.07124, section 3.3). With one
neighbour that leaves a vector over the neighbour's particles (:class:`Leaf`), with two a matrix
(:class:`Link`), with three a tensor (:class:`Star`), which is never kept: it is used up row by row
where the next of the three is taken out. No graph of at most eight edges needs more.

z stands for momentum fractions, theta for the matrix of angles to the power beta.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from raybead.observables.efps.multigraphs import Multigraph, n_vertices


class Matrix(NamedTuple):
    """Elementwise product of theta to a power and of links."""

    power: int = 0
    links: tuple[tuple[int, bool], ...] = ()
    """Their numbers, and whether they are transposed; ascending."""


Vector = tuple[int, ...]
"""Elementwise product of the leaves of these numbers, ascending; of none: ones."""


class Leaf(NamedTuple):
    """v_i = sum_k A_ik z_k w_k"""

    a: Matrix
    w: Vector


class Star(NamedTuple):
    """T_ijk = sum_l A_il B_jl C_kl z_l w_l"""

    a: Matrix
    b: Matrix
    c: Matrix
    w: Vector


class Link(NamedTuple):
    """M_ij = sum_k A_ik B_jk z_k w_k, times T_ijk of every star."""

    a: Matrix
    b: Matrix
    w: Vector
    stars: tuple[Star, ...]


Sum = Leaf | Link
_Arms = tuple[tuple[tuple[int, Matrix], ...], Vector]
"""A star: its three vertices with the matrices from there to the one taken out; the weight."""


@dataclass(frozen=True)
class _Left:
    """A graph some of whose vertices are taken out."""

    weights: dict[int, Vector]
    """Of the vertices that are left."""
    edges: dict[tuple[int, int], Matrix]
    """Rows belong to the first, and lesser, vertex."""
    stars: tuple[_Arms, ...] = ()

    def key(self) -> object:
        return frozenset(self.weights.items()), frozenset(self.edges.items()), self.stars

    def neighbours(self, v: int) -> list[int]:
        met = {i for edge in self.edges if v in edge for i in edge}
        met |= {i for arms, _ in self.stars if v in dict(arms) for i, _ in arms}
        return sorted(met - {v})

    def without(self, v: int) -> _Left:
        return _Left(
            {i: w for i, w in self.weights.items() if i != v},
            {edge: matrix for edge, matrix in self.edges.items() if v not in edge},
            tuple(star for star in self.stars if v not in dict(star[0])),
        )


class Sums:
    """Sums by number, the parts of one before itself; and the ways through graph after graph."""

    def __init__(self) -> None:
        self.of: list[Sum] = []
        self.used: set[int] = set()
        """Those that the graphs so far need; the others were only considered."""
        self._symmetric: list[bool] = []
        self._number: dict[Sum, int] = {}

    def take(self, graph: Multigraph) -> Vector:
        """What a connected graph is when one vertex is left, by the least new work."""
        edges: dict[tuple[int, int], Matrix] = {}
        for edge in graph:
            edges[edge] = Matrix(edges.get(edge, Matrix()).power + 1)
        start = _Left(dict.fromkeys(range(n_vertices(graph)), ()), edges)
        ends: set[Vector] = set()
        met, waiting = {start.key()}, [start]
        while waiting:
            left = waiting.pop()
            if len(left.weights) == 1:
                ends |= set(left.weights.values())
                continue
            for v in _next(left):
                after = self._summed(left, v)
                if after.key() not in met:
                    met.add(after.key())
                    waiting.append(after)
        best = min(ends, key=lambda end: (self._work(end), end))
        self.used |= self._needed(best)
        return best

    def transposed(self, matrix: Matrix) -> Matrix:
        links = ((i, not turned and not self._symmetric[i]) for i, turned in matrix.links)
        return Matrix(matrix.power, tuple(sorted(links)))

    def _summed(self, left: _Left, v: int) -> _Left:
        """With a vertex taken out that has up to three neighbours."""
        after, w = left.without(v), left.weights[v]
        arms = tuple((i, self._seen(left, i, v)) for i in left.neighbours(v))
        match arms:
            case ((i, a),):
                leaf = self._numbered(Leaf(a, w), False)
                weight = tuple(sorted((*after.weights[i], leaf)))
                return replace(after, weights={**after.weights, i: weight})
            case ((i, a), (j, b)):
                held = [star for star in left.stars if v in dict(star[0])]
                link = self._link(a, b, w, [_turned(star, i, j, v) for star in held])
                old = after.edges.get((i, j), Matrix())
                edge = Matrix(old.power, tuple(sorted((*old.links, link))))
                return replace(after, edges={**after.edges, (i, j): edge})
            case _:
                return replace(after, stars=(*after.stars, (arms, w)))

    def _seen(self, left: _Left, i: int, j: int) -> Matrix:
        """The edge with rows for i; ones where only a star joins the two."""
        if i < j:
            return left.edges.get((i, j), Matrix())
        return self.transposed(left.edges.get((j, i), Matrix()))

    def _link(self, a: Matrix, b: Matrix, w: Vector, stars: list[Star]) -> tuple[int, bool]:
        """One number for both directions, and whether this is the other one."""
        back = [Star(star.b, star.a, star.c, star.w) for star in stars]
        this = Link(a, b, w, tuple(sorted(stars)))
        one, other = sorted((this, Link(b, a, w, tuple(sorted(back)))))
        return self._numbered(one, one == other), one != this

    def _numbered(self, wanted: Sum, symmetric: bool) -> int:
        if wanted not in self._number:
            self._number[wanted] = len(self.of)
            self.of.append(wanted)
            self._symmetric.append(symmetric)
        return self._number[wanted]

    def _needed(self, vector: Vector) -> set[int]:
        """Its leaves, and all that is in them."""
        found: set[int] = set()
        waiting = list(vector)
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += parts(self.of[number])
        return found

    def _work(self, vector: Vector) -> int:
        """What it takes beyond what the graphs so far do; in units of a vector's product."""
        return sum(_work(self.of[i]) for i in self._needed(vector) - self.used)


def matrices_of(wanted: Sum) -> list[Matrix]:
    """Matrices that a sum is made of."""
    match wanted:
        case Leaf(a):
            return [a]
        case Link(a, b, _, stars):
            return [a, b, *(matrix for star in stars for matrix in star[:3])]


def vectors_of(wanted: Sum) -> list[Vector]:
    """Weights in a sum."""
    stars = wanted.stars if isinstance(wanted, Link) else ()
    return [wanted.w, *(star.w for star in stars)]


def parts(wanted: Sum) -> list[int]:
    """Numbers of the sums in a sum."""
    links = [i for matrix in matrices_of(wanted) for i, _ in matrix.links]
    return links + [i for vector in vectors_of(wanted) for i in vector]


def even(link: Link) -> bool:
    """Whether every part of it is the same for rows as for columns."""
    return link.a == link.b and all(star.a == star.b for star in link.stars)


def _next(left: _Left) -> list[int]:
    """Vertices one of which goes next: of the fewest neighbours, and not at the end of a star
    unless it goes by that."""
    degree = {v: len(left.neighbours(v)) for v in left.weights}
    least = min(degree.values())
    held = {v for arms, _ in left.stars for v, _ in arms} if least > 2 else set()
    found = [v for v in degree if degree[v] == least and v not in held]
    # What hangs on a cycle can as well go in any order; a tree is summed towards any vertex.
    hangs = least == 1 and len(left.edges) >= len(left.weights)
    return found[:1] if hangs else found


def _turned(star: _Arms, i: int, j: int, k: int) -> Star:
    arms, w = star
    ends = dict(arms)
    return Star(ends[i], ends[j], ends[k], w)


def _work(wanted: Sum) -> int:
    match wanted:
        case Leaf(a):
            return 1 + len(a.links)
        case Link(_, _, w, stars) if not stars:
            return 10 + bool(w)
        case Link(_, _, _, stars):
            return (1 if even(wanted) else 2) * 150 * len(stars)

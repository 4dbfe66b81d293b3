"""What to compute for a set of multigraphs, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from raybead.observables.efps.elimination import (
    Leaf,
    Link,
    Matrix,
    Star,
    Sums,
    Vector,
    even,
    parts,
)
from raybead.observables.efps.multigraphs import connected

Rows = tuple[int, ...]
"""Places of leaves, in the order in which the steps make them."""


@dataclass(frozen=True)
class Seen:
    """A matrix that is there, or its transpose."""

    matrix: Matrix
    turned: bool


@dataclass(frozen=True)
class Times:
    """Elementwise product of two matrices."""

    made: Matrix
    a: Seen
    b: Seen


@dataclass(frozen=True)
class SeenStar:
    """:class:`~raybead.observables.efps.elimination.Star`"""

    a: Seen
    b: Seen
    c: Seen
    w: Rows


@dataclass(frozen=True)
class Join:
    """:class:`~raybead.observables.efps.elimination.Link`"""

    made: Matrix
    a: Seen
    b: Seen
    w: Rows
    stars: tuple[SeenStar, ...]
    even: bool


@dataclass(frozen=True)
class Hang:
    """Leaves of one matrix, one for each weight; of consecutive places."""

    a: Seen
    weights: tuple[Rows, ...]


@dataclass(frozen=True)
class Step:
    """One of the three."""

    does: Times | Join | Hang
    last: tuple[Matrix, ...] = ()
    """Matrices that no later step takes."""


@dataclass(frozen=True)
class Plan:
    """The way to all connected graphs up to some size."""

    steps: tuple[Step, ...]
    leaves: int
    ends: tuple[Rows, ...]
    """Of every connected graph, in their order: the leaves whose product, summed over particles
    with their momentum fractions, is its polynomial."""


@lru_cache
def plan_of(n: int, d: int) -> Plan:
    """For the connected multigraphs of at most ``n`` vertices and ``d`` edges.

    The first step finds theta, ``Matrix(1)``, and a matrix of ones, ``Matrix(0)``.
    """
    sums = Sums()
    ends = [sums.take(graph) for graph in connected(n, d)]
    draft = _Draft(sums)
    for numbers in _by_depth(sums):
        links = [i for i in numbers if isinstance(sums.of[i], Link)]
        for i in links:
            draft.join(i)
        leaves: dict[Matrix, list[int]] = {}
        for i in numbers:
            match sums.of[i]:
                case Leaf(a):
                    leaves.setdefault(a, []).append(i)
        for matrix in sorted(leaves):
            draft.hang(matrix, leaves[matrix])
    return Plan(_with_last(draft.steps), draft.leaves, tuple(map(draft.rows, ends)))


class _Draft:
    """Steps so far."""

    def __init__(self, sums: Sums) -> None:
        self.steps: list[Times | Join | Hang] = []
        self._sums = sums
        self._made = {Matrix(0), Matrix(1)}
        self._row: dict[int, int] = {}

    @property
    def leaves(self) -> int:
        return len(self._row)

    def join(self, number: int) -> None:
        link = self._sums.of[number]
        assert isinstance(link, Link)
        a, b = self._seen(link.a), self._seen(link.b)
        stars = tuple(map(self._star, link.stars))
        made = Matrix(0, ((number, False),))
        self._made.add(made)
        self.steps.append(Join(made, a, b, self.rows(link.w), stars, even(link)))

    def hang(self, matrix: Matrix, numbers: list[int]) -> None:
        weights = tuple(self.rows(self._sums.of[i].w) for i in numbers)
        self.steps.append(Hang(self._seen(matrix), weights))
        for i in numbers:
            self._row[i] = len(self._row)

    def rows(self, vector: Vector) -> Rows:
        return tuple(sorted(self._row[i] for i in vector))

    def _star(self, star: Star) -> SeenStar:
        return SeenStar(*map(self._seen, star[:3]), w=self.rows(star.w))

    def _seen(self, matrix: Matrix) -> Seen:
        """One that is there, after the steps that make it where it isn't."""
        back = self._sums.transposed(matrix)
        if matrix not in self._made and back not in self._made:
            rest, factor = self._split(matrix)
            a, b = self._seen(rest), self._seen(factor)
            self.steps.append(Times(matrix, a, b))
            self._made.add(matrix)
        return Seen(matrix, False) if matrix in self._made else Seen(back, True)

    def _split(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        power, links = matrix
        if not links:
            return Matrix(power - power // 2), Matrix(power // 2)
        ways = [
            (Matrix(power, (*links[:i], *links[i + 1 :])), Matrix(0, (links[i],)))
            for i in range(len(links))
        ]
        if power and len(links) > 1:
            ways.append((Matrix(0, links), Matrix(power)))
        return next((way for way in ways if way[0] in self._made), ways[0])


def _by_depth(sums: Sums) -> list[list[int]]:
    """Numbers of those in use, each after the lists that its parts are in."""
    depth: dict[int, int] = {}
    for number in sorted(sums.used):
        depth[number] = 1 + max((depth[i] for i in parts(sums.of[number])), default=-1)
    lists: list[list[int]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for number, level in depth.items():
        lists[level].append(number)
    return lists


def _with_last(steps: list[Times | Join | Hang]) -> tuple[Step, ...]:
    found: list[Step] = []
    later: set[Matrix] = set()
    for does in reversed(steps):
        last = _takes(does) - later
        later |= last
        found.append(Step(does, tuple(sorted(last))))
    return tuple(reversed(found))


def _takes(does: Times | Join | Hang) -> set[Matrix]:
    match does:
        case Hang(a):
            return {a.matrix}
        case Times(_, a, b):
            return {a.matrix, b.matrix}
        case Join(_, a, b, _, stars):
            seen = [a, b, *(x for star in stars for x in (star.a, star.b, star.c))]
            return {x.matrix for x in seen}

"""ROOT trees (TTree and RNTuple), read by entry range through uproot."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import awkward as ak
import pyarrow as pa

from raybead.config import Columns, RootSource
from raybead.errors import DamagedError, InputError
from raybead.events.particles import Particles
from raybead.events.sources.columns import MEV, check_shapes, mapped, particles_of
from raybead.events.sources.ragged import missing, ragged_of, shape_of, steps_to
from raybead.events.span import Span, even_spans
from raybead.storage import absolute, fingerprint, open_input

TREES = ("TTree", "ROOT::RNTuple")


@dataclass(frozen=True)
class Branch:
    """A branch or field, and what to go through inside it."""

    name: str
    """As the job file calls it."""
    key: str
    """As uproot calls the branch."""
    steps: tuple[str, ...]
    """Fields of records that lead on, outermost first."""


def tree_keys(path: str) -> list[str]:
    """Names of the branches of the only tree of a file.

    Raises:
        InputError: it isn't a ROOT file, or holds no tree or several.
    """
    nothing = Columns(pt="-", eta="-", phi="-")
    with RootReader(RootSource(source="root", path=path, columns=nothing)).tree() as tree:
        return [str(key).replace("/", ".") for key in tree.keys()]  # noqa: SIM118  no dict


class RootReader:
    """Reads entry ranges of one tree; only mapped branches, only baskets that a span meets."""

    def __init__(self, config: RootSource) -> None:
        self.config = config
        (path,) = config.paths
        self.uri = absolute(path)

    def spans(self, rows_per_task: int) -> list[Span]:
        with self.tree() as tree:
            entries = int(tree.num_entries)
            self._arrays(tree, self._branches(tree), Span(0, 0))
        if entries == 0:
            raise InputError(f"{self.uri}: its tree has no entries")
        return even_spans(0, entries, rows_per_task)

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        with self.tree() as tree:
            branches = self._branches(tree)
            arrays = self._arrays(tree, branches, span)
        return particles_of(
            {
                role: ragged_of(branch.name, arrays[role], branch.steps)
                for role, branch in branches.items()
            },
            self.config,
            uri=self.uri,
            start=span.start,
            scale=MEV if self.config.columns.unit == "MeV" else 1.0,
        )

    def depends(self) -> dict[str, object]:
        facts: dict[str, object] = self.config.model_dump(mode="json")
        facts["path"] = self.uri
        facts["fingerprint"] = fingerprint(self.uri)
        return facts

    @contextmanager
    def tree(self) -> Iterator[Any]:
        """The tree, open."""
        uproot = _uproot(self.uri)
        with open_input(self.uri) as stream:
            size = stream.seek(0, 2)
            if size == 0:
                raise InputError(f"{self.uri}: the file is empty")
            stream.seek(0)
            if stream.read(4) != b"root":
                raise InputError(f"{self.uri}: not a ROOT file")
            stream.seek(0)
            damaged = f"{self.uri}: truncated or damaged ROOT"
            with _telling(InputError, damaged):
                file = uproot.open(stream)
                kinds = file.classnames(cycle=False)
            if size < file.file.fEND:  # a tree may open all the same, if it was written early
                raise InputError(f"{damaged}: {size} bytes of {file.file.fEND}")
            path = self._path([name for name, kind in kinds.items() if kind in TREES])
            with _telling(InputError, damaged):
                tree = file[path]
                # An RNTuple reads what it says of itself when it is asked.
                _ = tree.num_entries, tree.keys()
            with file:
                yield tree

    def _path(self, trees: list[str]) -> str:
        wanted = self.config.tree
        listed = ", ".join(trees)
        if not trees:
            raise InputError(f"{self.uri}: no tree in it")
        if wanted is None:
            if len(trees) > 1:
                raise InputError(f"{self.uri}: several trees in it: {listed}; tree says which")
            return trees[0]
        if wanted.strip("/") not in trees:
            raise InputError(f"{self.uri}: no tree {wanted!r}; it has: {listed}")
        return wanted.strip("/")

    def _branches(self, tree: Any) -> dict[str, Branch]:
        keys = [str(key) for key in tree.keys()]  # noqa: SIM118  a tree isn't a dict
        # A branch in a branch goes by its whole path, by its path with dots, or by its name.
        known: dict[str, str] = {}
        for key in keys:
            for name in (key, key.replace("/", "."), key.rpartition("/")[2]):
                known.setdefault(name, key)
        found = {}
        for role, name in mapped(self.config.columns).items():
            if name in known:
                found[role] = Branch(name, known[name], ())
                continue
            inside = None
            dots = [place for place, sign in enumerate(name) if sign == "."]
            for dot in reversed(dots):
                inside = inside or self._inside(tree, name, known.get(name[:dot]), name[dot + 1 :])
            if inside is None:
                raise missing(self.uri, role, name, keys)
            found[role] = inside
        return found

    def _inside(self, tree: Any, name: str, key: str | None, rest: str) -> Branch | None:
        """A field of the records that a branch holds, if it holds any."""
        if key is None:
            return None
        field = pa.field(key, self._array(tree, name, key, Span(0, 0)).type)
        steps = steps_to(f"{key}.{rest}", [field])
        return None if steps is None else Branch(name, key, tuple(steps[1:]))

    def _arrays(self, tree: Any, branches: Mapping[str, Branch], span: Span) -> dict[str, Any]:
        """Arrow arrays of the branches, one an entry of the span."""
        arrays = {
            role: self._array(tree, branch.name, branch.key, span)
            for role, branch in branches.items()
        }
        shapes = {
            role: shape_of(branch.name, arrays[role].type, branch.steps)
            for role, branch in branches.items()
        }
        check_shapes(self.uri, shapes)
        return arrays

    def _array(self, tree: Any, name: str, key: str, span: Span) -> Any:
        if len(span):
            fault: type[InputError] = DamagedError
            what = f"rows {span.start} to {span.stop - 1} can't be read, the file is damaged"
        else:
            fault, what = InputError, f"branch {name!r} can't be read"
        with _telling(fault, f"{self.uri}: {what}"):
            array = tree[key].array(entry_start=span.start, entry_stop=span.stop, library="ak")
            if len(array) != len(span):
                raise ValueError(f"{len(array)} values of {name!r}")
        return ak.to_arrow(array, list_to32=False, extensionarray=False)


def _uproot(uri: str) -> Any:
    try:
        return importlib.import_module("uproot")
    except ImportError:
        raise InputError(
            f"{uri}: ROOT files are read through uproot: pip install 'raybead[root]'"
        ) from None


@contextmanager
def _telling(fault: type[InputError], what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  uproot raises whatever its parts trip over
        reason = " ".join(str(error).split())[:200]
        raise fault(f"{what}: {type(error).__name__}: {reason}") from None

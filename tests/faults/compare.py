"""What a disturbed run lost, or made otherwise, against an undisturbed one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from raybead.events import read_parquet
from raybead.models import Bundle
from raybead.storage import Folder, stage_facts

SAMPLES = ("events/background", "events/search")


@dataclass
class Compared:
    """Numbers of events that are missing, or there twice, and all else that differs."""

    lost: int = 0
    twice: int = 0
    differs: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not (self.lost or self.twice or self.differs)

    @property
    def told(self) -> str:
        return "same" if not self.differs else f"differs: {'; '.join(self.differs[:3])}"


def compared(ours: Folder, theirs: Folder, stages: set[str]) -> Compared:
    """Compare the stages that a disturbed run did.

    Args:
        ours: the disturbed run.
        theirs: the undisturbed one.
        stages: of ``events``, ``model``, ``scores``, ``hunt``, ``calibration``, ``diagnostics``,
            ``sweep``.
    """
    found = Compared()
    both = ours, theirs
    if "events" in stages:
        for sample in SAMPLES:
            _events(found, ours / sample, theirs / sample)
            flows = [stage_facts(run, sample)["cutflow"] for run in both]
            _note(found, flows[0] == flows[1], f"counts of cuts of {sample}")
    if "model" in stages:
        bundles = [Bundle.load(run / "model") for run in both]
        alike = bundles[0].weights.keys() == bundles[1].weights.keys() and all(
            weight.equal(bundles[1].weights[name]) for name, weight in bundles[0].weights.items()
        )
        _note(found, alike, "weights")
        _file(found, both, "model/metrics.json")
    if "scores" in stages:
        for role in ("background", "search"):
            tables = [_table(run / "scores", f"{role}.parquet") for run in both]
            _note(found, tables[0].equals(tables[1]), f"scores of {role}")
    for stage in ("hunt", "calibration", "diagnostics"):
        if stage in stages:
            _file(found, both, f"{stage}/result.json")
    if "diagnostics" in stages:
        for name in ("latent", "examples", "displays"):
            tables = [_table(run / "diagnostics", f"{name}.parquet") for run in both]
            _note(found, tables[0].equals(tables[1]), f"{name} of the diagnostics")
    if "sweep" in stages:
        _file(found, both, "sweep/best.json")
        boards = [_table(run / "sweep", "leaderboard.parquet") for run in both]
        timed = [name for name in boards[0].column_names if "seconds" in name]
        _note(found, boards[0].drop(timed).equals(boards[1].drop(timed)), "the leaderboard")
    partial = (ours / ".partial").names()
    _note(found, not partial, f"left behind: {', '.join(partial)}")
    return found


def _note(found: Compared, same: bool, what: str) -> None:
    if not same:
        found.differs.append(what)


def _file(found: Compared, both: tuple[Folder, Folder], name: str) -> None:
    _note(found, both[0].read(name) == both[1].read(name), name)


def _table(folder: Folder, name: str) -> pa.Table:
    table = read_parquet(folder.read(name), f"{folder}/{name}")
    # Where an event was read from, an address, is another one in a bucket.
    return table.drop("source") if "source" in table.column_names else table


def _events(found: Compared, ours: Folder, theirs: Folder) -> None:
    names = [set(folder.names()) - {"_manifest.json"} for folder in (ours, theirs)]
    _note(found, names[0] == names[1], f"names of files in {ours.uri.rpartition('/')[2]}")
    counts = [
        Counter(
            event
            for name in folder.names(".parquet")
            for event in _table(folder, name).column("event").to_pylist()
        )
        for folder in (ours, theirs)
    ]
    found.lost += len(counts[1].keys() - counts[0].keys())
    found.twice += sum(n - 1 for n in counts[0].values())
    byte_for_byte = ours.is_local == theirs.is_local
    for name in sorted(names[0] & names[1]):
        same = ours.read(name) == theirs.read(name)
        if not byte_for_byte and not same:
            same = _table(ours, name).equals(_table(theirs, name))
        _note(found, same, f"{ours.uri.rpartition('/')[2]}/{name}")

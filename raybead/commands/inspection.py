"""What a file of events is, and what raybead would make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from raybead.config import (
    BeadCsvSource,
    Columns,
    Jets,
    LhcoSource,
    ParquetSource,
    RootSource,
    Source,
)
from raybead.console import Console
from raybead.errors import InputError, RaybeadError
from raybead.events import Particles, Span, make_jets, open_source
from raybead.events.sources.bead_csv import told_by_name
from raybead.events.sources.names import column_names, guessed_columns
from raybead.storage import absolute, found_files, open_input

SAMPLE = 2000
"""Events that ranges and cuts are looked at on, unless all are asked for."""


@dataclass
class Findings:
    """What is said of one file, line by line: a name and what was found."""

    path: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Anomalies: what a user should look at before trusting the file."""
    section: str = "[data.search]  # or [data.background]"
    """Header of the lines for a job file."""
    job: str = ""
    """The lines."""

    def add(self, name: str, text: str) -> None:
        self.rows.append((name, text))


def inspect(path: str, console: Console, *, everything: bool = False) -> None:
    """Say what the files at a path are.

    Args:
        path: a file, folder, or pattern.
        console: that it is said to.
        everything: look at every event, not at the first 2,000 of a file.

    Raises:
        InputError: there is no file, or none that raybead can read.
    """
    _, files = found_files(path)
    refused = []
    for file in files:
        if file.endswith(".masterkey"):
            console.say(f"{file}: labels of the file beside it (labels in its [data] section)")
            continue
        try:
            findings = look_at(file, everything=everything)
        except RaybeadError as error:
            refused.append(str(error))
            console.say(str(error))
            continue
        console.table(findings.path, ["what", "found"], [list(row) for row in findings.rows])
        for line in findings.odd:
            console.say(f"! {line}")
        console.say(f"In a job file:\n{findings.section}\n{findings.job}")
    if refused:
        raise InputError(f"{len(refused)} of {len(files)} files can't be read as events")


def look_at(path: str, *, everything: bool = False) -> Findings:
    """What one file is.

    Raises:
        InputError: it is nothing that raybead can read.
    """
    if "://" not in path and ".." in Path(path).parts:
        path = str(Path(path).resolve())  # for a job file
    found = Findings(path)
    source = _recognised(path, found)
    try:
        spans = open_source(source).spans(SAMPLE)
    except InputError:
        if not isinstance(source, (ParquetSource, RootSource)) or source.columns is None:
            raise
        # A guess beyond momenta was wrong.
        momenta = source.columns.model_dump(include={"pt", "eta", "phi"})
        source = source.model_copy(update={"columns": Columns.model_validate(momenta)})
        head, _, _ = found.job.rpartition("\n")
        found.job = f"{head}\n{_mapping(Columns.model_validate(momenta))}"
        spans = open_source(source).spans(SAMPLE)
    n = sum(len(span) for span in spans)
    found.add("events", f"{n}")
    looked = spans if everything else spans[:1]
    seen = sum(len(span) for span in looked)
    if seen < n:
        found.add("looked at", f"the first {seen} (--all for every one)")
    _describe(found, source, looked)
    return found


def _recognised(path: str, found: Findings) -> Source:
    """The source section for a file, told from its first bytes."""
    with open_input(path) as stream:
        head = stream.read(512)
        size = stream.seek(0, 2)
    if size == 0:
        raise InputError(f"{path}: the file is empty")
    found.add("size", f"{size / 1e6:.1f} MB")
    match head[:4]:
        case b"\x89HDF":
            found.add("format", "LHC Olympics HDF5")
            found.job = f'source = "lhco"\npath = "{path}"'
            return LhcoSource(source="lhco", path=path, bad_rows="drop")
        case b"PAR1":
            names = column_names(path, "parquet")
            if {"jets.px", "constituents.pt"} <= set(names):
                found.add("format", "Parquet, raybead's own events")
                found.job = f'source = "parquet"\npath = "{path}"'
                return ParquetSource(source="parquet", path=path, bad_rows="drop")
            columns = _columns(path, names)
            found.add("format", "Parquet")
            found.job = f'source = "parquet"\npath = "{path}"\n{_mapping(columns)}'
            return ParquetSource(source="parquet", path=path, columns=columns, bad_rows="drop")
        case b"root":
            columns = _columns(path, column_names(path, "root"))
            found.add("format", "ROOT")
            found.job = f'source = "root"\npath = "{path}"\n{_mapping(columns)}'
            return RootSource(source="root", path=path, columns=columns, bad_rows="drop")
    packed = head[:2] == b"\x1f\x8b"
    if not packed and (b"\0" in head or b"," not in head):
        raise InputError(f"{path}: neither HDF5, Parquet, ROOT nor CSV")
    found.add("format", "event CSV, gzipped" if packed else "event CSV")
    told = told_by_name(path)
    if told is not None:
        role = "background, for training" if told.role == "background" else "search"
        found.add("by its name", f"{role}, truth {told.truth}, generator {told.generator}")
        found.section = f"[data.{told.role}]"
    found.job = f'source = "bead_csv"\npath = "{path}"'
    return BeadCsvSource(source="bead_csv", path=path, bad_rows="drop")


def _columns(path: str, names: list[str]) -> Columns:
    columns = guessed_columns(names)
    if columns is None:
        raise InputError(
            f"{path}: no columns are named like pt, eta and phi of particles; it has"
            f" {', '.join(names)}: map them by columns in a job file"
        )
    return columns


def _mapping(columns: Columns) -> str:
    named = ", ".join(f'{k} = "{v}"' for k, v in columns.model_dump(exclude_defaults=True).items())
    return f"columns = {{ {named} }}"


@dataclass
class _Tally:
    """Ranges over the events looked at."""

    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    classes: dict[int, int] = field(default_factory=dict)
    generators: set[str] = field(default_factory=set)

    def range(self, name: str, values: np.ndarray | None) -> None:
        if values is None or len(values) == 0:
            return
        self.low[name] = min(self.low.get(name, np.inf), float(values.min()))
        self.high[name] = max(self.high.get(name, -np.inf), float(values.max()))

    def said(self, name: str, unit: str = "") -> str:
        return f"{self.low[name]:.4g} to {self.high[name]:.4g}{unit}"


RANGES = (
    ("particles an event", ""),
    ("jets an event, ready-made", ""),
    ("pT of particles", " GeV"),
    ("eta of particles", ""),
    ("weight", ""),
    ("missing pT", " GeV"),
    ("m_jj", " GeV"),
)


def _describe(found: Findings, source: Source, spans: list[Span]) -> None:
    tally, dropped, kept, empty = _Tally(), {}, 0, 0
    for particles, counts in _parts(source, spans):
        _measure(tally, particles)
        empty += int((np.diff(particles.offsets) == 0).sum())
        events = make_jets(particles, Jets())
        tally.range("m_jj", events.mjj)
        kept += len(events.particles)
        for cut, number in {**counts, **events.dropped}.items():
            dropped[cut] = dropped.get(cut, 0) + number
    for name, unit in RANGES:
        if name in tally.low:
            found.add(name, tally.said(name, unit))
    if tally.classes:
        classes = ", ".join(f"{n} of class {c}" for c, n in sorted(tally.classes.items()))
        found.add("label", classes)
    else:
        found.add("label", "none")
    if tally.generators:
        found.add("generators", ", ".join(sorted(tally.generators)))
    drops = "".join(f", {n} dropped: {cut}" for cut, n in dropped.items() if n)
    found.add("with two jets above 200 GeV", f"{kept} events{drops}")
    if dropped.get("unphysical row") == sum(len(span) for span in spans):
        raise InputError(f"{found.path}: {dict(found.rows)['format']}, and no row can be an event")
    if bad := dropped.get("unphysical row"):
        several = (
            f"{bad} rows can't be events, the first of them:"
            if bad > 1
            else "a row can't be an event:"
        )
        found.odd.append(
            f"{several} {_first_fault(found.path, source, spans)}; a job refuses"
            f" {'them' if bad > 1 else 'it'} unless bad_rows = 'drop'"
        )
    if empty:
        found.odd.append(f"{empty} events have no particle at all")
    if kept == 0:
        found.odd.append("no event has two such jets: look at units, and at [jets] min_pt")
    if tally.low.get("weight", 0.0) < 0:
        found.odd.append("some weights are negative")


def _first_fault(path: str, source: Source, spans: list[Span]) -> str:
    """The first row that can't be an event, and why: in the words in which a job refuses it."""
    strict = open_source(source.model_copy(update={"bad_rows": "refuse"}))
    for span in spans:
        try:
            strict.read(span)
        except InputError as error:
            told = str(error).removeprefix(f"{absolute(path)}: ")
            told, _, _ = told.partition("; bad_rows = ")
            return re.sub(r" \(and \d+ more bad rows.*\)$", "", told)
    raise AssertionError(f"{path}: rows were dropped, and none is refused")


def _parts(source: Source, spans: list[Span]) -> Iterator[tuple[Particles, dict[str, int]]]:
    reader = open_source(source)
    for span in spans:
        particles, dropped = reader.read(span)
        yield particles, dict(dropped)


def _measure(tally: _Tally, particles: Particles) -> None:
    tally.range("particles an event", np.diff(particles.offsets))
    tally.range("pT of particles", particles.pt)
    tally.range("eta of particles", particles.eta)
    tally.range("weight", particles.weight)
    tally.range("missing pT", particles.met)
    if particles.jets is not None:
        tally.range("jets an event, ready-made", np.diff(particles.jets.offsets))
    if particles.truth is not None:
        for label, number in zip(*np.unique(particles.truth, return_counts=True), strict=True):
            tally.classes[int(label)] = tally.classes.get(int(label), 0) + int(number)
    generator = particles.generator
    if isinstance(generator, str):
        tally.generators.add(generator)
    elif generator is not None:
        tally.generators |= {label for label in generator if label is not None}

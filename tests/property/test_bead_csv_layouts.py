import gzip
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from bead_slow import SlowEvent, assert_same, bead, fast_read, slow_read
from hypothesis import given, settings
from hypothesis import strategies as st

from raybead.errors import InputError

number_forms = st.sampled_from(["{!r}", "{:.7g}", "{:.3E}", "{:+.4f}", "{:.17f}"])


def numbers(low: float, high: float):
    return st.builds(str.format, number_forms, st.floats(low, high))


wholes = st.sampled_from(["{}", "{}.0", "+{}", "{}e0", "0{}"])


def counted(values: int):
    return st.builds(str.format, wholes, st.just(values))


@st.composite
def event_cells(draw) -> list[str]:
    jets = draw(st.lists(st.integers(0, 3), max_size=4))
    cells = [draw(numbers(-1e8, 1e8)), draw(numbers(0, 1e4)), draw(numbers(-7, 7))]
    cells.append(draw(counted(len(jets))))
    for size in jets:
        cells += [draw(counted(size)), draw(st.sampled_from(["0", "1", "1.0"]))]
        for _ in range(size):
            cells.append(str(draw(st.sampled_from([22, -211, 130, 1000020040]))))
            cells += [draw(numbers(0, 1e4)), draw(numbers(-5.9, 5.9)), draw(numbers(-7, 13))]
    return cells


@dataclass(frozen=True)
class Layout:
    header: bool
    between: list[str]
    """Lines before the events, one each; None for nothing."""
    newline: str
    last_newline: bool
    bom: bool
    packed: bool
    pad: str
    cell: str

    def write(self, path: Path, rows: list[list[str]]) -> None:
        widest = max(len(row) for row in rows)
        lines = ["evtwt,  met, metphi"] if self.header else []
        for number, row in enumerate(rows):
            before = self.between[number % len(self.between)] if self.between else None
            if before is not None:
                lines.append(before)
            cells = [self.cell.format(cell) if cell else cell for cell in row]
            filler = {"ragged": 0, "widest": widest - len(row), "some": number % 3}[self.pad]
            lines.append(",".join([*cells, *[""] * filler]))
        text = self.newline.join(lines) + self.newline * self.last_newline
        content = text.encode("utf-8-sig" if self.bom else "utf-8")
        path.write_bytes(gzip.compress(content) if self.packed else content)


layouts = st.builds(
    Layout,
    header=st.booleans(),
    between=st.lists(
        st.sampled_from([None, "", ",,,,,", "evtwt,met,metphi", '"evtwt", "met"', "  "]),
        max_size=4,
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    last_newline=st.booleans(),
    bom=st.booleans(),
    packed=st.booleans(),
    pad=st.sampled_from(["ragged", "widest", "some"]),
    cell=st.sampled_from(["{}", " {}", "{} ", '"{}"', ' " {} " ']),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(event_cells(), min_size=1, max_size=5), layouts)
def test_no_event_is_lost_or_altered_whatever_the_layout(rows, layout):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        layout.write(path, rows)
        slow = list(slow_read(path))
        assert [event.weight for event in slow] == [float(row[0]) for row in rows]
        for rows_per_task in range(1, len(rows) + 2):
            parts, dropped = fast_read(bead(path), rows_per_task)
            assert dropped == 0
            assert_same(parts, slow)


@st.composite
def spoilt_cells(draw) -> list[str]:
    cells = draw(event_cells())
    at = draw(st.integers(0, len(cells) - 1))
    match draw(st.sampled_from(["keep", "change", "insert", "cut", "delete"])):
        case "change" | "insert" as how:
            odd = ["", "x", "nan", "-inf", "-1", "0", "2", "0.5", "7.5", "1e40", "1e18", "3e9"]
            cells[at : at + (how == "change")] = [draw(st.sampled_from(odd))]
        case "cut":
            cells = cells[: at + 1]
        case "delete" if len(cells) > 1:
            del cells[at]
    return cells if any(cells) else ["0"]


@settings(max_examples=60, deadline=None)
@given(st.lists(spoilt_cells(), min_size=1, max_size=5), layouts, st.integers(1, 6))
def test_rows_are_bad_where_the_slow_reader_says(rows, layout, rows_per_task):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        layout.write(path, rows)
        slow = list(slow_read(path))
        good = [event for event in slow if isinstance(event, SlowEvent)]
        faults = [event for event in slow if not isinstance(event, SlowEvent)]
        assert len(slow) == len(rows)
        parts, dropped = fast_read(bead(path, bad_rows="drop"), rows_per_task)
        assert dropped == len(faults)
        assert_same(parts, good)
        if faults:
            with pytest.raises(InputError) as caught:
                fast_read(bead(path), rows_per_task)
            where = f"{path}: row {faults[0].row} (line {faults[0].line}): "
            assert str(caught.value).startswith(where)

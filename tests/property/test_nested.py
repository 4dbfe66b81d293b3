"""Random ragged events, however they are nested and cut, are read back as they are."""

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raybead.config import ParquetSource
from raybead.errors import InputError
from raybead.events import open_source

ROLES = ("pt", "eta", "phi")
PARTICLE = st.tuples(
    st.floats(0.125, 5000, width=32), st.floats(-5, 5, width=32), st.floats(-3, 3, width=32)
)
LOOSE = st.lists(st.lists(PARTICLE, max_size=5), min_size=1, max_size=12)
IN_JETS = st.lists(st.lists(st.lists(PARTICLE, max_size=3), max_size=3), min_size=1, max_size=12)


def column(events, role):
    """The nested values of one role."""
    if isinstance(events, tuple):
        return events[ROLES.index(role)]
    return [column(inner, role) for inner in events]


def records(events):
    if isinstance(events, tuple):
        return dict(zip(ROLES, events, strict=True))
    return [records(inner) for inner in events]


def lists(values, depth, large=False):
    kind = values
    for _ in range(depth):
        kind = pa.large_list(kind) if large else pa.list_(kind)
    return kind


def columns_of_lists(events, depth, kind, large=False):
    return pa.table(
        {role: pa.array(column(events, role), lists(kind, depth, large)) for role in ROLES}
    ), {role: role for role in ROLES}


def struct_of_lists(events, depth):
    table, _ = columns_of_lists(events, depth, pa.float64())
    struct = pa.StructArray.from_arrays(
        [table[role].combine_chunks() for role in ROLES], names=list(ROLES)
    )
    return pa.table({"other": [1] * len(events), "P": struct}), {r: f"P.{r}" for r in ROLES}


def lists_of_structs(events, depth):
    kind = lists(pa.struct([(role, pa.float32()) for role in ROLES]), depth)
    return pa.table({"P": pa.array(records(events), kind)}), {r: f"P.{r}" for r in ROLES}


def dictionaries(events, depth):
    flat = [pa.array(column(events, role), lists(pa.float32(), depth)) for role in ROLES]
    packed = []
    for array in flat:
        inner = array if depth == 1 else array.values
        inner = pa.ListArray.from_arrays(inner.offsets, inner.values.dictionary_encode())
        packed.append(inner if depth == 1 else pa.ListArray.from_arrays(array.offsets, inner))
    return pa.table(packed, names=list(ROLES)), {role: role for role in ROLES}


def padded(events):
    size = max([1, *(len(event) for event in events)])
    rows = [[*event, *[(0.0, 0.0, 0.0)] * (size - len(event))] for event in events]
    table = {role: pa.array(column(rows, role), pa.list_(pa.float64(), size)) for role in ROLES}
    return pa.table(table), {role: role for role in ROLES}


NESTINGS = {
    "lists": lambda events, depth: columns_of_lists(events, depth, pa.float32()),
    "large lists": lambda events, depth: columns_of_lists(events, depth, pa.float64(), True),
    "struct of lists": struct_of_lists,
    "lists of structs": lists_of_structs,
    "dictionaries": dictionaries,
}


def write_awkward(events, path, extension):
    array = ak.Array({role: ak.Array(column(events, role)) for role in ROLES})
    ak.to_parquet(array, path, extensionarray=extension, list_to32=extension)


def read_back(path, names, rows_per_task):
    """Events as lists of lists, and of jets where there are any."""
    config = ParquetSource.model_validate(
        {"source": "parquet", "path": str(path), "columns": names}
    )
    reader = open_source(config)
    events, rows = [], []
    for span in reader.spans(rows_per_task):
        part, dropped = reader.read(span)
        assert len(part) == len(span) <= rows_per_task
        assert dropped == {}
        rows += part.event.tolist()
        particles = list(zip(part.pt.tolist(), part.eta.tolist(), part.phi.tolist(), strict=True))
        for e in range(len(part)):
            if part.jets is None:
                events.append(particles[part.offsets[e] : part.offsets[e + 1]])
                continue
            edges = part.jets.constituents.tolist()
            first, last = part.jets.offsets[e : e + 2].tolist()
            assert edges[first] == part.offsets[e]
            assert edges[last] == part.offsets[e + 1]
            events.append([particles[edges[j] : edges[j + 1]] for j in range(first, last)])
    assert rows == list(range(len(events)))
    return events


@pytest.mark.parametrize("nesting", list(NESTINGS))
@given(
    data=st.data(),
    depth=st.sampled_from([1, 2]),
    rows_per_task=st.integers(1, 14),
    group=st.integers(1, 14),
)
@settings(max_examples=25, deadline=None)
def test_events_are_read_as_they_are(tmp_path_factory, nesting, data, depth, rows_per_task, group):
    events = data.draw(LOOSE if depth == 1 else IN_JETS)
    table, names = NESTINGS[nesting](events, depth)
    path = tmp_path_factory.getbasetemp() / "nested.parquet"
    pq.write_table(table, path, row_group_size=group)
    assert read_back(path, names, rows_per_task) == events


@given(events=LOOSE, rows_per_task=st.integers(1, 14), group=st.integers(1, 14))
@example(events=[[(1.0, 1.0, 1.0)], [], [(2.0, 2.0, 2.0)] * 2], rows_per_task=1, group=14)
@settings(max_examples=25, deadline=None)
def test_padding_is_all_that_goes(tmp_path_factory, events, rows_per_task, group):
    table, names = padded(events)
    path = tmp_path_factory.getbasetemp() / "padded.parquet"
    pq.write_table(table, path, row_group_size=group)
    assert read_back(path, names, rows_per_task) == events


@given(
    data=st.data(),
    depth=st.sampled_from([1, 2]),
    extension=st.booleans(),
    rows_per_task=st.integers(1, 14),
)
@settings(max_examples=25, deadline=None)
def test_what_awkward_writes_is_read(tmp_path_factory, data, depth, extension, rows_per_task):
    full = [(1.0, 2.0, 3.0)]  # so that awkward knows the types
    events = [*data.draw(LOOSE if depth == 1 else IN_JETS), full if depth == 1 else [full]]
    path = tmp_path_factory.getbasetemp() / "awkward.parquet"
    write_awkward(events, path, extension)
    assert read_back(path, {role: role for role in ROLES}, rows_per_task) == events


@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), rows=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_damage_is_told_in_one_line_or_does_no_harm(tmp_path_factory, at, flip, rows):
    rng = np.random.default_rng(0)
    events = [[tuple(rng.uniform(1, 3, 3))] * n for n in range(9)]
    table, names = lists_of_structs(events, 1)
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pq.write_table(table, path, row_group_size=4, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    # The footer is left whole: it has no checksum, and may then say anything.
    pages = pq.read_metadata(path).serialized_size
    content[4 + int(at * (len(content) - pages - 12))] ^= flip
    path.write_bytes(content)
    expected = [[tuple(np.float32(p).tolist()) for p in event] for event in events]
    told = None
    try:
        assert read_back(path, names, rows) == expected
    except InputError as error:
        told = str(error)
    assert told is None or (str(path) in told and "\n" not in told)

import h5py
import numpy as np
import pytest
from made import lhco, make_particles

from raybead.errors import InputError, StorageError
from raybead.events import Span, open_source, write_lhco
from raybead.events.lhco_file import as_rows


def read_all(source):
    reader = open_source(source)
    return [reader.read(piece)[0] for piece in reader.spans(5)]


def test_written_events_come_back(tmp_path):
    made = make_particles(12, seed=5, signal=0.5)
    write_lhco(tmp_path / "a.h5", [made], 12, "column")
    parts = read_all(lhco(tmp_path / "a.h5"))
    assert [len(part) for part in parts] == [5, 5, 2]
    for name in ("event", "pt", "eta", "phi", "truth"):
        back = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(back, getattr(made, name))


def test_a_file_without_label_has_no_truth(tmp_path):
    write_lhco(tmp_path / "a.h5", [make_particles(3)], 3, "none")
    (part,) = read_all(lhco(tmp_path / "a.h5"))
    assert part.truth is None


def test_a_full_row_of_an_unlabelled_file_is_all_particles(tmp_path):
    # The trap: its last column is a phi, not a label.
    write_lhco(tmp_path / "a.h5", [make_particles(1)], 1, "none")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["df/block0_values"][0] = np.tile([1.0, 0.1, 1.0], 700)
    (part,) = read_all(lhco(tmp_path / "a.h5"))
    assert len(part.pt) == 700
    assert part.truth is None


def test_a_master_key_stands_for_the_label(tmp_path):
    made = make_particles(12, signal=0.5)
    write_lhco(tmp_path / "a.h5", [made], 12, "masterkey")
    source = lhco(tmp_path / "a.h5", labels=str(tmp_path / "a.masterkey"), start=3, stop=11)
    parts = read_all(source)
    np.testing.assert_array_equal(np.concatenate([p.truth for p in parts]), made.truth[3:11])
    np.testing.assert_array_equal(np.concatenate([p.event for p in parts]), np.arange(3, 11))


@pytest.mark.parametrize("label_block", [False, True])
def test_the_table_layout_is_read(tmp_path, label_block):
    made = make_particles(4, signal=0.5)
    rows = as_rows(made)
    fields = [("index", "i8")]
    if label_block:
        fields += [("values_block_0", "f8", (2100,)), ("values_block_1", "i8", (1,))]
    else:
        fields += [("values_block_0", "f8", (2101,))]
        rows = np.column_stack([rows, made.truth])
    table = np.zeros(4, dtype=fields)
    table["values_block_0"] = rows
    if label_block:
        table["values_block_1"] = made.truth[:, None]
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("Particles/table", data=table)
    (part,) = read_all(lhco(tmp_path / "t.h5"))
    np.testing.assert_array_equal(part.pt, made.pt)
    np.testing.assert_array_equal(part.truth, made.truth)


def test_phi_is_wrapped_and_kept_to_the_bit_where_it_lies_inside(rewritten):
    (part,) = [read_all(lhco(rewritten({(0, 2): 3.25, (0, 5): -0.75}), stop=5))[0]]
    assert part.phi[0] == pytest.approx(3.25 - 2 * np.pi)
    assert part.phi[1] == -0.75


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({(7, 4): np.nan}, "row 7: NaN or infinity"),
        ({(7, 3): np.inf}, "row 7: NaN or infinity"),
        ({(3, 0): -1.0}, "row 3: negative pT"),
        ({(9, 1): 50.0}, r"row 9: \|eta\| beyond 6"),
        ({(2, 2100): 0.5}, "row 2: label 0.5 is no class number"),
        ({(2, 0): -1.0, (3, 0): -1.0}, r"row 2: negative pT \(and 1 more bad rows"),
    ],
)
def test_unphysical_rows_are_refused_with_row_and_reason(rewritten, changes, says):
    path = rewritten(changes)
    with pytest.raises(InputError, match=says) as caught:
        read_all(lhco(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unphysical_rows_can_be_dropped_and_counted(rewritten):
    source = open_source(lhco(rewritten({(7, 4): np.nan, (8, 0): -2.0}), bad_rows="drop"))
    part, dropped = source.read(Span(0, 12))
    assert dropped == {"unphysical row": 2}
    assert part.event.tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 10, 11]


def test_files_that_are_none(tmp_path, rewritten):
    cases = {
        "no such file": tmp_path / "missing.h5",
        "a folder": tmp_path,
        "the file is empty": tmp_path / "empty.h5",
        "not an HDF5 file": tmp_path / "text.h5",
        "no table of 2100 or 2101 columns": tmp_path / "other.h5",
        "its table of events is empty": tmp_path / "zero.h5",
    }
    cases["the file is empty"].write_bytes(b"")
    cases["not an HDF5 file"].write_text("pt,eta,phi\n" * 50)
    with h5py.File(cases["no table of 2100 or 2101 columns"], "w") as file:
        file["df/block0_values"] = np.zeros((5, 2099))
    with h5py.File(cases["its table of events is empty"], "w") as file:
        file["df/block0_values"] = np.zeros((0, 2100))
    for says, path in cases.items():
        with pytest.raises(InputError, match=says):
            open_source(lhco(path)).spans(10)
    whole = rewritten({}).read_bytes()
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated or damaged"):
        open_source(lhco(truncated)).spans(10)


def test_a_file_of_another_shape_is_told_by_what_it_holds(tmp_path):
    def refused(**held):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            for name, values in held.items():
                file[name] = values
        with pytest.raises(InputError) as error:
            open_source(lhco(tmp_path / "other.h5")).spans(10)
        return str(error.value).partition("columns in it; it holds ")[2]

    assert refused() == "no data at all"
    assert refused(data=np.zeros((3, 7, 3))) == "'data' (3, 7, 3)"
    records = np.zeros(5, [("pt", float), ("eta", float)])
    assert refused(jets=records) == "'jets' (5,) of records (pt, eta)"
    many = {f"x{n}": np.zeros(n) for n in range(6)}
    assert refused(**many) == "'x0' (0,), 'x1' (1,), 'x2' (2,), 'x3' (3,) and 2 more"


def test_damage_inside_the_table_is_refused_with_its_rows(rewritten):
    path = rewritten({})
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["df/block0_values"].id.get_chunk_info(1)
    for offset in range(chunk.byte_offset, chunk.byte_offset + 64):
        content[offset] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="rows 5 to 11 can't be read"):
        open_source(lhco(path)).read(Span(5, 12))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.0\n1.0\n", "2 labels for the 12 events"),
        ("0.0\n" * 11 + "signal\n", "label 12: 'signal' is no class number"),
        ("0\n" * 11 + "0.3\n", "label 12: '0.3'"),
        ("", "0 labels for the 12 events"),
    ],
)
def test_master_keys_that_do_not_fit(rewritten, tmp_path, text, says):
    key = tmp_path / "a.masterkey"
    key.write_text(text)
    with pytest.raises(InputError, match=says):
        open_source(lhco(rewritten({}, labels="none"), labels=str(key))).spans(10)


def test_ranges_beyond_the_file_are_refused(rewritten):
    path = rewritten({})
    for more in ({"start": 12}, {"stop": 13}):
        with pytest.raises(InputError, match="the file has 12 rows"):
            open_source(lhco(path, **more)).spans(10)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(StorageError):
        write_lhco(tmp_path / "folder" / "a.h5", [make_particles(1)], 1, "none")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]

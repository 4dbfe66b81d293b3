import gzip
from pathlib import Path

import numpy as np
import pytest
from bead_slow import SlowEvent, assert_same, bead, fast_read, slow_read

from raybead.errors import InputError
from raybead.events import open_source
from raybead.events.sources import bead_csv
from raybead.events.sources.bead_csv import told_by_name
from raybead.events.span import Span

HEADER = "evtwt,   met, metphi, njets, npart, isbtagged,  pid,pt,eta,phi"
GOOD = "0.5,120.5,4,1,2,1,211,10.25,0.5,6,-11,3,-1.5,0.25"
SAMPLES = [
    folder / "shared/data/bead_csv"
    for folder in (Path(__file__).parents[2], Path(__file__).parents[3])
]


def written(tmp_path, *lines: str, newline: str = "\n") -> Path:
    path = tmp_path / "events.csv"
    path.write_bytes("".join(line + newline for line in lines).encode())
    return path


def read_one(path: Path, **more: object):
    ((part,), _) = fast_read(bead(path, **more), 100)
    return part


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("bkg_train_herwig", 10),
        ("bkg_train_pythia", 10),
        ("bkg_train_sherpa", 9),
        ("bkg_test_herwig", 9),
        ("bkg_test_pythia", 9),  # and a row of empty cells
        ("bkg_test_sherpa", 9),
        ("sig_test_svj", 9),
    ],
)
def test_every_event_of_the_samples_survives(name, events):
    folder = next((folder for folder in SAMPLES if folder.is_dir()), None)
    if folder is None:
        pytest.skip("no samples beside the repository")
    path = folder / f"{name}.csv"
    slow = list(slow_read(path))
    assert len(slow) == events
    assert all(isinstance(event, SlowEvent) for event in slow)
    for rows_per_task in range(1, 12):
        parts, dropped = fast_read(bead(path), rows_per_task)
        assert dropped == 0
        assert_same(parts, slow)


def test_an_event_is_what_its_row_says(tmp_path):
    part = read_one(written(tmp_path, HEADER, GOOD), truth=1, generator="herwig")
    assert part.event.tolist() == [0]
    assert (part.weight.tolist(), part.met.tolist()) == ([0.5], [120.5])
    np.testing.assert_array_equal(part.met_phi, np.array([4 - 2 * np.pi], np.float32))
    assert part.pid.tolist() == [211, -11]
    assert part.pt.tolist() == [10.25, 3]
    assert part.eta.tolist() == [0.5, -1.5]
    np.testing.assert_allclose(part.phi, [6 - 2 * np.pi, 0.25])
    assert part.jets.offsets.tolist() == [0, 1]
    assert part.jets.constituents.tolist() == [0, 2]
    assert part.jets.btag.tolist() == [1]
    assert part.truth.tolist() == [1]
    assert part.generator == "herwig"


def test_truth_is_unknown_unless_said(tmp_path):
    assert read_one(written(tmp_path, GOOD)).truth is None


def test_what_is_no_event_is_not_counted(tmp_path):
    path = written(
        tmp_path, "", ",,,,", GOOD, " ", HEADER.replace("evtwt", ' "EvtWt"'), ', "" ,', "\t", GOOD
    )
    parts, _ = fast_read(bead(path), 1)
    assert [part.event.tolist() for part in parts] == [[0], [1]]


def test_events_without_jets_and_jets_without_particles_are_events(tmp_path):
    part = read_one(written(tmp_path, "1,2,3,0", "1,2,3,2,0,1,0,0,,,", GOOD, "1,2,3,0,,"))
    assert np.diff(part.jets.offsets).tolist() == [0, 2, 1, 0]
    assert np.diff(part.jets.constituents).tolist() == [0, 0, 2]
    assert part.jets.btag.tolist() == [1, 0, 1]
    assert part.offsets.tolist() == [0, 0, 0, 2, 2]


def test_particles_without_momentum_are_padding(tmp_path):
    part = read_one(written(tmp_path, "1,2,3,2,2,0,22,0,99,1,22,7,0,0,1,1,22,0,0,0"))
    assert part.pt.tolist() == [7]
    assert np.diff(part.jets.constituents).tolist() == [1, 0]


HARD = [
    "2.2250738585072012e-308",
    "0.1",
    "9007199254740993",
    "1.7976931348623157e-38",
    "123456789.12345678901234567890",
    "8.41e+21",
    "0.500000000000000166533453693773481063544750213623046875",
    "3.0e-400",
    "5e-324",
    "+7.25",
    "1.",
    ".5",
    "6.5E+01",
    "000.25",
    "-0.0",
]


def test_numbers_are_those_that_python_reads(tmp_path):
    path = written(tmp_path, *(f"{text},2,3,0" for text in HARD))
    assert read_one(path).weight.tobytes() == np.array([float(text) for text in HARD]).tobytes()


def test_a_bad_cell_elsewhere_does_not_change_a_number(tmp_path):
    # Text among the cells takes another way through the parser.
    path = written(tmp_path, *(f"{text},2,3,0" for text in HARD), "1,x,3,0")
    part = read_one(path, bad_rows="drop")
    assert part.weight.tobytes() == np.array([float(text) for text in HARD]).tobytes()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,2,3", "cut short: 3 cells, before the number of jets"),
        ("1,2,3,,", "cut short: 3 cells, before the number of jets"),
        (GOOD.rpartition(",")[0], "cut short: its 13 cells end within jet 1 of 1"),
        ("1,2,3,2,1,0,22,5,0,1", "cut short: its 10 cells end before jet 2 of 2"),
        ("1,2,3,1,3,0,22,5,0,1", "cut short: its 10 cells end within jet 1 of 1"),
        ("1,2,3,1e18,0,0", "cut short: its 6 cells end before jet 2 of 1000000000000000000"),
        ("1,2,3,1,1e18,0", "cut short: its 6 cells end within jet 1 of 1"),
        ("1,2,3,1,1,0,22,5,0,1,7", "1 more cells than its 1 jets have"),
        ("1,2,3,0,1,0,22,5,0,1,,", "6 more cells than its 0 jets have"),
        ("1,2,3,1.5,1,0,22,5,0,1", "cell 4: 1.5 is no number of jets"),
        ("1,2,3,-1,1,0,22,5,0,1", "cell 4: -1 is no number of jets"),
        ("1,2,3,1,0.5,0,22,5,0,1", "cell 5: 0.5 is no number of particles"),
        ("1,2,3,1,-1,0,22,5,0,1", "cell 5: -1 is no number of particles"),
        ("1,2,3,1,1,0,22,-5,0,1", "cell 7: negative pT, -5"),
        ("1,2,3,1,1,0,22,5,6.5,1", "cell 7: |eta| beyond 6"),
        ("1,2,3,1,1,0,22,5,-6.5,1", "cell 7: |eta| beyond 6"),
        ("1,2,3,1,1,0,22.5,5,0,1", "cell 7: 22.5 is no particle's number"),
        ("1,2,3,1,1,0,3e9,5,0,1", "cell 7: 3e+09 is no particle's number"),
        ("1,2,3,1,1,0,22,nan,0,1", "cell 8: NaN or infinity"),
        ("1,2,3,1,1,0,22,5,-inf,1", "cell 9: NaN or infinity"),
        ("1,2,3,1,1,0,22,5,0,Infinity", "cell 10: NaN or infinity"),
        ("NaN,2,3,0", "cell 1: NaN or infinity"),
        ("1,inf,3,0", "cell 2: NaN or infinity"),
        ("1,2,nan,0", "cell 3: NaN or infinity"),
        ("1,1e39,3,0", "cell 2: 1e39 is beyond single precision"),
        ("1,2,3,1,1,0,22,5,,1", "cell 9 is empty"),
        (",2,3,0", "cell 1 is empty"),
        ("1,2,3,1,1,0,22,5,high,1", "cell 9: 'high' is no number"),
        ("1,2,3,1,1,0,22,5,1_0,1", "cell 9: '1_0' is no number"),
        ("1,2,3,1,1,0,22,5,1 0,1", "cell 9: '1 0' is no number"),
        ("1,2,3,1,1,0,22,5,0x1,1", "cell 9: '0x1' is no number"),
        ("1,2,3,1,1,0,22,5,nan(1),1", "cell 9: 'nan(1)' is no number"),
        ('1,2,3,1,1,0,22,5,"0,1', "cell 9: '\"0' is no number"),
        ("1;2;3;0", "cell 1: '1;2;3;0' is no number"),
        ("weight,met,metphi,njets", "cell 1: 'weight' is no number"),
        ("1,2,3,0,,,no comment", "cell 5 is empty"),
    ],
)
def test_rows_that_can_be_no_event(tmp_path, row, says):
    path = written(tmp_path, HEADER, GOOD, "", GOOD, HEADER, row, GOOD, newline="\r\n")
    for rows_per_task in (1, 2, 3, 4, 5):
        with pytest.raises(InputError) as caught:
            fast_read(bead(path), rows_per_task)
        assert str(caught.value) == (
            f"{path}: row 2 (line 6): {says};"
            " bad_rows = 'drop' in its [data] section drops and counts such rows"
        )
    parts, dropped = fast_read(bead(path, bad_rows="drop"), 2)
    assert dropped == 1
    assert np.concatenate([part.event for part in parts]).tolist() == [0, 1, 3]
    assert np.concatenate([part.pt for part in parts]).tolist() == [10.25, 3] * 3


def test_further_bad_rows_are_counted(tmp_path):
    path = written(tmp_path, GOOD, "1,2", GOOD, "1,2,3,0,x", "1,2,3,-4")
    with pytest.raises(
        InputError, match=r"row 1 \(line 2\): cut short.*\(and 2 more bad rows up to row 4\);"
    ):
        fast_read(bead(path), 5)
    reader = open_source(bead(path, bad_rows="drop"))
    (span,) = reader.spans(5)
    part, dropped = reader.read(span)
    assert dropped == {"unphysical row": 3}
    assert part.event.tolist() == [0, 2]


def test_a_task_may_lose_all_its_rows(tmp_path):
    parts, dropped = fast_read(bead(written(tmp_path, "1,2", "x", GOOD), bad_rows="drop"), 2)
    assert dropped == 2
    assert [len(part) for part in parts] == [0, 1]
    assert parts[0].offsets.tolist() == parts[0].jets.offsets.tolist() == [0]


def test_eta_is_refused_from_where_the_job_says(tmp_path):
    path = written(tmp_path, "1,2,3,1,1,0,22,5,4.5,1")
    assert len(read_one(path)) == 1
    with pytest.raises(InputError, match=r"\|eta\| beyond 4"):
        fast_read(bead(path, max_abs_eta=4), 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no events in it"),
        (b"\n\r\n ,,\n", "no events in it"),
        (HEADER.encode(), "no events in it"),
        (gzip.compress(HEADER.encode()), "no events in it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "binary, not a text file"),
        (gzip.compress(bytes(64)), "binary, not a text file"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "binary, not a text file"),
        (f"{HEADER}\r{GOOD}\r".encode(), "its lines end in carriage returns alone"),
        (gzip.compress(GOOD.encode())[:-9], "truncated or damaged"),
        (gzip.compress(GOOD.encode())[:-8] + bytes(8), "truncated or damaged"),
        (b"\x1f\x8b rest", "truncated or damaged"),
    ],
)
def test_files_that_are_none(tmp_path, content, says):
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        open_source(bead(path)).spans(10)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_file(tmp_path):
    for path, says in ((tmp_path / "none.csv", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=says):
            open_source(bead(path)).spans(10)


@pytest.mark.parametrize("block", [1, 7, 64, 101])
def test_a_file_is_looked_over_in_blocks_of_any_size(tmp_path, monkeypatch, block):
    path = written(tmp_path, HEADER, GOOD, "", GOOD, ",,,", HEADER, GOOD, "1,2,3,0", "1,2,3")
    whole = open_source(bead(path)).spans(2)
    monkeypatch.setattr(bead_csv, "BLOCK", block)
    assert open_source(bead(path)).spans(2) == whole
    with pytest.raises(InputError, match=r"row 4 \(line 9\)"):
        fast_read(bead(path), 1)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bead_csv, "LONGEST_LINE", 20)
    monkeypatch.setattr(bead_csv, "BLOCK", 4)
    with pytest.raises(InputError, match="a line of more than 20 bytes"):
        open_source(bead(written(tmp_path, GOOD))).spans(10)


def test_a_file_that_changes_between_is_refused(tmp_path):
    path = written(tmp_path, GOOD, GOOD)
    reader = open_source(bead(path))
    (span,) = reader.spans(10)
    path.write_text(GOOD)
    with pytest.raises(InputError, match="1 events where rows 0 to 1 were: the file has changed"):
        reader.read(span)
    path.write_text("")
    with pytest.raises(InputError, match="0 events where rows 0 to 1 were"):
        reader.read(span)


def test_a_span_says_where_it_lies(tmp_path):
    with pytest.raises(ValueError, match="where in the file"):
        open_source(bead(written(tmp_path, GOOD))).read(Span(0, 1))


def test_events_follow_from_the_file_and_its_section(tmp_path):
    path = written(tmp_path, GOOD)
    before = open_source(bead(path)).depends()
    assert open_source(bead(path)).depends() == before
    assert open_source(bead(path, truth=1)).depends() != before
    path.write_text(GOOD + "\n" + GOOD)
    assert open_source(bead(path)).depends() != before


@pytest.mark.parametrize(
    ("path", "role", "truth", "generator"),
    [
        ("a/bkg_train_herwig.csv", "background", 0, "herwig"),
        ("bkg_test_sherpa.csv.gz", "search", 0, "sherpa"),
        ("s3://b/sig_test_svj_3tev.csv", "search", 1, "svj_3tev"),
        ("bkg_train.csv", "background", 0, None),
    ],
)
def test_what_a_name_says(path, role, truth, generator):
    told = told_by_name(path)
    assert told is not None
    assert (told.role, told.truth, told.generator) == (role, truth, generator)


def test_a_name_may_say_nothing():
    assert told_by_name("bkg_train_x/events.csv") is None

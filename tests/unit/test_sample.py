"""Samples of many files: found in order, numbered through, small ones together."""

import numpy as np
import pytest
from made import lhco, make_particles

from raybead.config import BeadCsvSource, Jets, PythiaSource, parse_job
from raybead.errors import InputError, JobError
from raybead.events import (
    EventSample,
    notes_on,
    open_source,
    read_parquet,
    recorded_by_both,
    write_lhco,
)
from raybead.preparing import Shard, finished_shards, prepare_shard
from raybead.storage import Folder


@pytest.fixture
def three_files(tmp_path):
    """Files of 7, 5 and 12 events; the last two hold equal events but for their number."""
    for name, n, seed in (("a.h5", 7, 1), ("b.h5", 5, 2), ("c.h5", 12, 3)):
        write_lhco(tmp_path / name, [make_particles(n, seed=seed)], n, "none")
    (tmp_path / ".hidden").write_text("not an input")
    return tmp_path


def read(sample, rows):
    """All events by their position in the sample: (position, leading pT)."""
    found = []
    for group in sample.pieces(rows):
        for piece in group:
            particles, _ = open_source(piece.source).read(piece.span)
            leading = np.maximum.reduceat(particles.pt, particles.offsets[:-1])
            found += zip((particles.event + piece.offset).tolist(), leading.tolist(), strict=True)
    return found


@pytest.mark.parametrize("rows", [1, 3, 6, 100, "auto"])
@pytest.mark.parametrize("path", ["FOLDER", "FOLDER/*.h5", ["FOLDER/a.h5", "FOLDER/[bc].h5"]])
def test_every_event_once_in_order(three_files, path, rows):
    named = [p.replace("FOLDER", str(three_files)) for p in ([path] if path[0] == "F" else path)]
    sample = EventSample.of([lhco_of(named)], "search")
    found = read(sample, rows)
    assert [event for event, _ in found] == list(range(24))
    expected = [make_particles(n, seed=s) for n, s in ((7, 1), (5, 2), (12, 3))]
    assert [pt for _, pt in found] == [
        float(p.pt[a:b].max())
        for p in expected
        for a, b in zip(p.offsets[:-1], p.offsets[1:], strict=True)
    ]


def lhco_of(paths, **more):
    return lhco("x", **more).model_copy(update={"path": tuple(paths)})


def test_small_files_share_a_shard(three_files):
    sample = EventSample.of([lhco(three_files)], "search")
    assert [[len(p.span) for p in group] for group in sample.pieces("auto")] == [[7, 5, 12]]
    assert [[len(p.span) for p in group] for group in sample.pieces(12)] == [[7, 5], [12]]
    assert [[len(p.span) for p in group] for group in sample.pieces(8)] == [[7], [5], [8], [4]]


def test_slices_of_a_generator_are_shards_of_their_own():
    source = PythiaSource(source="pythia", events=10, slice_events=4)
    groups = EventSample.of([source], "search").pieces("auto")
    assert [[len(p.span) for p in group] for group in groups] == [[4], [4], [2]]


def test_a_large_sample_makes_larger_shards(three_files, monkeypatch):
    import raybead.events.sample as module

    monkeypatch.setattr(module, "ROWS_A_TASK", 2)
    monkeypatch.setattr(module, "FILES_AT_MOST", 4)
    groups = EventSample.of([lhco(three_files)], "search").pieces("auto")
    assert max(len(p.span) for group in groups for p in group) == 6


def test_shards_hold_the_pieces_of_several_files(three_files, tmp_path):
    sample = EventSample.of([lhco(three_files, generator="g", truth=3)], "search")
    folder = Folder.at(str(tmp_path / "events"))
    folder.make()
    (group,) = sample.pieces("auto")
    shard = Shard(group, folder)
    prepared = prepare_shard(shard, Jets())
    assert shard.name == "rows-0000000000-0000000024.parquet"
    assert prepared.cutflow.read == 24 == prepared.cutflow.written
    rows = read_parquet(folder.read(shard.name), shard.name)
    assert rows["event"].to_pylist() == list(range(24))
    assert set(rows["generator"].to_pylist()) == {"g"}
    assert set(rows["truth"].to_pylist()) == {3}
    assert [source.rpartition("/")[2] for source in rows["source"].unique().to_pylist()] == [
        *("a.h5", "b.h5", "c.h5")
    ]
    assert finished_shards([shard]) == {shard.name: prepared}


def test_equal_contents_are_noted(three_files):
    (three_files / "d.h5").write_bytes((three_files / "a.h5").read_bytes())
    (note,) = notes_on({"search": EventSample.of([lhco(three_files)], "search")})
    assert note.endswith("d.h5: the same content as " + str(three_files / "a.h5"))


def test_events_that_are_read_twice_are_noted(three_files):
    a = three_files / "a.h5"

    def notes(*more):
        sample = EventSample.of([lhco(a, stop=4), lhco(a, **dict(more))], "search")
        return notes_on({"search": sample})

    assert notes(("start", 4)) == []
    assert notes(("start", 3)) == [f"{a}: the same events are read more than once"]


@pytest.mark.parametrize(
    ("background", "search", "said"),
    [
        ({}, {}, ["all of {a}"]),
        ({}, {"start": 3}, ["those of {a} from row 3 on"]),
        ({"stop": 5}, {"start": 2, "stop": 7}, ["3 of {a} (rows 2 to 4)"]),
        ({"stop": 3}, {"start": 3}, []),
    ],
)
def test_events_of_both_samples_are_noted_with_both_names(three_files, background, search, said):
    a = three_files / "a.h5"
    samples = {
        "background": EventSample.of([lhco(a, **background)], "background"),
        "search": EventSample.of([lhco(a, **search)], "search"),
    }
    wanted = [f"background and search read the same events, {of.format(a=a)}" for of in said]
    assert notes_on(samples) == wanted
    # What a run keeps of its samples tells the same later.
    assert recorded_by_both(*(sample.depends() for sample in samples.values())) == wanted


def test_names_as_bead_gives_them_say_role_truth_and_generator(tmp_path):
    for name in ("bkg_train_herwig7.1", "bkg_test_pythia", "sig_test_svj"):
        (tmp_path / f"{name}.csv").write_text("x")
    config = BeadCsvSource(source="bead_csv", path=str(tmp_path))

    def told(role, config=config):
        return [
            (source.path.rpartition("/")[2], source.truth, source.generator)
            for source in EventSample.of([config], role).sources
        ]

    assert told("background") == [("bkg_train_herwig7.1.csv", 0, "herwig7.1")]
    assert told("search") == [("bkg_test_pythia.csv", 0, "pythia"), ("sig_test_svj.csv", 1, "svj")]
    signal = config.model_copy(update={"truth": 1})
    assert told("search", signal) == [("sig_test_svj.csv", 1, "svj")]
    free = config.model_copy(update={"names": "free", "generator": "all"})
    assert {row[1:] for row in told("search", free)} == {(None, "all")}
    # A file that is named itself is taken, whatever its name says of its role.
    alone = config.model_copy(update={"path": f"{tmp_path}/bkg_train_herwig7.1.csv"})
    assert told("search", alone) == [("bkg_train_herwig7.1.csv", 0, "herwig7.1")]
    (tmp_path / "other.csv").write_text("x")
    with pytest.raises(InputError, match=r"other\.csv: its name doesn't begin with bkg_train"):
        told("search")


@pytest.mark.parametrize(
    ("path", "more", "line"),
    [
        ("FOLDER/none.h5", {}, "no such file"),
        ("FOLDER/*.csv", {}, r"\*.csv: no file matches"),
        ("FOLDER/empty", {}, "empty: no file in this folder"),
        ("FOLDER/[ab].h5", {"labels": "key"}, "labels goes with a single file, not 2"),
        ("FOLDER/[ab].h5", {"start": 3}, "start goes with a single file, not 2"),
        ("FOLDER/[ab].h5", {"stop": 3}, "stop goes with a single file, not 2"),
    ],
)
def test_what_is_not_there_is_said(three_files, path, more, line):
    (three_files / "empty").mkdir()
    config = lhco(path.replace("FOLDER", str(three_files)), **more)
    with pytest.raises(InputError, match=line):
        EventSample.of([config], "search").pieces("auto")


JOB = """
name = "many"
[[data.background]]
source = "lhco"
path = ["a.h5", "b.h5"]
[[data.background]]
source = "pythia"
events = 5
[data.search]
source = "lhco"
path = "c.h5"
[data.signal]
source = "lhco"
path = "s.h5"
"""


def test_a_job_names_several_sources_and_a_signal():
    job = parse_job(JOB, ["data.background.1.events=6"])
    assert [source.source for source in job.data.background] == ["lhco", "pythia"]
    assert job.data.background[1].events == 6
    assert [source.truth for source in job.data.searched] == [None, 1]


def test_a_signal_is_signal_whatever_its_files_say(tmp_path):
    write_lhco(tmp_path / "s.h5", [make_particles(9, seed=1, signal=0.3)], 9, "column")
    signal = f'[data.signal]\nsource = "lhco"\npath = "{tmp_path}/s.h5"\n'
    job = parse_job(JOB.partition("[data.signal]")[0] + signal)
    source = job.data.searched[-1]
    (span,) = open_source(source).spans(100)
    assert open_source(source).read(span)[0].truth.tolist() == [1] * 9
    made = '[data.signal]\nsource = "pythia"\nevents = 3\nseed = 7\n'
    job = parse_job(JOB.partition("[data.signal]")[0] + made)
    assert job.data.searched[-1].signal_fraction == 1.0


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("data.background.2.events=6", "'2' is no place in a list of 2"),
        ("data.background.events=6", "is a list of 2; say which"),
        ("data.background.1.event=6", "did you mean 'data.background.events'"),
        ("data.search.colums=3", "unknown key 'data.search.colums'"),
    ],
)
def test_overrides_reach_into_lists(change, line):
    with pytest.raises(JobError, match=line):
        parse_job(JOB, [change])

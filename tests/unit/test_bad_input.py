"""What people hand in by mistake, and the line each gets."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import make_particles

from raybead.config import Jets, parse_job
from raybead.errors import RaybeadError
from raybead.events import EventSample, write_lhco
from raybead.preparing import Shard, prepare_shard
from raybead.storage import Folder

HEAD = "evtwt, met, metphi, njets, npart, isbtagged, pid,pt,eta,phi\n"
EVENT = "1,5,0.1,2,2,0,22,300,0,0,22,200,0.1,0.1,2,0,22,300,0,3,22,200,0.1,3.1\n"


def csv(text):
    return lambda path: path.write_text(text)


def parquet(path):
    lists = pa.array([[300.0], [200.0]], pa.list_(pa.float64()))
    pq.write_table(pa.table({"pt": lists, "eta": lists}), path)


def truncated_parquet(path):
    parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def truncated_lhco(path):
    write_lhco(path, [make_particles(12)], 12, "none")
    path.write_bytes(path.read_bytes()[:-4000])


COLUMNS = 'columns = { pt = "pt", eta = "eta", phi = "fi" }'

CASES = {
    "text in a number": (
        "a.csv", csv(HEAD + EVENT + EVENT.replace("300", "3OO", 1)), "",
        r"a\.csv: row 1 \(line 3\): cell 8: '3OO' is no number",
    ),
    "a row cut short": (
        "a.csv", csv(HEAD + EVENT[:30] + "\n"), "", r"a\.csv: row 0 \(line 2\): ",
    ),
    "more jets announced than there are": (
        "a.csv", csv(EVENT.replace(",2,2,0", ",3,2,0", 1)), "", r"a\.csv: row 0 \(line 1\): ",
    ),
    "only events without jets": (
        "a.csv", csv("1,5,0.1,0\n"), "", r"dropped \[\{'fewer than 2 jets': 1",
    ),
    "NaN as pT": (
        "a.csv", csv(EVENT.replace("300", "nan", 1)), "", r"row 0 \(line 1\): cell 8: NaN",
    ),
    "negative pT": (
        "a.csv", csv(EVENT.replace("300", "-300", 1)), "", r"row 0 \(line 1\): .*negative pT",
    ),
    "an empty CSV": ("a.csv", csv(""), "", r"a\.csv: "),
    "a header alone": ("a.csv", csv(HEAD), "", r"a\.csv: no events"),
    "a binary file": ("a.csv", lambda p: p.write_bytes(bytes(range(256))), "", r"a\.csv: "),
    "a gzip cut off": (
        "a.csv.gz", lambda p: p.write_bytes(gzip.compress((HEAD + EVENT * 9).encode())[:-30]), "",
        r"a\.csv\.gz: ",
    ),
    "a column that isn't there": (
        "a.parquet", parquet, COLUMNS, r"a\.parquet: no column 'fi' \(columns\.phi\)",
    ),
    "foreign Parquet without columns": (
        "a.parquet", parquet, "", r"a\.parquet: not raybead's own events",
    ),
    "Parquet cut off": (
        "a.parquet", truncated_parquet, COLUMNS, r"a\.parquet: truncated or damaged Parquet",
    ),
    "no ROOT": (
        "a.root", csv("no"), COLUMNS, r"a\.root: not a ROOT file",
    ),
    "HDF5 cut off": ("a.h5", truncated_lhco, "", r"a\.h5: truncated or damaged HDF5"),
    "a folder without files": ("folder/a.csv", lambda p: p.unlink(missing_ok=True), "", "no "),
}  # fmt: skip
SOURCES = {"csv": "bead_csv", "gz": "bead_csv", "parquet": "parquet", "root": "root", "h5": "lhco"}


def prepared(path, more=""):
    """All shards of a path, without Ray; a sample that nothing passes is told by its counts."""
    source = SOURCES[str(path).rpartition(".")[2]] if "." in str(path) else "bead_csv"
    job = parse_job(
        f'name = "bad"\n[data.background]\nsource = "{source}"\npath = "{path}"\n{more}\n'
        '[data.search]\nsource = "pythia"\nevents = 1\n'
    )
    sample = EventSample.of(job.data.background, "background")
    folder = Folder.at(f"{path}.out")
    folder.make()
    results = [prepare_shard(Shard(piece, folder), Jets()) for piece in sample.pieces("auto")]
    if not any(result.cutflow.written for result in results):
        raise RaybeadError(f"dropped {[dict(r.cutflow.dropped) for r in results]}")
    return results


@pytest.mark.parametrize("case", CASES)
def test_each_gets_its_line(case, tmp_path):
    name, make, more, line = CASES[case]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(RaybeadError, match=line) as caught:
        prepared(path if path.exists() else path.parent, more)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value) or "dropped" in line


def test_an_empty_file_among_good_ones_is_refused_by_name(tmp_path):
    free = 'names = "free"'
    for name in ("a", "c"):
        (tmp_path / f"{name}.csv").write_text(HEAD + EVENT)
    assert sum(result.cutflow.written for result in prepared(tmp_path, free)) == 2
    (tmp_path / "b.csv").touch()
    with pytest.raises(RaybeadError, match=r"b\.csv: "):
        prepared(tmp_path, free)


def test_a_gzip_of_a_csv_is_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((HEAD + EVENT * 3).encode()))
    (result,) = prepared(tmp_path / "a.csv.gz")
    assert result.cutflow.written == 3

"""The hunt reads the columns of the scores that it looks at, and tells of the others by name."""

import numpy as np
import pyarrow as pa
import pytest

from raybead.config import Hunt
from raybead.distributed import hunt as hunting
from raybead.distributed.hunt import scores_of
from raybead.errors import HuntError, StorageError
from raybead.events import read_columns, table_bytes
from raybead.hunt import Sample
from raybead.storage import Folder

N = 50


@pytest.fixture
def scores(tmp_path):
    """A folder of both samples, and the search sample's table."""
    rng = np.random.default_rng(4)
    folder = Folder.at(str(tmp_path))
    tables = {}
    for role in ("background", "search"):
        tables[role] = pa.table(
            {
                "event": np.arange(N),
                "truth": rng.integers(0, 2, N).astype(np.int8),
                "weight": np.ones(N),
                "mjj": rng.uniform(2000, 5000, N),
                "mj1": rng.uniform(50, 500, N),
                "tau21_j1": rng.random(N),
                "score": rng.normal(size=N),
            }
        )
        folder.write(f"{role}.parquet", table_bytes(tables[role]))
    return folder, tables["search"]


@pytest.mark.parametrize("observable", ["mjj", "mj1"])
def test_samples_are_those_of_the_whole_table(scores, observable):
    folder, table = scores
    found = scores_of("", folder, Hunt(observable=observable), signal=True)
    whole = Sample.of(table, observable)
    for name in ("event", "mass", "score", "weight"):
        np.testing.assert_array_equal(getattr(found.search, name), getattr(whole, name))
    signal = table.column("truth").to_numpy() > 0
    assert found.signal is not None
    np.testing.assert_array_equal(found.signal.event, whole.event[signal])


def test_what_is_not_hunted_in_is_not_read(scores):
    folder, _ = scores
    read = hunting._hunted_columns(folder, "search", "mjj")
    assert sorted(read.column_names) == ["event", "mjj", "score", "truth", "weight"]


def test_a_column_that_is_not_there_is_told_with_all_that_are(scores):
    folder, _ = scores
    with pytest.raises(HuntError, match=r"no column 'mj3'; they have event, .*mj1, tau21_j1"):
        scores_of("", folder, Hunt(observable="mj3"))


def test_columns_that_are_there_are_read_and_others_left_out(scores):
    _, table = scores
    read = read_columns(table_bytes(table), "x", ["mjj", "nowhere", "event"])
    assert read.equals(table.select(["mjj", "event"]))


def test_half_a_file_is_refused(scores):
    _, table = scores
    content = table_bytes(table)
    with pytest.raises(StorageError, match="x: not a whole Parquet file"):
        read_columns(content[: len(content) // 2], "x", ["mjj"])

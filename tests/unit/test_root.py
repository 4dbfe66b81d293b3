import re
import sys

import awkward as ak
import numpy as np
import pytest

from raybead.config import RootSource
from raybead.errors import DamagedError, InputError
from raybead.events import open_source

uproot = pytest.importorskip("uproot")

PLAIN = {"pt": "pt", "eta": "eta", "phi": "phi"}


def root(path, columns=None, **more):
    return RootSource.model_validate(
        {"source": "root", "path": str(path), "columns": {**PLAIN, **(columns or {})}, **more}
    )


def read_all(config, rows_per_task=100):
    reader = open_source(config)
    return [reader.read(span) for span in reader.spans(rows_per_task)]


def events(n, seed=0):
    """Ragged columns of loose particles, some events empty."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, n)
    total = int(sizes.sum())
    flat = {
        "pt": rng.uniform(0.1, 900, total),
        "eta": rng.uniform(-5, 5, total),
        "phi": rng.uniform(-3.1, 3.1, total),
    }
    return {name: ak.unflatten(values, sizes) for name, values in flat.items()}


@pytest.fixture
def written(tmp_path):
    def write(trees, kind="mktree"):
        path = tmp_path / "a.root"
        with uproot.recreate(path) as file:
            for name, columns in trees.items():
                if kind == "mktree":
                    types = {key: rows.type.content for key, rows in columns.items()}
                    tree = file.mktree(name, types)
                    for part in range(0, len(columns["pt"]), 7):  # baskets of 7 entries
                        tree.extend({k: rows[part : part + 7] for k, rows in columns.items()})
                else:
                    file.mkrntuple(name, columns)
        return path

    return write


@pytest.mark.parametrize("rows_per_task", [1, 5, 7, 100])
@pytest.mark.parametrize("kind", ["mktree", "mkrntuple"])
def test_jagged_branches_come_back(written, rows_per_task, kind):
    made = events(20)
    made |= {
        "w": ak.Array(np.linspace(-1, 1, 20)),
        "label": ak.Array(np.arange(20, dtype=np.int32)),
        "pid": ak.values_astype(made["eta"] * 100, np.int32),
    }
    path = written({"folder/events" if kind == "mktree" else "events": made}, kind)
    config = root(path, {"weight": "w", "truth": "label", "pid": "pid"})
    parts = [part for part, _ in read_all(config, rows_per_task)]
    assert [len(part) for part in parts[:-1]] == [rows_per_task] * (len(parts) - 1)
    for name in ("pt", "eta", "phi", "pid"):
        back = [
            getattr(part, name)[a:b].tolist()
            for part in parts
            for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True)
        ]
        assert back == made[name].to_list()
    assert np.concatenate([part.weight for part in parts]).tolist() == made["w"].to_list()
    assert np.concatenate([part.truth for part in parts]).tolist() == list(range(20))
    assert np.concatenate([part.event for part in parts]).tolist() == list(range(20))


def test_lists_of_lists_are_jets(written):
    made = {
        "jets": ak.Array(
            [
                [{"c": [{"pt": 3e3, "eta": 0.1, "phi": 1.0}]}, {"c": []}],
                [],
                [{"c": [{"pt": 1e3, "eta": 0.2, "phi": 0.5}, {"pt": 2e3, "eta": 0, "phi": 4.0}]}],
            ]
        ),
        "pt": ak.Array([[[1.0], []], [], [[2.0, 3.0]]]),
        "b": ak.Array([[0.5, 0.25], [], [1.0]]),
    }
    path = written({"events": made}, "mkrntuple")
    names = {role: f"jets.c.{role}" for role in PLAIN}
    ((part, _),) = read_all(root(path, {**names, "btag": "b", "unit": "MeV"}, truth=1))
    assert part.pt.tolist() == [3.0, 1.0, 2.0]
    assert part.phi.tolist() == [1.0, 0.5, pytest.approx(4 - 2 * np.pi)]
    assert part.jets.offsets.tolist() == [0, 2, 2, 3]
    assert part.jets.constituents.tolist() == [0, 1, 1, 3]
    assert part.jets.btag.tolist() == [0.5, 0.25, 1.0]
    assert part.truth.tolist() == [1, 1, 1]


def test_arrays_of_fixed_length_lose_their_padding(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        grid = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        file["events"] = {"pt": grid, "eta": grid / 4, "phi": -grid}
    ((part, _),) = read_all(root(tmp_path / "a.root"))
    assert part.pt.tolist() == [2.0, 1.0]
    assert part.offsets.tolist() == [0, 2, 2]


def test_which_tree(written):
    made = {"a": events(3), "b/c": events(4)}
    path = written(made)
    with pytest.raises(InputError, match="several trees in it: a, b/c; tree says which"):
        open_source(root(path)).spans(10)
    with pytest.raises(InputError, match="no tree 'c'; it has: a, b/c"):
        open_source(root(path, tree="c")).spans(10)
    ((part, _),) = read_all(root(path, tree="b/c"))
    assert len(part) == 4


def test_a_file_behind_a_uri_is_read(written):
    path = written({"events": events(3)})
    ((part, _),) = read_all(root(f"file://{path}"))
    assert len(part) == 3
    assert part.source == f"file://{path}"


def test_unphysical_rows_are_refused_or_dropped(written):
    made = events(4)
    made["pt"] = ak.Array([[1.0], [-1.0], [1.0], [np.nan]])
    made["eta"] = made["phi"] = ak.Array([[1.0], [1.0], [1.0], [1.0]])
    path = written({"events": made})
    with pytest.raises(
        InputError, match=r"row 1: negative pT \(and 1 more bad rows up to row 3\)"
    ):
        read_all(root(path))
    ((part, dropped),) = read_all(root(path, bad_rows="drop"))
    assert part.event.tolist() == [0, 2]
    assert dropped == {"unphysical row": 2}


def test_what_events_follow_from(written):
    path = written({"events": events(3)})
    facts = open_source(root(path)).depends()
    assert facts["path"] == str(path)
    written({"events": events(4)})
    assert open_source(root(path)).depends()["fingerprint"] != facts["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pt": "Pt2"}, "no column 'Pt2' (columns.pt); the nearest is 'pt' of npt, pt, neta"),
        ({"pt": "pt.x"}, "no column 'pt.x' (columns.pt); the nearest is 'pt' of"),
        (
            {"weight": "eta"},
            "'eta' (columns.weight) is of lists of numbers; it has to be a number",
        ),
        ({"pt": "npt"}, "'npt' (columns.pt) is of numbers, one an event; it has to be a list"),
        ({"btag": "eta"}, "(columns.btag) says something of jets, but 'pt' is of lists"),
    ],
)
def test_columns_that_do_not_fit(written, changes, says):
    path = written({"events": events(5)})
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        open_source(root(path, changes)).spans(10)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path, written):
    whole = written({"events": events(50)}).read_bytes()
    cases = {
        "no such file": tmp_path / "missing.root",
        "a folder": tmp_path,
        "the file is empty": tmp_path / "empty.root",
        "not a ROOT file": tmp_path / "text.root",
        "truncated or damaged ROOT": tmp_path / "truncated.root",
        "no tree in it": tmp_path / "treeless.root",
        "its tree has no entries": tmp_path / "zero.root",
    }
    cases["the file is empty"].write_bytes(b"")
    cases["not a ROOT file"].write_text("pt,eta,phi\n" * 50)
    cases["truncated or damaged ROOT"].write_bytes(whole[: len(whole) // 2])
    with uproot.recreate(cases["no tree in it"]) as file:
        file["histogram"] = np.histogram([1.0, 2.0])
    with uproot.recreate(cases["its tree has no entries"]) as file:
        file.mktree("events", dict.fromkeys(PLAIN, "var * float64"))
    for says, path in cases.items():
        with pytest.raises(InputError, match=says) as caught:
            open_source(root(path)).spans(10)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_damage_is_told_with_its_rows_and_those_around_are_whole(written):
    made = events(21)
    path = written({"events": made})
    with uproot.open(path) as file:
        basket = file["events/pt"].basket(1)
        at, size = basket.cursor.index, basket.compressed_bytes
    content = bytearray(path.read_bytes())
    content[at : at + size] = b"\xff" * size
    path.write_bytes(content)
    reader = open_source(root(path))
    first, second, third = reader.spans(7)
    with pytest.raises(DamagedError, match="rows 7 to 13 can't be read, the file is damaged"):
        reader.read(second)
    for span in (first, third):
        flat = ak.flatten(made["pt"][span.start : span.stop])
        assert reader.read(span)[0].pt.tolist() == flat.to_list()


def test_without_uproot_one_line_says_what_to_install(written, monkeypatch):
    path = written({"events": events(2)})
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(InputError, match=re.escape("pip install 'raybead[root]'")):
        open_source(root(path)).spans(10)

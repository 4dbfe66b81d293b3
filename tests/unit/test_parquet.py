import re

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import make_particles

from raybead.config import Jets, ParquetSource
from raybead.errors import DamagedError, InputError
from raybead.events import EVENT_SCHEMA, event_table, make_jets, open_source, to_parquet

PLAIN = {"pt": "pt", "eta": "eta", "phi": "phi"}
JETS = {role: f"jets.constituents.{role}" for role in ("pt", "eta", "phi")}


def parquet(path, columns=None, **more):
    return ParquetSource.model_validate(
        {"source": "parquet", "path": str(path), "columns": columns, **more}
    )


def read_all(config, rows_per_task=100):
    reader = open_source(config)
    return [reader.read(span) for span in reader.spans(rows_per_task)]


def written(tmp_path, columns, **more):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, **more)
    return path


def plain(**changes):
    """Columns of three events of loose particles."""
    base = {
        "pt": [[3.0, 2.0], [], [1.0]],
        "eta": [[0.5, -0.5], [], [2.0]],
        "phi": [[1.0, -1.0], [], [3.0]],
    }
    return {**base, **changes}


def jets(**changes):
    """Columns of two events, of two jets and one."""
    lists = {
        "pt": [[[3.0, 2.0], [1.0]], [[5.0]]],
        "eta": [[[0.5, -0.5], [0.1]], [[2.0]]],
        "phi": [[[1.0, -1.0], [0.2]], [[3.0]]],
    }
    return {**lists, **changes}


# Raybead's own events


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Events as prepare writes them."""
    events = make_jets(make_particles(30, seed=4, signal=0.4), Jets())
    path = tmp_path_factory.mktemp("own") / "events.parquet"
    path.write_bytes(to_parquet(event_table(events), {}))
    return path, events


@pytest.mark.parametrize("rows_per_task", [1, 7, 100])
def test_events_come_back_from_their_own_rows(own, rows_per_task):
    path, events = own
    parts = [part for part, _ in read_all(parquet(path), rows_per_task)]
    picked = events.constituents
    for role in ("pt", "eta", "phi"):
        back = np.concatenate([getattr(part, role) for part in parts])
        expected = getattr(picked, role).astype(np.float32)
        np.testing.assert_array_equal(back.astype(np.float32), expected)
    for component in range(4):
        back = np.concatenate([part.jets.momenta[component] for part in parts])
        np.testing.assert_array_equal(back, events.momenta[component])
    sizes = np.concatenate([np.diff(part.jets.constituents) for part in parts])
    np.testing.assert_array_equal(sizes, np.diff(picked.offsets))
    assert {int(n) for part in parts for n in np.diff(part.jets.offsets)} == {2}
    truth = np.concatenate([part.truth for part in parts])
    np.testing.assert_array_equal(truth, events.particles.truth)
    event = np.concatenate([part.event for part in parts])
    np.testing.assert_array_equal(event, np.arange(len(events.particles)))
    for part in parts:
        np.testing.assert_array_equal(part.weight, np.ones(len(part)))
        assert part.met is None
        assert part.met_phi is None
        assert part.generator is None
        assert part.pid is None
        assert part.jets.btag is None
        assert part.source == str(path)
        assert (np.abs(part.phi) <= np.pi).all()


def test_what_own_events_may_know_is_kept(own, tmp_path):
    table = pq.read_table(own[0])
    n = len(table)
    rng = np.random.default_rng(0)
    extra = {
        "weight": pa.array(rng.normal(size=n)),
        "met": pa.array(rng.uniform(0, 90, n), pa.float32()),
        "met_phi": pa.array(rng.uniform(-3, 3, n), pa.float32()),
        "generator": pa.array([None, *(f"made {i % 2}" for i in range(n - 1))]),
    }
    for name, column in extra.items():
        table = table.set_column(table.column_names.index(name), name, column)
    for name, field, kind in (("jets", "btag", pa.float32()), ("constituents", "pid", pa.int32())):
        lists = ak.from_arrow(table[name])
        made = ak.local_index(lists.pt, axis=-1) - 3
        table = table.set_column(
            table.column_names.index(name),
            name,
            ak.to_arrow(
                ak.with_field(lists, ak.values_astype(made, kind.to_pandas_dtype()), field),
                extensionarray=False,
            ),
        )
    path = tmp_path / "known.parquet"
    pq.write_table(table, path, row_group_size=4)
    parts = [part for part, _ in read_all(parquet(path), 5)]
    for name in ("weight", "met", "met_phi"):
        back = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(back, table[name].to_numpy())
        assert back.dtype == table[name].to_numpy().dtype
    generators = [name for part in parts for name in part.generator]
    assert generators == table["generator"].to_pylist()
    btag = np.concatenate([part.jets.btag for part in parts])
    assert btag.tolist() == [-3.0, -2.0] * n
    pid = np.concatenate([part.pid for part in parts])
    sizes = np.concatenate([np.diff(part.jets.constituents) for part in parts])
    assert pid.tolist() == [i - 3 for size in sizes for i in range(size)]
    (whole,) = read_all(parquet(path, generator="mine"))
    assert whole[0].generator == "mine"


def test_pi_as_float32_stays_pi(own, tmp_path):
    table = pq.read_table(own[0])
    rows = table["constituents"].to_pylist()
    rows[0][0][0]["phi"] = float(np.float32(np.pi))
    rows[1][0][0]["phi"] = float(np.float32(-np.pi))
    place = table.column_names.index("constituents")
    path = tmp_path / "pi.parquet"
    column = pa.array(rows, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)
    ((part, _),) = read_all(parquet(path))
    assert part.phi[0] == np.pi
    assert part.phi[part.offsets[1]] == -np.pi


def test_truth_of_the_section_is_for_files_without(own, tmp_path):
    table = pq.read_table(own[0])
    place = table.column_names.index("truth")
    unknown = table.set_column(place, "truth", pa.nulls(len(table), pa.int8()))
    pq.write_table(unknown, tmp_path / "unknown.parquet")
    ((part, _),) = read_all(parquet(tmp_path / "unknown.parquet"))
    assert part.truth is None
    ((part, _),) = read_all(parquet(tmp_path / "unknown.parquet", truth=7))
    assert part.truth.tolist() == [7] * len(table)
    half = [None, *table["truth"].to_pylist()[1:]]
    pq.write_table(
        table.set_column(place, "truth", pa.array(half, pa.int8())), tmp_path / "h.parquet"
    )
    ((part, _),) = read_all(parquet(tmp_path / "h.parquet"))
    assert part.truth.tolist() == [-1, *half[1:]]
    back = event_table(make_jets(part, Jets(min_pt=0)))
    assert back["truth"].to_pylist() == half


def test_own_events_that_know_different_things_come_back_alike(own, tmp_path):
    """As a sample of several sources has them: here b-tags and numbers, there none."""
    first, second = (pq.read_table(own[0]).to_pylist() for _ in range(2))
    for row in second:
        row |= {"met": 3.0, "met_phi": 0.5, "truth": None}
        for jet, parts in zip(row["jets"], row["constituents"], strict=True):
            jet |= {"btag": 1.0, "n": jet["n"] + 5}
            for part in parts:
                part["pid"] = 22
    mixed = pa.Table.from_pylist(first + second, schema=EVENT_SCHEMA)
    pq.write_table(mixed, tmp_path / "mixed.parquet")
    ((part, _),) = read_all(parquet(tmp_path / "mixed.parquet"))
    back = event_table(make_jets(part, Jets(min_pt=0))).to_pylist()
    for number, (row, expected) in enumerate(zip(back, mixed.to_pylist(), strict=True)):
        # Unknown numbers of particles come back as 0, which no particle has.
        for of_jet in expected["constituents"]:
            for constituent in of_jet:
                constituent["pid"] = constituent["pid"] or 0
        assert [jet["n"] for jet in row["jets"]] == [jet["n"] for jet in expected["jets"]]
        assert [jet["btag"] for jet in row["jets"]] == [jet["btag"] for jet in expected["jets"]]
        assert row["constituents"] == expected["constituents"]
        for key in ("truth", "met", "met_phi", "weight"):
            assert row[key] == expected[key], (number, key)


def test_an_own_file_that_no_event_passed_into_has_no_spans(tmp_path):
    pq.write_table(EVENT_SCHEMA.empty_table(), tmp_path / "none.parquet")
    assert open_source(parquet(tmp_path / "none.parquet")).spans(10) == []


# Mapped columns


def test_ready_made_jets_with_all_that_can_be_mapped(tmp_path):
    columns = jets(
        pid=[[[211, -211], [22]], [[130]]],
        w=[0.5, -2.0],
        met=[1000.0, 3000],
        met_phi=[0.5, 4.0],
        label=[0, 3],
        b=[[True, False], [True]],
        jpt=[[5000.0, 1000], [5000]],
        jeta=[[0.1, 0.2], [1.5]],
        jphi=[[0.3, 0.4], [-3.0]],
        jm=[[1000.0, -1], [2000]],
    )
    config = parquet(
        written(tmp_path, columns),
        {
            **PLAIN,
            "pid": "pid",
            "weight": "w",
            "met": "met",
            "met_phi": "met_phi",
            "truth": "label",
            "btag": "b",
            "jet_pt": "jpt",
            "jet_eta": "jeta",
            "jet_phi": "jphi",
            "jet_mass": "jm",
            "unit": "MeV",
        },
        generator="g",
    )
    ((part, dropped),) = read_all(config)
    assert dropped == {}
    np.testing.assert_allclose(part.pt, [0.003, 0.002, 0.001, 0.005], rtol=1e-15)
    assert part.eta.tolist() == [0.5, -0.5, 0.1, 2.0]
    assert part.pid.tolist() == [211, -211, 22, 130]
    assert part.offsets.tolist() == [0, 3, 4]
    assert part.jets.offsets.tolist() == [0, 2, 3]
    assert part.jets.constituents.tolist() == [0, 2, 3, 4]
    assert part.jets.btag.tolist() == [1.0, 0.0, 1.0]
    assert part.weight.tolist() == [0.5, -2.0]
    assert part.met.tolist() == [1.0, 3.0]
    np.testing.assert_allclose(part.met_phi, [0.5, 4.0 - 2 * np.pi], rtol=1e-6)
    assert part.truth.tolist() == [0, 3]
    assert part.generator == "g"
    momenta = part.jets.momenta
    np.testing.assert_allclose(momenta.pt, [5, 1, 5])
    np.testing.assert_allclose(momenta.eta, [0.1, 0.2, 1.5])
    np.testing.assert_allclose(momenta.phi, [0.3, 0.4, -3.0])
    np.testing.assert_allclose(momenta.mass, [1, 0, 2], atol=1e-7)


def test_padding_isnt_particles(tmp_path):
    padded = {
        "pt": [[3.0, 2.0, 0.0], [0.0, 0.0, 0.0]],
        "eta": [[0.5, 0.1, 99.0], [0.0, 0.0, 0.0]],
        "phi": [[1.0, 0.2, 0.0], [0.0, 0.0, 0.0]],
    }
    kind = pa.list_(pa.float32(), 3)
    columns = {name: pa.array(rows, kind) for name, rows in padded.items()}
    ((part, _),) = read_all(parquet(written(tmp_path, columns), PLAIN))
    assert part.pt.tolist() == [3.0, 2.0]
    assert part.offsets.tolist() == [0, 2, 2]


@pytest.mark.parametrize("momenta", [False, True])
def test_jets_of_padding_alone_are_padding(tmp_path, momenta):
    lists = {
        name: [[[value, 0.0], [value, value], [0.0, 0.0]], [[value, 0.0], [0.0, 0.0], [0.0, 0.0]]]
        for name, value in (("pt", 2.0), ("eta", 0.5), ("phi", 1.0))
    }
    columns = {
        **lists,
        "b": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        "jpt": [[2.0, 4.0, 0.0], [2.0, 7.0, 0.0]],
        "jeta": [[0.5, 0.5, -999.0], [0.5, 0.5, -999.0]],
    }
    names = {"jet_pt": "jpt", "jet_eta": "jeta", "jet_phi": "jpt", "jet_mass": "jpt"}
    config = parquet(
        written(tmp_path, columns), {**PLAIN, "btag": "b", **(names if momenta else {})}
    )
    ((part, _),) = read_all(config)
    assert part.pt.tolist() == [2.0, 2.0, 2.0, 2.0]
    # A jet with a momentum is one, whether or not its constituents are told.
    assert part.jets.btag.tolist() == ([1, 2, 4, 5] if momenta else [1, 2, 4])
    assert part.jets.offsets.tolist() == ([0, 2, 4] if momenta else [0, 2, 3])
    assert part.jets.constituents.tolist() == ([0, 1, 3, 4, 4] if momenta else [0, 1, 3, 4])


def test_rows_that_cannot_be_events_can_be_dropped(tmp_path):
    columns = plain(
        pt=[[3.0, 2.0], [1.0], [-1.0]], eta=[[0.5, 0.5], [0.5, 1.0], [0.0]], phi=[[1, 2], [1], [1]]
    )
    path = written(tmp_path, columns)
    ((part, dropped),) = read_all(parquet(path, PLAIN, bad_rows="drop"))
    assert dropped == {"unphysical row": 2}
    assert part.event.tolist() == [0]
    assert part.pt.tolist() == [3.0, 2.0]
    with pytest.raises(InputError, match=r"row 1: pt and eta .* \(and 1 more bad rows up to row"):
        read_all(parquet(path, PLAIN))


def test_only_mapped_columns_and_wanted_row_groups_are_read(tmp_path):
    n = 600
    lists = [[1.0 + i] for i in range(n)]
    columns = {
        "pt": lists,
        "eta": [[0.1]] * n,
        "phi": [[0.2]] * n,
        "noise": [bytes([i % 256] * 16) for i in range(n)],
    }
    path = written(tmp_path, columns, row_group_size=200, compression="none")
    content = bytearray(path.read_bytes())
    metadata = pq.read_metadata(path)
    # Whatever else there is goes to waste: what is read doesn't need it.
    for group, column in [(0, 3), (1, 3), (2, 3), (0, 0), (2, 0)]:
        chunk = metadata.row_group(group).column(column)
        at = chunk.data_page_offset
        if chunk.has_dictionary_page:
            at = min(at, chunk.dictionary_page_offset)
        content[at : at + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    reader = open_source(parquet(path, PLAIN))
    first, second, third = reader.spans(200)
    assert reader.read(second)[0].pt.tolist() == [1.0 + i for i in range(200, 400)]
    for span in (first, third):
        says = f"rows {span.start} to {span.stop - 1} can't be read, the file is damaged"
        with pytest.raises(DamagedError, match=says):
            reader.read(span)


def test_a_name_with_dots_is_a_name(tmp_path):
    columns = {f"a.{name}": rows for name, rows in plain().items()}
    names = {role: f"a.{role}" for role in PLAIN}
    ((part, _),) = read_all(parquet(written(tmp_path, columns), names))
    assert part.pt.tolist() == [3.0, 2.0, 1.0]


def test_what_events_follow_from(tmp_path):
    path = written(tmp_path, plain())
    facts = open_source(parquet(path, PLAIN)).depends()
    assert facts["path"] == str(path)
    assert facts["columns"]["pt"] == "pt"
    pq.write_table(pa.table(plain(pt=[[3.0], [], [1.0]])), path)
    assert open_source(parquet(path, PLAIN)).depends()["fingerprint"] != facts["fingerprint"]


# Bad inputs, and the lines they give


def test_files_that_are_none(tmp_path, own):
    whole = own[0].read_bytes()
    cases = {
        "no such file": tmp_path / "missing.parquet",
        "a folder": tmp_path,
        "the file is empty": tmp_path / "empty.parquet",
        "not Parquet": tmp_path / "text.parquet",
        "truncated or damaged Parquet": tmp_path / "truncated.parquet",
        "it has no rows": tmp_path / "zero.parquet",
        r"not raybead's own events, and no \[columns\]": tmp_path / "plain.parquet",
    }
    cases["the file is empty"].write_bytes(b"")
    cases["not Parquet"].write_text("pt,eta,phi\n" * 50)
    cases["truncated or damaged Parquet"].write_bytes(whole[: len(whole) // 2])
    pq.write_table(pa.table(plain()).slice(0, 0), cases["it has no rows"])
    pq.write_table(pa.table(plain()), tmp_path / "plain.parquet")
    for says, path in cases.items():
        with pytest.raises(InputError, match=says) as caught:
            open_source(parquet(path, PLAIN if "no rows" in says else None)).spans(10)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "names", "says"),
    [
        (plain(), {"pt": "PT "}, r"no column 'PT ' (columns.pt); the nearest is 'pt' of pt, eta"),
        (
            {"P": [{"pt": [1.0], "eta": [1.0], "phi": [1.0]}]},
            {"pt": "P.pT", "eta": "P.eta", "phi": "P.phi"},
            "no column 'P.pT' (columns.pt); the nearest is 'P.pt' of P.pt, P.eta, P.phi",
        ),
        (
            plain(pt=[1.0, 2.0, 3.0]),
            {},
            "column 'pt' (columns.pt) is of numbers, one an event; it has to be a list an event",
        ),
        (plain(pt=[["a"], [], []]), {}, "(columns.pt) is of lists of string values; it has to"),
        (plain(pt=[[{"x": 1}], [], []]), {}, "is of lists of structs of x; it has to be"),
        (
            plain(pt=[[[1.0]], [], []]),
            {},
            "'eta' (columns.eta) is of lists of numbers; it has to be lists of lists of numbers",
        ),
        (plain(pt=[[[[1.0]]], [], []]), {}, "is of lists in 3 levels of numbers"),
        (plain(w=[[1.0], [], []]), {"weight": "w"}, "lists of numbers; it has to be a number an"),
        (plain(b=[[1], [], []]), {"btag": "b"}, "'b' (columns.btag) says something of jets, but"),
        (jets(b=[1, 0]), {"btag": "b"}, "it has to be a list an event with a number a jet"),
    ],
)
def test_columns_that_do_not_fit(tmp_path, columns, names, says):
    path = written(tmp_path, columns)
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        open_source(parquet(path, {**PLAIN, **names})).spans(10)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "names", "says"),
    [
        (plain(pt=[[3.0, 2.0], None, [1.0]]), {}, "row 1: a null in pt;"),
        (plain(eta=[[3.0, 2.0], [], [None]]), {}, "row 2: a null in eta;"),
        (plain(eta=[[3.0], [], [1.0]]), {}, "row 0: pt and eta of different lengths;"),
        (plain(pt=[[3.0, np.nan], [], [1.0]]), {}, "row 0: NaN or infinity in pt;"),
        (plain(phi=[[3.0, 1.0], [], [np.inf]]), {}, "row 2: NaN or infinity in phi;"),
        (plain(pt=[[3.0, 2.0], [], [-1.0]]), {}, "row 2: negative pT;"),
        (plain(eta=[[3.0, 2.0], [], [-7.0]]), {}, "row 2: |eta| beyond 6;"),
        (plain(w=[1.0, np.nan, 1.0]), {"weight": "w"}, "row 1: NaN or infinity in w;"),
        (plain(w=[1.0, -9.0, 1.0]), {"met": "w"}, "row 1: negative MET;"),
        (plain(t=[0, 1, None]), {"truth": "t"}, "row 2: a null in t;"),
        (plain(t=[0.0, 1.0, 0.5]), {"truth": "t"}, "row 2: t 0.5 is no class number"),
        (plain(t=[0, 100, 0]), {"truth": "t"}, "row 1: t 100 is no class number"),
        (plain(p=[[22.5, 1], [], [1]]), {"pid": "p"}, "row 0: p is no PDG number;"),
        (plain(p=[[22, 1], [1], [1]]), {"pid": "p"}, "row 1: pt and p of different lengths;"),
        (jets(b=[[1], [1]]), {"btag": "b"}, "row 0: b is not one value a jet of pt;"),
        (jets(b=[[1, 0], None]), {"btag": "b"}, "row 1: a null in b;"),
        (
            jets(eta=[[[0.5], [0.1, 0.2]], [[2.0]]]),
            {},
            "row 0: pt and eta of different lengths;",
        ),
        (jets(eta=[[[0.5, 1.0], [0.1]], [None]]), {}, "row 1: a null in eta;"),
        (
            jets(q=[[-1.0, 1.0], [1.0]]),
            {f"jet_{name}": "q" for name in ("pt", "eta", "phi", "mass")},
            "row 0: negative pT of a jet;",
        ),
    ],
)
def test_rows_that_are_no_events(tmp_path, columns, names, says):
    path = written(tmp_path, columns)
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        read_all(parquet(path, {**PLAIN, **names}))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_jets_reached_through_structs(tmp_path):
    events = ak.Array(
        [
            {
                "jets": [
                    {"constituents": [{"pt": 3.0, "eta": 0.5, "phi": 1.0}]},
                    {"constituents": []},
                ]
            },
            {"jets": []},
        ]
    )
    ak.to_parquet(events, tmp_path / "a.parquet")
    ((part, _),) = read_all(parquet(tmp_path / "a.parquet", JETS))
    assert part.jets.offsets.tolist() == [0, 2, 2]
    assert part.jets.constituents.tolist() == [0, 1, 1]
    assert part.phi.tolist() == [1.0]

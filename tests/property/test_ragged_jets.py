"""Events that keep more than two jets, against loops over events and jets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import mass_of, ragged_particles, slow_jets

from raybead.config import Emd, Jets, ParquetSource, SoftDrop
from raybead.events import (
    Cutflow,
    event_table,
    make_jets,
    open_source,
    read_parquet,
    reduced,
    table_bytes,
    to_parquet,
)
from raybead.preparing import pool_of
from raybead.preparing.measured import measure
from raybead.storage import Folder

jet = st.tuples(st.floats(20, 2000), st.integers(1, 9))
events_of = st.lists(st.lists(jet, max_size=6), min_size=1, max_size=12)


@given(
    events=events_of,
    leading=st.integers(2, 5),
    min_leading_pt=st.sampled_from([0.0, 800.0]),
    groomed=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_every_event_keeps_its_leading_jets_or_is_counted(
    events, leading, min_leading_pt, groomed, seed
):
    particles = ragged_particles(events, seed)
    config = Jets(
        leading=leading,
        min_pt=100.0,
        min_leading_pt=min_leading_pt,
        min_constituents=3,
        soft_drop=SoftDrop(z_cut=0.2, beta=0.0) if groomed else None,
    )
    found = make_jets(particles, config)
    kept, dropped = slow_jets(particles, config)
    assert found.dropped == dropped
    assert Cutflow(len(particles), found.dropped, len(found.particles)).adds_up
    assert found.particles.event.tolist() == list(kept)
    assert np.diff(found.offsets).tolist() == [len(jets) for jets in kept.values()]
    np.testing.assert_allclose(
        found.mjj, [mass_of(jets[:2]) for jets in kept.values()], rtol=1e-6, atol=1e-2
    )
    rows = event_table(found).to_pylist()
    for row, jets in zip(rows, kept.values(), strict=True):
        assert len(row["jets"]) == len(row["constituents"]) == len(jets)
        for got, parts, expected in zip(row["jets"], row["constituents"], jets, strict=True):
            p4 = [got[name] for name in ("px", "py", "pz", "e")]
            np.testing.assert_allclose(p4, expected["p4"], rtol=1e-9, atol=1e-6)
            assert got["n"] == len(parts) == len(expected["parts"][0])
            assert [part["pt"] for part in parts] == expected["parts"][0].astype("f4").tolist()


@pytest.fixture(scope="module")
def of_three():
    """Events of two and of three jets that are kept, out of events of up to five."""
    rng = np.random.default_rng(5)
    given_jets = [
        [(float(rng.uniform(150, 1500)), int(rng.integers(2, 25))) for _ in range(2 + i % 4)]
        for i in range(40)
    ]
    return make_jets(ragged_particles(given_jets), Jets(leading=3))


def test_two_jets_are_the_first_two_of_three(of_three):
    assert set(np.diff(of_three.offsets)) == {2, 3}
    two = make_jets(of_three.particles, Jets(leading=2))
    np.testing.assert_array_equal(two.mjj, of_three.mjj)
    first = (of_three.offsets[:-1, None] + np.arange(2)).ravel()
    np.testing.assert_array_equal(two.momenta.e, of_three.momenta.e[first])
    assert two.btag.tolist() == of_three.btag[first].tolist()


def test_ragged_rows_come_back_from_a_file_and_as_a_source(of_three, tmp_path):
    parts = of_three.constituents
    measured = measure(parts, ("tau1", "d2"), 1.0)
    table = event_table(of_three, reduced(parts, Jets(max_constituents=5)), measured)
    path = tmp_path / "own.parquet"
    path.write_bytes(to_parquet(table, {}))
    again = read_parquet(path.read_bytes(), "own")
    assert again.to_pylist() == table.to_pylist()
    jets = again["jets"].combine_chunks()
    per_event = np.diff(jets.offsets.to_numpy())
    assert per_event.tolist() == np.diff(of_three.offsets).tolist()
    tau1 = jets.flatten().field("tau1").to_numpy()
    np.testing.assert_array_equal(tau1, measured["tau1"])
    source = open_source(ParquetSource(source="parquet", path=str(path)))
    (span,) = source.spans(1000)
    particles, dropped = source.read(span)
    assert dropped == {}
    back = make_jets(particles, Jets(leading=3, min_pt=0.0, min_constituents=1))
    assert back.offsets.tolist() == of_three.offsets.tolist()
    np.testing.assert_array_equal(back.mjj, of_three.mjj)
    np.testing.assert_array_equal(back.n, of_three.n)


def test_subjets_of_a_third_jet(of_three):
    parts = reduced(of_three.constituents, Jets(subjets=3))
    assert np.diff(parts.offsets).tolist() == np.minimum(of_three.n, 3).tolist()
    px = np.add.reduceat(parts.pt * np.cos(parts.phi), parts.offsets[:-1])
    np.testing.assert_allclose(px, of_three.momenta.px, rtol=1e-6, atol=1e-6)


def test_pairs_keep_all_jets_of_an_event_on_one_side(of_three, tmp_path):
    folder = Folder.at(str(tmp_path / "events"))
    table = event_table(of_three)
    for number, rows in enumerate((table.slice(0, 17), table.slice(17))):
        folder.write(f"rows-{number}.parquet", table_bytes(rows))
    pool = pool_of(folder, Emd(pairs=1000, validation=0.2, test=0.2), seed=1)
    assert len(pool.side) == len(of_three.n)
    for first, last in zip(of_three.offsets[:-1], of_three.offsets[1:], strict=True):
        assert len(set(pool.side[first:last])) == 1
    assert np.bincount(pool.side).min() > 0

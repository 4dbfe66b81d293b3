"""Corrupted background against loops over jets, closed forms, and what every kind must keep."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_particles
from more_jets import ragged
from ragged import ragged_particles
from scipy.stats import kstest

from raybead.config import CorruptionKind, Jets
from raybead.errors import InputError
from raybead.events import event_schema, event_table, make_jets, reduced, table_bytes
from raybead.events.particles import offsets_of
from raybead.graphs.rows import Rows
from raybead.observables import tau21_of_leading
from raybead.sweeping.corruptions import corrupt
from raybead.sweeping.corruptions.clouds import Clouds
from raybead.sweeping.corruptions.draws import Draws
from raybead.sweeping.corruptions.mass_scaling import factors
from raybead.sweeping.corruptions.two_prong import masses, two_pronged

KINDS = get_args(CorruptionKind)


@pytest.fixture(scope="module")
def background() -> pa.Table:
    return event_table(make_jets(make_particles(150, seed=8), Jets()))


@pytest.fixture(scope="module")
def corrupted(background) -> dict[str, pa.Table]:
    return {kind: corrupt(background, kind, 4) for kind in KINDS}


def jets_of(table: pa.Table) -> list[tuple[dict, list[dict], int, int]]:
    """Jets, their constituents, event numbers and ranks, one by one."""
    return [
        (jet, parts, row["event"], rank)
        for row in table.to_pylist()
        for rank, (jet, parts) in enumerate(zip(row["jets"], row["constituents"], strict=True))
    ]


def summed(parts: list[dict]) -> list[float]:
    return [
        math.fsum(p["pt"] * math.cos(p["phi"]) for p in parts),
        math.fsum(p["pt"] * math.sin(p["phi"]) for p in parts),
        math.fsum(p["pt"] * math.sinh(p["eta"]) for p in parts),
        math.fsum(p["pt"] * math.cosh(p["eta"]) for p in parts),
    ]


def mass_of(p4: Sequence[float]) -> float:
    return math.sqrt(max(p4[3] ** 2 - p4[0] ** 2 - p4[1] ** 2 - p4[2] ** 2, 0.0))


def farthest_of(parts: list[dict]) -> float:
    first, total = parts[0]["phi"], sum(p["pt"] for p in parts)
    turns = [math.remainder(p["phi"] - first, math.tau) for p in parts]
    eta = sum(p["pt"] * p["eta"] for p in parts) / total
    turn = sum(p["pt"] * t for p, t in zip(parts, turns, strict=True)) / total
    return max(math.hypot(p["eta"] - eta, t - turn) for p, t in zip(parts, turns, strict=True))


def check_kept(old: pa.Table, new: pa.Table) -> None:
    """What every kind keeps, jet by jet."""
    assert new.schema.equals(old.schema)
    for name in ("event", "source", "generator", "weight", "met", "met_phi"):
        assert new.column(name).equals(old.column(name))
    assert new.column("truth").null_count == len(new)
    for before, after in zip(old.to_pylist(), new.to_pylist(), strict=True):
        assert len(after["jets"]) == len(after["constituents"]) == len(before["jets"])
    reach = max([1.0, *(farthest_of(parts) for _, parts, _, _ in jets_of(old))])
    for (was, _, *_), (jet, parts, *_) in zip(jets_of(old), jets_of(new), strict=True):
        for name in ("px", "py", "pz", "pt", "eta", "phi", "btag"):
            assert jet[name] == was[name]
        assert jet["n"] == len(parts)
        assert mass_of([jet[x] for x in ("px", "py", "pz", "e")]) == pytest.approx(
            jet["mass"], abs=1e-3
        )
        np.testing.assert_allclose(
            summed(parts), [jet[x] for x in ("px", "py", "pz", "e")], rtol=1e-5, atol=1e-2
        )
        pt = [p["pt"] for p in parts]
        assert pt == sorted(pt, reverse=True)
        assert min(pt) > 0
        assert all(abs(p["phi"]) <= np.float32(np.pi) for p in parts)
        assert farthest_of(parts) <= reach * 1.1  # what mends masses works in small angles
    for row in new.to_pylist():
        pair = [[jet[x] for x in ("px", "py", "pz", "e")] for jet in row["jets"][:2]]
        if len(pair) == 2:
            mjj = mass_of([a + b for a, b in zip(*pair, strict=True)])
            assert row["mjj"] == pytest.approx(mjj, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_events_stay_and_jets_keep_their_momentum(kind, background, corrupted):
    check_kept(background, corrupted[kind])
    assert not corrupted[kind].column("mjj").equals(background.column("mjj"))


jet = st.tuples(st.floats(60, 2000), st.integers(1, 12))


@given(
    events=st.lists(st.lists(jet, min_size=2, max_size=5), min_size=1, max_size=8),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**63),
    width=st.sampled_from([0.01, 0.1, 0.3]),
)
@settings(max_examples=60, deadline=None)
def test_events_of_any_jets_stay(events, kind, seed, width):
    particles = ragged_particles(events, seed % 7, width)
    old = event_table(make_jets(particles, Jets(leading=5, min_pt=10.0, min_constituents=1)))
    check_kept(old, corrupt(old, kind, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_and_rows_may_come_in_chunks(kind, background, corrupted):
    again = corrupt(pa.concat_tables([background.slice(0, 40), background.slice(40)]), kind, 4)
    assert table_bytes(again.combine_chunks()) == table_bytes(corrupted[kind])
    other = corrupt(background, kind, 5)
    assert not other.column("constituents").equals(corrupted[kind].column("constituents"))


@pytest.mark.parametrize("kind", ["shuffle", "mass-scaling"])
def test_a_jet_takes_its_draws_with_it(kind, background, corrupted):
    some = background.take([90, 3, 17])
    found, expected = corrupt(some, kind, 4), corrupted[kind].take([90, 3, 17])
    for (a, parts, *_), (b, others, *_) in zip(jets_of(found), jets_of(expected), strict=True):
        assert a["mass"] == pytest.approx(b["mass"], rel=1e-9)
        for x in ("pt", "eta", "phi"):
            np.testing.assert_allclose([p[x] for p in parts], [p[x] for p in others], rtol=1e-6)


def test_shuffled_constituents_take_one_anothers_pt(background, corrupted):
    moved = 0
    for (_, parts, *_), (_, others, *_) in zip(
        jets_of(background), jets_of(corrupted["shuffle"]), strict=True
    ):
        pt, others_pt = ([p["pt"] for p in some] for some in (parts, others))
        common = others_pt[0] / pt[0]  # restores the jet's momentum
        assert 0.99 < common < 1.35
        np.testing.assert_allclose(others_pt, np.multiply(pt, common), rtol=1e-6)
        # Distances between constituents are the same ones, but for a common factor: in order of
        # pT they differ, sorted they don't.
        apart, others_apart = (
            np.array([math.dist((a["eta"], a["phi"]), (b["eta"], b["phi"]))
                      for a in some for b in some])
            for some in (parts, others)
        )  # fmt: skip
        if max(abs(p["phi"]) for p in [*parts, *others]) < 2:
            inside = apart.max() / others_apart.max()
            np.testing.assert_allclose(
                np.sort(apart), np.sort(others_apart) * inside, rtol=1e-3, atol=1e-5
            )
        assert not np.allclose(apart, others_apart, atol=1e-4)
        moved += 1
    assert moved == 300


def test_no_shuffle_leaves_a_jet_as_it_was():
    # Of two constituents half of all permutations would.
    particles = ragged_particles([[(500.0, 2), (400.0, 1)]] * 50, 1)
    old = event_table(make_jets(particles, Jets(min_constituents=1)))
    new = corrupt(old, "shuffle", 0)
    for (was, parts, *_), (jet, others, *_) in zip(jets_of(old), jets_of(new), strict=True):
        if len(parts) == 2:
            gap = parts[1]["eta"] - parts[0]["eta"]
            assert others[1]["eta"] - others[0]["eta"] == pytest.approx(-gap, abs=1e-5)
        else:
            assert jet["mass"] == pytest.approx(was["mass"], abs=1e-3)
            assert [others[0][x] for x in ("pt", "eta", "phi")] == pytest.approx(
                [parts[0][x] for x in ("pt", "eta", "phi")], rel=1e-6
            )


def test_masses_are_scaled_by_what_is_drawn(background, corrupted):
    drawn = []
    for (was, parts, event, rank), (jet, others, *_) in zip(
        jets_of(background), jets_of(corrupted["mass-scaling"]), strict=True
    ):
        draws = Draws.of(4, "mass-scaling", np.array([event]), np.array([rank]))
        ratio = was["mass"] / was["pt"]
        factor = float(factors(np.array([ratio]), draws, 1.0)[0])
        assert jet["mass"] / was["mass"] == pytest.approx(factor, rel=1e-3)
        assert len(others) == len(parts)
        if ratio < 0.5 / 3:
            drawn.append(math.log(factor / 1.5) / math.log(2))
    assert len(drawn) > 200
    assert kstest(drawn, "uniform").pvalue > 0.01


def test_heavy_jets_are_not_brought_beyond_what_jets_have():
    ratio = np.array([0.0, 0.1, 0.2, 0.4, 0.6])
    found = [
        factors(ratio, Draws.of(seed, "x", np.arange(5), np.zeros(5, int)), 1.0)
        for seed in range(300)
    ]
    low, high = np.min(found, axis=0), np.max(found, axis=0)
    np.testing.assert_allclose(low, [1.5, 1.5, 1.25, 1, 1], rtol=0.01)
    np.testing.assert_allclose(high, [3, 3, 2.5, 1.25, 1], rtol=0.01)


def clouds(sizes, seed=0, width=0.2) -> Clouds:
    rng = np.random.default_rng(seed)
    total = sum(sizes)
    axes = np.repeat(rng.uniform([-2, -9], [2, 9], (len(sizes), 2)), sizes, axis=0)
    found = Clouds(
        np.array(sizes), rng.exponential(30, total), axes[:, 0] + width * rng.normal(size=total),
        axes[:, 1] + width * rng.normal(size=total), np.arange(total),
    )  # fmt: skip
    return found.by_pt()


def slow_mass(pt, eta, phi) -> float:
    p4 = [sum(pt * np.cos(phi)), sum(pt * np.sin(phi)), sum(pt * np.sinh(eta))]
    p4.append(sum(pt * np.cosh(eta)))
    return mass_of(p4) / math.hypot(p4[0], p4[1])


def slow_stretch(pt, eta, phi, k, radius) -> tuple[np.ndarray, np.ndarray]:
    def axis(eta, phi):
        return np.average(eta, weights=pt), np.average(phi, weights=pt)

    eta0, phi0 = axis(eta, phi)
    found = []
    reach = max(radius, max(math.hypot(e - eta0, f - phi0) for e, f in zip(eta, phi, strict=True)))
    for e, f in zip(eta - eta0, phi - phi0, strict=True):
        theta = math.hypot(e, f)
        grown = k / (1 + (k - 1) * theta / radius) if theta < radius else 1
        found.append((eta0 + grown * e, phi0 + grown * f))
    eta, phi = np.array(found).T
    eta1, phi1 = axis(eta, phi)
    farthest = max(math.hypot(e - eta1, f - phi1) for e, f in zip(eta, phi, strict=True))
    drawn = reach / max(reach, farthest)
    return eta1 + drawn * (eta - eta1), phi1 + drawn * (phi - phi1)


@pytest.mark.parametrize(("k", "width"), [(0.4, 0.15), (2.0, 0.15), (3.0, 0.3)])
def test_stretching_finds_the_factor_that_a_loop_used(k, width):
    jets = clouds([2, 5, 30, 1, 8], width=width)
    pt_eta_phi = [
        (jets.pt_C[a:b], jets.eta_C[a:b], jets.phi_C[a:b]) for a, b in pairwise(jets.offsets)
    ]
    wanted = [slow_stretch(*jet, k, 0.8) for jet in pt_eta_phi]
    ratio = [slow_mass(jet[0], *moved) for jet, moved in zip(pt_eta_phi, wanted, strict=True)]
    found = jets.stretched(np.array(ratio), np.full(5, 0.8), 0.05, 20.0)
    for (a, b), (eta, phi) in zip(pairwise(jets.offsets), wanted, strict=True):
        np.testing.assert_allclose(found.eta_C[a:b], eta, atol=2e-3)
        np.testing.assert_allclose(found.phi_C[a:b], phi, atol=2e-3)


def test_angles_of_a_narrow_jet_are_all_multiplied():
    jets = clouds([6, 9], width=1e-4)
    before = jets.momenta
    found = jets.stretched(2.5 * before.mass / before.pt, np.ones(2), 1.0, 10.0)
    for old, new in zip(jets.about_axis()[2:], found.about_axis()[2:], strict=True):
        np.testing.assert_allclose(new, 2.5 * old, rtol=5e-3, atol=1e-7)


def test_restoring_turns_and_boosts_alone():
    jets = clouds([2, 5, 30, 1])
    target = clouds([3, 3, 3, 3], seed=5).momenta
    found = jets.restored(target)
    for name in ("px", "py", "pz"):
        np.testing.assert_allclose(
            getattr(found.momenta, name), getattr(target, name), rtol=1e-9, atol=1e-9
        )
    np.testing.assert_allclose(
        found.momenta.mass / found.momenta.pt, jets.momenta.mass / jets.momenta.pt, atol=1e-7
    )


def test_two_prongs_have_the_mass_drawn(background, corrupted):
    drawn = []
    for (was, *_, event, rank), (jet, *_) in zip(
        jets_of(background), jets_of(corrupted["two-prong"]), strict=True
    ):
        draws = Draws.of(4, "two-prong", np.array([event]), np.array([rank]))
        mass = float(masses(np.array([was["pt"]]), draws, 1.0)[0])
        assert jet["mass"] == pytest.approx(mass, rel=1e-3)
        assert 50 <= mass <= 0.3 * was["pt"]
        drawn.append(math.log(mass / 50) / math.log(0.3 * was["pt"] / 50))
    assert kstest(drawn, "uniform").pvalue > 0.01


def test_prongs_are_two_jets_of_a_two_body_decay(background):
    rows = Rows.of(background)
    three = [rows.of_parts(x).astype(np.float64) for x in ("pt", "eta", "phi")]
    jets = Clouds(rows.sizes, three[0], three[1], three[2], np.arange(len(rows.parts)))
    pt = rows.of_jets("pt")
    draws = Draws.of(1, "two-prong", rows.event, rows.rank)
    found, z, partner = two_pronged(jets, pt, rows.rank, draws, 1.0)
    assert (rows.event[partner] != rows.event).all()
    assert (rows.rank[partner] == rows.rank).all()
    assert kstest((z - 0.1) / 0.8, "uniform").pvalue > 0.01
    owner, mass = jets.jet_C, masses(pt, draws, 1.0)
    for j, (a, b) in enumerate(pairwise(found.offsets)):
        one = np.flatnonzero(owner[found.row_C[a:b]] == j) + a
        two = np.flatnonzero(owner[found.row_C[a:b]] == partner[j]) + a
        assert len(one) + len(two) == b - a
        assert len(set(found.row_C[a:b])) == b - a
        wanted = z[j] * rows.sizes[j] + (1 - z[j]) * rows.sizes[partner[j]]
        # Those too soft for their detector are missing, and so leave others the more.
        assert 0.5 * wanted - 2 <= b - a <= max(wanted + 1, 2)
        softest = [jets.pt_C[jets.offsets[i + 1] - 1] for i in (j, partner[j])]
        for prong, least in zip((one, two), softest, strict=True):
            assert len(prong) == 1 or found.pt_C[prong].min() >= least * (1 - 1e-9)
        scalar = found.pt_C[one].sum(), found.pt_C[two].sum()
        assert scalar[0] / sum(scalar) == pytest.approx(z[j], rel=1e-9)
        p4 = [
            [sum(pt * np.cos(phi)), sum(pt * np.sin(phi)), sum(pt * np.sinh(eta)),
             sum(pt * np.cosh(eta))]
            for pt, eta, phi in (
                (found.pt_C[i], found.eta_C[i], found.phi_C[i]) for i in (one, two)
            )
        ]  # fmt: skip
        own = [mass_of(p) for p in p4]
        # Of massive prongs: what is left of the mass is that of their directions.
        assert own[0] ** 2 / z[j] + own[1] ** 2 / (1 - z[j]) < 0.30 * mass[j] ** 2
        eta, phi, size = zip(
            *((math.asinh(p[2] / math.hypot(p[0], p[1])), math.atan2(p[1], p[0]),
               math.hypot(p[0], p[1])) for p in p4), strict=True,
        )  # fmt: skip
        of_directions = math.sqrt(
            2 * size[0] * size[1] * (math.cosh(eta[0] - eta[1]) - math.cos(phi[0] - phi[1]))
        )
        assert 0.8 * mass[j] < of_directions < 1.02 * mass[j]
        apart = math.hypot(eta[0] - eta[1], math.remainder(phi[0] - phi[1], math.tau))
        assert 1.6 * mass[j] / pt[j] < apart < 1.1


def test_two_prongs_look_like_two_prongs_and_else_like_background(background, corrupted):
    def facts(table):
        rows = Rows.of(table)
        pt, eta, phi = (rows.of_parts(x) for x in ("pt", "eta", "phi"))
        tau21 = tau21_of_leading(pt, eta, phi, offsets_of(rows.sizes))
        return tau21, rows.sizes, np.log(pt)

    tau21, sizes, log_pt = facts(background)
    pronged, pronged_sizes, pronged_log_pt = facts(corrupted["two-prong"])
    assert pronged.mean() < 0.7 * tau21.mean()
    for of_scaled in (facts(corrupted["mass-scaling"])[0], facts(corrupted["shuffle"])[0]):
        assert of_scaled.mean() > 0.8 * tau21.mean()
    # Sums of two halves are less spread, and the softest of them drop out.
    assert 0.75 < pronged_sizes.mean() / sizes.mean() < 1.05
    assert abs(np.median(pronged_log_pt) - np.median(log_pt)) < 0.5


@pytest.mark.parametrize("more", [{"max_constituents": 5}, {"subjets": 4}])
def test_of_jets_held_in_part_what_is_held_decides(more):
    config = Jets(**more)
    found = make_jets(make_particles(60, seed=2), config)
    measured = {"tau1": np.linspace(0, 1, 120)}
    rows = event_table(found, reduced(found.constituents, config), measured)
    held = [mass_of(summed(parts)) for _, parts, *_ in jets_of(rows)]
    for kind in KINDS:
        new = corrupt(rows, kind, 1)
        assert new.schema.equals(event_schema())
        assert rows.schema.equals(event_schema(measured))
        for i, ((was, parts, event, rank), (jet, others, *_)) in enumerate(
            zip(jets_of(rows), jets_of(new), strict=True)
        ):
            assert jet["pt"] == was["pt"]
            p = summed(others)
            np.testing.assert_allclose(p[:3], summed(parts)[:3], rtol=1e-5, atol=1e-2)
            draws = Draws.of(1, kind, np.array([event]), np.array([rank]))
            assert len(others) <= 5
            match kind:
                case "two-prong":
                    drawn = masses(np.array([was["pt"]]), draws, 1.0)[0]
                    assert jet["mass"] == pytest.approx(drawn, rel=1e-3)
                    assert jet["n"] >= len(others)
                case "mass-scaling":
                    factor = factors(np.array([was["mass"] / was["pt"]]), draws, 1.0)[0]
                    grown = mass_of(p) / held[i]
                    assert grown < factor * 1.01
                    assert jet["mass"] / was["mass"] == pytest.approx(grown, rel=1e-3)
                    assert jet["n"] == was["n"]
                case _:
                    grown = mass_of(p) / held[i]
                    assert jet["mass"] / was["mass"] == pytest.approx(grown, rel=1e-3)
                    assert jet["n"] == was["n"]


@pytest.mark.parametrize("kind", KINDS)
def test_tables_without_events_and_of_one(kind, background):
    nothing = corrupt(background.slice(0, 0), kind, 0)
    assert nothing.schema.equals(background.schema)
    assert len(nothing) == 0
    for few in (background.slice(7, 1), ragged(background.slice(0, 9), [3, 1, 2, 4])):
        check_kept(few, corrupt(few, kind, 0))


def test_jets_without_momentum_are_refused(background):
    row = background.slice(5, 1).to_pylist()[0]
    row["constituents"][1][-1]["pt"] = 0.0
    table = pa.Table.from_pylist([row], schema=background.schema)
    with pytest.raises(InputError, match=rf"event {row['event']}, jet 1: "):
        corrupt(table, "shuffle", 0)

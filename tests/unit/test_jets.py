"""Ready-made jets, grooming, subjets, substructure and event content on their way to a row."""

from dataclasses import replace

import numpy as np
import pytest
from made import make_particles

from raybead.config import Jets, SoftDrop
from raybead.events import GivenJets, event_table, make_jets, reduced
from raybead.events.grooming import soft_drop
from raybead.events.jets import _falling
from raybead.events.kinematics import massless
from raybead.observables import correlation_d2, n_subjettiness
from raybead.preparing.measured import measure


@pytest.fixture(scope="module")
def ready_made():
    """Clustered events given again as ready-made jets, softest first, with all event content."""
    found = make_jets(make_particles(40, seed=7, signal=0.5), Jets())
    parts, n_events = found.constituents, len(found.particles)
    sizes = np.diff(parts.offsets).reshape(-1, 2)[:, ::-1].ravel()
    turned = np.concatenate(
        [
            np.arange(parts.offsets[jet], parts.offsets[jet + 1])
            for event in range(n_events)
            for jet in (2 * event + 1, 2 * event)
        ]
    )
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return found, replace(
        found.particles,
        offsets=offsets[::2],
        pt=parts.pt[turned],
        eta=parts.eta[turned],
        phi=parts.phi[turned],
        pid=rng.integers(-300, 300, len(turned)).astype(np.int32),
        weight=rng.uniform(0.5, 2, n_events),
        met=rng.uniform(0, 90, n_events).astype(np.float32),
        met_phi=rng.uniform(-3, 3, n_events).astype(np.float32),
        generator=np.array(["a", None] * n_events, dtype=object)[:n_events],
        jets=GivenJets(
            offsets=np.arange(n_events + 1) * 2,
            constituents=offsets,
            btag=np.tile(np.array([0.0, 1.0], np.float32), n_events),
        ),
    )


def test_ready_made_jets_are_taken_leading_first(ready_made):
    found, given = ready_made
    events = make_jets(given, Jets())
    np.testing.assert_allclose(events.momenta.pt, found.momenta.pt, rtol=1e-9)
    np.testing.assert_allclose(events.mjj, found.mjj, rtol=1e-9)
    np.testing.assert_array_equal(events.constituents.pt, found.constituents.pt)
    np.testing.assert_array_equal(events.n, found.n)
    assert events.btag.tolist() == [1.0, 0.0] * len(given)  # the second of each pair leads


def test_ready_made_jets_are_clustered_again_where_a_job_says_so(ready_made):
    found, given = ready_made
    events = make_jets(given, Jets(recluster=True, radius=0.1, min_pt=1.0, min_constituents=1))
    assert events.btag is None
    assert events.momenta.mass.mean() < 0.7 * found.momenta.mass.mean()


def test_an_order_that_no_whole_number_holds_is_found_all_the_same():
    """Places, pT and jets share a number's bits; beyond them another way is taken."""
    rng = np.random.default_rng(0)
    for sizes in (np.full(3, 5000), np.ones((1 << 19) + 3, np.int64), np.array([0, 3, 0, 9])):
        pt = np.round(rng.exponential(size=sizes.sum()), 1)
        pt[rng.random(len(pt)) < 0.1] *= -0.0
        jet = np.repeat(np.arange(len(sizes)), sizes)
        np.testing.assert_array_equal(_falling(pt, sizes), np.lexsort((-pt, jet)))


def test_momenta_that_come_with_jets_are_kept(ready_made):
    found, given = ready_made
    momenta = massless(np.arange(2.0 * len(given)) + 500, found.momenta.eta, found.momenta.phi)
    events = make_jets(replace(given, jets=replace(given.jets, momenta=momenta)), Jets())
    first = events.momenta.pt.reshape(-1, 2)
    np.testing.assert_allclose(first[:, 0] - first[:, 1], 1.0)


def test_content_of_events_reaches_the_row(ready_made):
    _, given = ready_made
    keep = np.arange(len(given)) % 3 > 0
    rows = event_table(make_jets(given.select(keep), Jets())).to_pylist()
    for row, number in zip(rows, np.flatnonzero(keep), strict=True):
        assert row["weight"] == given.weight[number]
        assert row["met"] == given.met[number]
        assert row["met_phi"] == given.met_phi[number]
        assert row["generator"] == given.generator[number]
        assert [jet["btag"] for jet in row["jets"]] == [1.0, 0.0]
        first = given.jets.constituents[2 * number + 1]
        last = given.jets.constituents[2 * number + 2]
        pid = [part["pid"] for part in row["constituents"][0]]
        assert pid == given.pid[first:last].tolist()


def test_soft_drop_takes_constituents_and_their_momentum(ready_made):
    found, _ = ready_made
    config = Jets(soft_drop=SoftDrop(z_cut=0.2, beta=0.0))
    parts = found.constituents
    kept = soft_drop(parts.pt, parts.eta, parts.phi, parts.offsets, 0.2, 0.0, 1.0)
    jet = np.repeat(np.arange(len(found.n)), found.n)
    sizes = np.bincount(jet[kept], minlength=len(found.n))
    alive = (sizes.reshape(-1, 2) >= 2).all(axis=1)
    groomed = make_jets(make_particles(40, seed=7, signal=0.5), config)
    assert groomed.dropped["jet groomed away"] == (~alive).sum()
    assert 0 < alive.sum() == len(groomed.particles)
    assert groomed.n.tolist() == sizes.reshape(-1, 2)[alive].ravel().tolist()
    for number, row in enumerate(np.flatnonzero(np.repeat(alive, 2))):
        inside = kept & (jet == row)
        sums = massless(parts.pt[inside], parts.eta[inside], parts.phi[inside])
        got = [component[number] for component in groomed.momenta]
        np.testing.assert_allclose(got, [c.sum() for c in sums], rtol=1e-9)


def test_subjets_stand_for_constituents_and_keep_the_momentum(ready_made):
    found, _ = ready_made
    parts = reduced(found.constituents, Jets(subjets=4))
    sizes = np.diff(parts.offsets)
    assert sizes.tolist() == np.minimum(found.n, 4).tolist()
    px = np.add.reduceat(parts.pt * np.cos(parts.phi), parts.offsets[:-1])
    np.testing.assert_allclose(px, found.momenta.px, rtol=1e-9, atol=1e-6)
    both = reduced(found.constituents, Jets(subjets=4, max_constituents=2))
    assert np.diff(both.offsets).max() == 2
    np.testing.assert_array_equal(both.pt[:2], parts.pt[:2])
    row = event_table(found, parts).to_pylist()[0]
    assert [jet["n"] for jet in row["jets"]] == found.n[:2].tolist()
    assert [len(of_jet) for of_jet in row["constituents"]] == sizes[:2].tolist()


def test_substructure_columns_on_request(ready_made):
    found, _ = ready_made
    parts = found.constituents
    measured = measure(parts, ("d2", "tau2"), 1.0)
    packed = parts.pt, parts.eta, parts.phi, parts.offsets
    np.testing.assert_array_equal(measured["tau2"], n_subjettiness(*packed, n_max=2)[:, 1])
    np.testing.assert_array_equal(measured["d2"], correlation_d2(*packed))
    jets = event_table(found, measured=measured).schema.field("jets").type.value_type
    assert [field.name for field in jets][-2:] == ["d2", "tau2"]

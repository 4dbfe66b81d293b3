"""Vectorised clustering against fastjet's own objects, one event at a time."""

import fastjet
import numpy as np
import pytest

from raybead.config import Jets
from raybead.events import make_jets, reduced
from raybead.events.clustering import cluster_all


@pytest.mark.parametrize("radius", [0.4, 1.0])
def test_jets_and_constituents_equal_the_loop(particles, radius):
    config = Jets(radius=radius, min_pt=150.0)
    events = make_jets(particles, config)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    expected_events = []
    for number in range(len(particles)):
        inside = slice(particles.offsets[number], particles.offsets[number + 1])
        inputs = []
        for index, (pt, eta, phi) in enumerate(
            zip(particles.pt[inside], particles.eta[inside], particles.phi[inside], strict=True)
        ):
            pseudo = fastjet.PseudoJet(
                pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)
            )
            pseudo.set_user_index(index)
            inputs.append(pseudo)
        sequence = fastjet.ClusterSequence(inputs, definition)
        jets = fastjet.sorted_by_pt(sequence.inclusive_jets(config.min_pt))
        jets = [jet for jet in jets if len(jet.constituents()) >= 2]
        if len(jets) >= 2:
            expected_events.append(int(particles.event[number]))
            for rank, jet in enumerate(jets[:2]):
                row = 2 * (len(expected_events) - 1) + rank
                got = np.array([component[row] for component in events.momenta])
                np.testing.assert_allclose(got, [jet.px(), jet.py(), jet.pz(), jet.e()], rtol=1e-9)
                members = sorted(part.user_index() for part in jet.constituents())
                parts = events.constituents
                own = slice(parts.offsets[row], parts.offsets[row + 1])
                grid = np.stack([particles.pt, particles.eta, particles.phi])[:, inside]
                falling = np.array(members)[np.argsort(-grid[0, members], kind="stable")]
                np.testing.assert_array_equal(
                    np.stack([parts.pt, parts.eta, parts.phi])[:, own], grid[:, falling]
                )
                assert events.n[row] == len(members)
    assert events.particles.event.tolist() == expected_events
    assert len(expected_events) > 0


def test_mjj_is_the_mass_of_the_two_leading_jets(particles):
    events = make_jets(particles, Jets())
    first, second = (events.momenta.take(np.arange(k, len(events.n), 2)) for k in (0, 1))
    total = first + second
    square = total.e**2 - total.px**2 - total.py**2 - total.pz**2
    np.testing.assert_allclose(events.mjj, np.sqrt(square))
    assert len(events.mjj) == len(events.particles)


def test_constituents_can_be_capped(particles):
    whole = make_jets(particles, Jets())
    capped = make_jets(particles, Jets(max_constituents=3))
    parts = reduced(capped.constituents, Jets(max_constituents=3))
    assert np.diff(parts.offsets).max() == 3
    np.testing.assert_array_equal(capped.momenta.pt, whole.momenta.pt)
    np.testing.assert_array_equal(capped.n, whole.n)
    np.testing.assert_array_equal(parts.pt[:3], whole.constituents.pt[:3])


@pytest.mark.parametrize(
    ("algorithm", "number"),
    [
        ("antikt", fastjet.antikt_algorithm),
        ("kt", fastjet.kt_algorithm),
        ("cambridge-aachen", fastjet.cambridge_algorithm),
    ],
)
@pytest.mark.parametrize("radius", [0.2, 0.8, 1.5])
def test_every_algorithm_equals_the_loop(particles, algorithm, number, radius):
    some = particles.select(np.arange(len(particles)) < 12)
    event, momenta, offsets, constituents = cluster_all(some, radius, 5.0, algorithm)
    definition = fastjet.JetDefinition(number, radius)
    for row in range(len(some)):
        inputs = []
        for index in range(some.offsets[row], some.offsets[row + 1]):
            pt, eta, phi = some.pt[index], some.eta[index], some.phi[index]
            pseudo = fastjet.PseudoJet(
                pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)
            )
            pseudo.set_user_index(int(index))
            inputs.append(pseudo)
        sequence = fastjet.ClusterSequence(inputs, definition)
        expected = {
            tuple(sorted(part.user_index() for part in jet.constituents())): jet.pt()
            for jet in sequence.inclusive_jets(5.0)
        }
        found = {
            tuple(sorted(constituents[offsets[jet] : offsets[jet + 1]].tolist())): momenta.pt[jet]
            for jet in np.flatnonzero(event == row)
        }
        assert found == pytest.approx(expected)

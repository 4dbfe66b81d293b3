import numpy as np
import pytest

from raybead.config import Jets, PythiaSource
from raybead.errors import InputError
from raybead.events import Span, make_jets, open_source
from raybead.events.clustering import leading_pt_eta
from raybead.events.sources.pythia import smear


def source(**more):
    return PythiaSource(**{"source": "pythia", "events": 10, "slice_events": 4, **more})


def test_slices_cover_the_events_and_repeat_themselves():
    generator = open_source(source(signal_fraction=0.5, seed=9))
    assert generator.spans(3) == [Span(0, 4), Span(4, 8), Span(8, 10)]
    first, second, again = (
        generator.read(piece)[0] for piece in (Span(0, 4), Span(4, 8), Span(4, 8))
    )
    for name in ("event", "offsets", "pt", "eta", "phi", "truth"):
        np.testing.assert_array_equal(getattr(second, name), getattr(again, name))
    assert not np.array_equal(first.pt[:20], second.pt[:20])
    assert first.truth.sum() == second.truth.sum() == 2
    pt, eta = leading_pt_eta(first, 1.0)
    assert (pt > 1200).all()
    assert (np.abs(eta) < 2.5).all()
    for start, stop in zip(first.offsets[:-1], first.offsets[1:], strict=True):
        assert (np.diff(first.pt[start:stop]) <= 0).all()
    assert (np.abs(first.phi) <= np.pi).all()


def test_a_resonance_has_its_masses():
    resonance = {"mass": 4000.0, "mass_x": 700.0, "mass_y": 300.0}
    config = source(events=24, slice_events=24, signal_fraction=1.0, resonance=resonance)
    events = make_jets(open_source(config).read(Span(0, 24))[0], Jets())
    assert np.median(events.mjj) == pytest.approx(4000, rel=0.06)
    heavier = events.momenta.mass.reshape(-1, 2).max(axis=1)
    assert np.median(heavier) == pytest.approx(700, rel=0.15)


def test_smearing_has_the_resolutions_it_says():
    rng = np.random.default_rng(0)
    n = 40_000
    pt, eta, phi = np.full(n, 100.0), np.zeros(n), np.zeros(n)
    for pid, relative, angle in (
        (211, np.hypot(0.01, 0.01), 0.001),
        (22, np.hypot(0.01, 0.01), 0.005),
        (2112, np.hypot(0.06, 0.05), 0.02),
    ):
        seen = smear(rng, np.full(n, pid), pt, eta, phi)
        assert seen[0].std() / 100 == pytest.approx(relative, rel=0.03)
        assert seen[1].std() == pytest.approx(angle, rel=0.03)
        assert seen[0].mean() == pytest.approx(100, rel=0.002)


def test_a_selection_that_nothing_passes_is_said():
    config = source(min_leading_pt=6000.0, settings=("PartonLevel:all = off",))
    with pytest.raises(InputError, match="has a jet above 6000 GeV"):
        open_source(config).read(Span(0, 4))


@pytest.mark.parametrize("model", [1, 2])
def test_a_parton_shower_of_another_model_has_its_label(model):
    quick = ("PartonLevel:MPI = off", f"PartonShowers:model = {model}")
    config = source(min_leading_pt=600.0, settings=quick, generator=f"shower {model}")
    particles, _ = open_source(config).read(Span(0, 4))
    assert particles.generator == f"shower {model}"
    pt, _ = leading_pt_eta(particles, 1.0)
    assert len(pt) == 4
    assert (pt > 600).all()
    assert source().generator == "pythia8"


def test_a_resonance_that_vincia_would_crash_on_is_refused():
    """With no top heavy enough to decay to the W that stands for X, it ends the process."""
    quick = ("PartonLevel:MPI = off", "PartonShowers:model = 2")
    signal = source(signal_fraction=1.0, settings=quick)
    with pytest.raises(InputError, match=r"takes no W of 500 GeV.* add '6:m0 = 600'"):
        open_source(signal).read(Span(0, 4))
    signal = source(signal_fraction=1.0, settings=(*quick, "6:m0 = 600"))
    events = make_jets(open_source(signal).read(Span(0, 4))[0], Jets())
    assert np.median(events.mjj) == pytest.approx(3500, rel=0.1)


def test_settings_that_pythia_does_not_know_are_refused():
    with pytest.raises(InputError, match="HardQCD:alll = on"):
        open_source(source(settings=("HardQCD:alll = on",))).read(Span(0, 4))
    with pytest.raises(InputError, match="refuses the setting 'PartonShowers:model = 3'"):
        open_source(source(settings=("PartonShowers:model = 3",))).read(Span(0, 4))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import lhco, make_particles

from raybead.config import Jets, parse_job
from raybead.config.job import dump_job
from raybead.events import Cutflow, make_jets, open_source, write_lhco
from raybead.events.kinematics import Momenta, massless
from raybead.events.particles import members_of, offsets_of, wrap_phi

finite = st.floats(-50, 50)


@given(st.lists(finite, min_size=1, max_size=20))
def test_wrapped_angles_lie_in_range_and_mean_the_same(angles):
    phi = np.array(angles)
    wrapped = wrap_phi(phi)
    assert (np.abs(wrapped) <= np.pi).all()
    np.testing.assert_allclose(np.cos(wrapped), np.cos(phi), atol=1e-9)
    np.testing.assert_allclose(np.sin(wrapped), np.sin(phi), atol=1e-9)


@given(st.floats(-0.95, 0.95), st.integers(0, 1000))
def test_mass_does_not_change_under_a_boost(beta, seed):
    rng = np.random.default_rng(seed)
    a, b = (
        massless(rng.uniform(1, 900, 5), rng.normal(0, 1, 5), rng.uniform(-3, 3, 5))
        for _ in range(2)
    )
    pair = a + b
    gamma = 1 / np.sqrt(1 - beta**2)
    boosted = Momenta(
        pair.px, pair.py, gamma * (pair.pz - beta * pair.e), gamma * (pair.e - beta * pair.pz)
    )
    np.testing.assert_allclose(boosted.mass, pair.mass, rtol=1e-6, atol=1e-3)


def test_momenta_have_their_closed_forms():
    p = massless(np.array([100.0]), np.array([1.2]), np.array([0.4]))
    assert p.pt[0] == pytest.approx(100)
    assert p.eta[0] == pytest.approx(1.2)
    assert p.phi[0] == pytest.approx(0.4)
    assert p.mass[0] == pytest.approx(0, abs=1e-4)
    back_to_back = p + massless(np.array([100.0]), np.array([-1.2]), np.array([0.4 + np.pi]))
    assert back_to_back.mass[0] == pytest.approx(2 * 100 * np.cosh(1.2))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=10))
def test_members_are_the_slices(groups):
    starts = np.array([start for start, _ in groups], dtype=np.int64)
    counts = np.array([count for _, count in groups], dtype=np.int64)
    expected = [start + i for start, count in groups for i in range(count)]
    assert members_of(starts, counts).tolist() == expected
    assert offsets_of(counts)[-1] == len(expected)


@given(rows_per_task=st.integers(1, 40), n=st.integers(1, 30), start=st.integers(0, 29))
@settings(max_examples=15, deadline=None)
def test_readers_never_lose_a_row(tmp_path_factory, rows_per_task, n, start):
    path = tmp_path_factory.mktemp("rows") / "a.h5"
    write_lhco(path, [make_particles(n)], n, "none")
    start = start % n
    reader = open_source(lhco(path, start=start))
    events = [reader.read(piece)[0].event for piece in reader.spans(rows_per_task)]
    np.testing.assert_array_equal(np.concatenate(events), np.arange(start, n))


@given(
    min_pt=st.floats(50, 2500),
    min_leading_pt=st.floats(0, 2500),
    min_constituents=st.integers(1, 30),
)
@settings(max_examples=20, deadline=None)
def test_every_event_is_kept_or_counted(particles, min_pt, min_leading_pt, min_constituents):
    jets = Jets(min_pt=min_pt, min_leading_pt=min_leading_pt, min_constituents=min_constituents)
    events = make_jets(particles, jets)
    kept = len(events.particles)
    assert Cutflow(len(particles), events.dropped, kept).adds_up
    assert len(events.constituents.offsets) == 2 * kept + 1
    pt = events.momenta.pt.reshape(-1, 2)
    assert (pt >= min_pt).all()
    assert (pt[:, 0] >= pt[:, 1]).all()
    assert (pt[:, 0] >= min_leading_pt).all()
    assert (np.diff(events.constituents.offsets) >= min_constituents).all()


def test_cutflows_add_up_cut_by_cut():
    total = Cutflow.total([Cutflow(5, {"a": 2}, 3), Cutflow(4, {"a": 1, "b": 1}, 2)])
    assert total == Cutflow(9, {"a": 3, "b": 1}, 5)
    assert Cutflow.from_dict(total.as_dict()) == total


@given(
    epochs=st.integers(1, 1000),
    rate=st.floats(1e-6, 1),
    cuts=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True),
    kind=st.sampled_from(["node-bottleneck", "jet-bottleneck"]),
)
def test_a_job_survives_being_written(epochs, rate, cuts, kind):
    text = 'name = "a"\n' + "".join(
        f'[data.{role}]\nsource = "pythia"\nevents = 5\nseed = {seed}\n'
        for seed, role in enumerate(("background", "search"))
    )
    job = parse_job(
        text,
        [
            f"train.epochs={epochs}",
            f"train.learning_rate={rate}",
            f"hunt.cuts={cuts}",
            f"model.kind={kind}",
        ],
    )
    assert parse_job(dump_job(job)) == job

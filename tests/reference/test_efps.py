"""Energy flow polynomials against their definition, and their symmetries."""

import json
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from raybead.config import Efps
from raybead.errors import InputError
from raybead.observables.efps import multigraphs, n_polynomials
from raybead.observables.efps.multigraphs import connected
from raybead.observables.efps.values import polynomials

SMALL = Efps(n=4, d=6)
FILES = [
    folder / "shared/reference/efp_reference.npz"
    for folder in (Path(__file__).parents[2], Path(__file__).parents[3])
]


Jets = tuple[Tensor, Tensor, Tensor, Tensor]


def jets(sizes, seed=0, dtype=torch.float64) -> Jets:
    """pT, eta, phi and ptr of jets; those about phi = pi lie on both sides of the cut."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(20, sum(sizes)) + 0.1
    eta, phi = rng.normal(0, 0.4, (2, sum(sizes)))
    phi = (phi + np.pi + np.pi) % (2 * np.pi) - np.pi
    ptr = torch.tensor([0, *np.cumsum(sizes)])
    pt, eta, phi = (torch.tensor(x, dtype=dtype) for x in (pt, eta, phi))
    return pt, eta, phi, ptr


def slow(pt, eta, phi, graphs, beta=1.0):
    """One jet's, by the definition: the sum over all choices of a particle for every vertex."""
    pt, eta, phi = (np.asarray(x, dtype=np.float64) for x in (pt, eta, phi))
    z = pt / pt.sum()
    turn = np.angle(np.exp(1j * (phi[:, None] - phi)))
    theta = np.hypot(eta[:, None] - eta, turn) ** beta
    found = []
    for graph in graphs:
        vertices = 1 + max((v for edge in graph for v in edge), default=0)
        chosen = np.indices((len(z),) * vertices).reshape(vertices, -1)
        value = z[chosen].prod(axis=0)
        for i, j in graph:
            value *= theta[chosen[i], chosen[j]]
        found.append(value.sum())
    return np.array(found)


def form(graph, n):
    """One for all numberings of the vertices."""
    between = np.zeros((n, n), dtype=np.int8)
    for i, j in graph:
        between[i, j] += 1
        between[j, i] += 1
    orders = np.array(list(permutations(range(n))))
    return max(order.tobytes() for order in between[orders[:, :, None], orders[:, None, :]])


def is_connected(graph):
    reached, before = {0}, set()
    while reached != before:
        before = set(reached)
        reached |= {v for edge in graph if reached & set(edge) for v in edge}
    return reached == {0} | {v for edge in graph for v in edge}


class TestGraphs:
    def test_all_connected_ones_by_number_of_edges(self):
        # arXiv:1712.07124, table 2; OEIS A076864.
        edges = [len(graph) for graph in connected(7, 6)]
        assert [edges.count(d) for d in range(7)] == [1, 1, 2, 5, 12, 33, 103]

    def test_all_by_number_of_edges(self):
        # OEIS A050535: d edges have at most 2 d vertices.
        edges = [len(graph) for graph in multigraphs(Efps(n=6, d=3))]
        assert [edges.count(d) for d in range(4)] == [1, 1, 3, 8]

    @pytest.mark.parametrize(
        ("n", "d", "number"), [(5, 6, 140), (6, 7, 531), (1, 3, 1), (3, 0, 1)]
    )
    def test_how_many(self, n, d, number):
        assert n_polynomials(Efps(n=n, d=d)) == len(multigraphs(Efps(n=n, d=d))) == number

    def test_every_one_is_there_once(self):
        pairs = [(i, j) for j in range(4) for i in range(j)]
        wanted = set()
        for d in range(1, 6):
            for graph in combinations_with_replacement(pairs, d):
                seen = sorted({v for edge in graph for v in edge})
                wanted.add(form([(seen.index(i), seen.index(j)) for i, j in graph], 4))
        graphs = multigraphs(Efps(n=4, d=5))
        assert graphs[0] == ()
        forms = [form(graph, 4) for graph in graphs[1:]]
        assert len(set(forms)) == len(forms)
        assert set(forms) == wanted

    def test_order(self):
        graphs = multigraphs(Efps())
        single = multigraphs(Efps(composites=False))
        assert graphs[: len(single)] == single
        assert all(map(is_connected, single))
        assert not any(map(is_connected, graphs[len(single) :]))
        assert single[:4] == ((), ((0, 1),), ((0, 1),) * 2, ((0, 1),) * 3)
        assert graphs[len(single)] == ((0, 1), (2, 3))
        for part in (single, graphs[len(single) :]):
            size = [(1 + max((j for _, j in graph), default=0), len(graph)) for graph in part]
            assert size == sorted(size)


class TestValues:
    @pytest.mark.parametrize("beta", [1.0, 2.0, 0.7])
    @pytest.mark.parametrize(("n", "d"), [(4, 6), (5, 8)])  # (5, 8): all that needs stars
    def test_equal_the_sum_over_all_choices(self, n, d, beta):
        config = Efps(n=n, d=d, beta=beta)
        pt, eta, phi, ptr = jets([4, 1, 3, 4])
        found = polynomials(pt, eta, phi, ptr, config).numpy()
        graphs = multigraphs(config)
        assert found.shape == (4, len(graphs))
        for jet, values in enumerate(found):
            own = slice(ptr[jet], ptr[jet + 1])
            expected = slow(pt[own], eta[own], phi[own], graphs, beta)
            np.testing.assert_allclose(values, expected, rtol=1e-12, atol=0)

    def test_equal_those_of_the_reference(self):
        path = next((path for path in FILES if path.is_file()), None)
        if path is None:
            pytest.skip("no reference beside the repository")
        with np.load(path) as file:
            reference = dict(file)
        ptr = torch.tensor([0, *np.cumsum(reference["sizes"])])
        pt, eta, phi = torch.from_numpy(reference["constituents"]).unbind(dim=1)
        for n, d, key, values in (
            (5, 6, "graphs_n5_d6", "efps_n5_d6"),
            (6, 7, "graphs_n6_d7", "efps_n6_d7_first10"),
        ):
            config = Efps(n=n, d=d)
            theirs = [form(graph, n) for graph in json.loads(str(reference[key]))]
            ours = [form(graph, n) for graph in multigraphs(config)]
            assert sorted(ours) == sorted(theirs)
            assert len(set(ours)) == len(ours)
            expected = reference[values][:, [theirs.index(x) for x in ours]]
            found = polynomials(pt, eta, phi, ptr, config).numpy()[: len(expected)]
            np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_graphs_of_fewer_edges_are_the_same_in_a_longer_list(self):
        few, many = Efps(n=4, d=4), Efps(n=5, d=7)
        sample = jets([30, 12, 7], seed=4)
        place = [multigraphs(many).index(graph) for graph in multigraphs(few)]
        found = polynomials(*sample, many)[:, place]
        torch.testing.assert_close(polynomials(*sample, few), found, rtol=1e-12, atol=0)

    def test_a_jet_does_not_depend_on_its_company(self):
        sizes = [30, 1, 17, 2, 30, 40, 9]
        pt, eta, phi, ptr = jets(sizes, seed=1)
        together = polynomials(pt, eta, phi, ptr, SMALL)
        for jet, size in enumerate(sizes):
            own = slice(ptr[jet], ptr[jet + 1])
            alone = polynomials(pt[own], eta[own], phi[own], torch.tensor([0, size]), SMALL)
            torch.testing.assert_close(together[jet], alone[0], rtol=1e-13, atol=0)

    def test_one_particle_has_no_angles(self):
        found = polynomials(*jets([1]), SMALL)[0]
        assert found[0] == 1
        assert (found[1:] == 0).all()

    def test_two_particles_have_a_closed_form(self):
        # Both ends of an edge must differ: a graph of two colours counts z1^a z2^b + z1^b z2^a.
        pt, phi = torch.tensor([3.0, 1.0]), torch.tensor([3.1, -3.1])
        found = polynomials(pt, torch.zeros(2), phi, torch.tensor([0, 2]), Efps(n=3, d=3))[0]
        theta, graphs = 2 * np.pi - 2 * float(phi[0]), multigraphs(Efps(n=3, d=3))
        z, y = 0.75, 0.25
        wanted = {((0, 1),) * 3: 2 * z * y * theta**3, ((0, 1), (0, 2)): z * y * theta**2}
        wanted[(0, 1), (0, 2), (1, 2)] = 0
        for graph, value in wanted.items():
            assert float(found[graphs.index(graph)]) == pytest.approx(value, rel=1e-12)

    def test_single_precision_in(self):
        pt, eta, phi, ptr = jets([30, 8], seed=2, dtype=torch.float32)
        found = polynomials(pt, eta, phi, ptr, SMALL)
        assert found.dtype == torch.float64
        double = polynomials(pt.double(), eta.double(), phi.double(), ptr, SMALL)
        torch.testing.assert_close(found, double, rtol=0, atol=0)
        full = polynomials(*jets([30, 8], seed=2), SMALL)
        torch.testing.assert_close(found, full, rtol=1e-5, atol=0)

    def test_only_leading_particles_count(self):
        pt, eta, phi, ptr = jets([9, 3], seed=3)
        kept = torch.cat([pt[:9].argsort(descending=True)[:5], torch.tensor([9, 10, 11])])
        found = polynomials(pt, eta, phi, ptr, SMALL.model_copy(update={"constituents": 5}))
        few = polynomials(pt[kept], eta[kept], phi[kept], torch.tensor([0, 5, 8]), SMALL)
        torch.testing.assert_close(found, few, rtol=1e-12, atol=0)

    def test_of_no_jets(self):
        nothing = torch.zeros(0)
        found = polynomials(nothing, nothing, nothing, torch.zeros(1, dtype=torch.long), SMALL)
        assert found.shape == (0, n_polynomials(SMALL))


class TestSymmetries:
    @pytest.fixture
    def jet(self):
        return jets([12], seed=7)

    def same(self, changed: Jets, jet: Jets):
        found = polynomials(*changed, SMALL)
        torch.testing.assert_close(found, polynomials(*jet, SMALL), rtol=1e-9, atol=0)

    def test_order(self, jet):
        order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
        pt, eta, phi, ptr = jet
        self.same((pt[order], eta[order], phi[order], ptr), jet)

    def test_shift(self, jet):
        pt, eta, phi, ptr = jet
        self.same((pt, eta - 1.3, phi + 2 * torch.pi * torch.arange(12).double() + 0.7, ptr), jet)

    def test_turn_about_the_axis(self, jet):
        pt, eta, phi, ptr = jet
        d_phi = torch.remainder(phi, 2 * torch.pi) - torch.pi
        cos, sin = np.cos(0.9), np.sin(0.9)
        self.same((pt, cos * eta - sin * d_phi, sin * eta + cos * d_phi, ptr), jet)

    def test_scale_of_momentum(self, jet):
        self.same((jet[0] * 1e-3, *jet[1:]), jet)

    def test_scale_of_angles(self, jet: Jets):
        pt, eta, phi, ptr = jet
        d_phi = torch.remainder(phi, 2 * torch.pi) - torch.pi
        config = SMALL.model_copy(update={"beta": 1.5})
        edges = torch.tensor([len(graph) for graph in multigraphs(config)]).double()
        found = polynomials(pt, 0.1 * eta, 0.1 * d_phi, ptr, config)
        expected = polynomials(*jet, config) * 0.1 ** (1.5 * edges)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)

    def test_collinear_splitting(self, jet):
        pt, eta, phi, _ = jet
        pt = torch.cat([0.3 * pt[:1], pt[1:], 0.7 * pt[:1]])
        eta, phi = (torch.cat([x, x[:1]]) for x in (eta, phi))
        self.same((pt, eta, phi, torch.tensor([0, 13])), jet)

    def test_soft_particle(self, jet):
        pt, eta, phi = (
            torch.cat([x, x.new_tensor([y])]) for x, y in zip(jet[:3], (0, 2, 1), strict=True)
        )
        self.same((pt, eta, phi, torch.tensor([0, 13])), jet)


class TestRefused:
    @pytest.mark.parametrize("sizes", [[2, 0], [2, 2]])
    def test_a_jet_of_no_momentum(self, sizes):
        pt, eta, phi, ptr = jets(sizes)
        pt[2:] = 0
        with pytest.raises(InputError, match=r"^energy flow polynomials: jet 1 has no momentum$"):
            polynomials(pt, eta, phi, ptr, SMALL)

    @pytest.mark.parametrize("column", [0, 1, 2])
    def test_what_is_no_number(self, column):
        sample = jets([2, 3, 2])
        sample[column][3] = torch.nan
        with pytest.raises(InputError, match="jet 1 has a particle"):
            polynomials(*sample, SMALL)

    def test_negative_momentum(self):
        sample = jets([2, 3, 2])
        sample[0][6] = -1
        with pytest.raises(InputError, match="jet 2 has a particle of negative pT"):
            polynomials(*sample, SMALL)

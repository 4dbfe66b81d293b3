import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raybead.config import Graph
from raybead.graphs import NAMES, JetBatch, Scaling, collate, tiles


def jets_of(sizes, seed=0, features=3):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(sizes)
    n = len(sizes)
    return JetBatch(
        x_TF=torch.randn(int(sizes.sum()), features, generator=generator),
        ptr=torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]),
        p4_B4=torch.randn(n, 4, generator=generator),
        event_B=torch.arange(n),
        rank_B=torch.zeros(n, dtype=torch.long),
        n_constituents_B=sizes,
    )


sizes = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(sizes, st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_every_pair_once(sizes, max_pairs):
    ptr = torch.tensor([0, *np.cumsum(sizes)])
    seen = torch.zeros(int(ptr[-1]), int(ptr[-1]), dtype=torch.long)
    for nodes, rows in tiles(ptr, max_pairs):
        for jet in nodes:
            seen[jet[rows][:, None], jet[None, :]] += 1
        pairs = nodes[:, rows].numel() * nodes.shape[1]
        assert pairs <= max(max_pairs, nodes.shape[1])
    same = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    torch.testing.assert_close(seen, (same[:, None] == same[None, :]).long())


@given(sizes, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_selection_and_dense_agree_with_slices(sizes, random):
    jets = jets_of(sizes)
    index = torch.tensor([random.randrange(len(sizes)) for _ in range(5)])
    picked = jets.select(index)
    dense, mask = picked.dense()
    for row, b in enumerate(index.tolist()):
        expected = jets.x_TF[jets.ptr[b] : jets.ptr[b + 1]]
        torch.testing.assert_close(picked.x_TF[picked.ptr[row] : picked.ptr[row + 1]], expected)
        torch.testing.assert_close(dense[row][mask[row]], expected)
        assert (dense[row][~mask[row]] == 0).all()
    halves = [jets.select(torch.arange(len(sizes))[:2]), jets.select(torch.arange(len(sizes))[2:])]
    torch.testing.assert_close(JetBatch.cat(halves).x_TF, jets.x_TF)


def test_edge_index_is_the_complete_graph_without_loops():
    edges = jets_of([3, 1, 2]).edge_index().t().tolist()
    expected = [
        [j, i] for group in ([0, 1, 2], [3], [4, 5]) for i in group for j in group if i != j
    ]
    assert sorted(edges) == sorted(expected)


@pytest.mark.parametrize("features", [kind for kind in NAMES if kind not in ("jet", "event")])
@pytest.mark.parametrize("nodes", [5, "all"])
def test_collate_equals_a_loop_over_rows(event_rows, features, nodes):
    graph = Graph(features=features, nodes=nodes)
    jets = collate(event_rows, graph)
    number = 0
    for row in event_rows.to_pylist():
        for rank, (jet, parts) in enumerate(zip(row["jets"], row["constituents"], strict=True)):
            kept = parts if nodes == "all" else parts[:nodes]
            expected = []
            for part in kept:
                pt, eta, phi = part["pt"], part["eta"], part["phi"]
                dphi = np.arctan2(np.sin(phi - jet["phi"]), np.cos(phi - jet["phi"]))
                expected.append(
                    {
                        "jet-axis": (pt * (eta - jet["eta"]), pt * dphi, pt),
                        "cartesian": (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)),
                        "cylindrical": (pt, eta, phi),
                        "p4": (
                            pt * np.cos(phi),
                            pt * np.sin(phi),
                            pt * np.sinh(eta),
                            np.hypot(pt, pt * np.sinh(eta)),
                        ),
                        "p4-cylindrical": (pt, eta, phi, 0.0),
                        "p4-btag": (pt, eta, phi, 0.0),
                    }[features]
                )
            got = jets.x_TF[jets.ptr[number] : jets.ptr[number + 1]].numpy()
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-3)
            assert int(jets.event_B[number]) == row["event"]
            assert int(jets.rank_B[number]) == rank
            assert int(jets.n_constituents_B[number]) == len(parts)
            number += 1
    assert number == len(jets)


def test_a_batch_of_no_events(event_rows):
    assert len(collate(event_rows.slice(0, 0), Graph())) == 0


def test_scaling_is_fitted_on_what_it_is_given_and_inverts(event_rows):
    graph = Graph(scaling="standard")
    jets = collate(event_rows, graph)
    scaling = Scaling.fit(graph, jets.x_TF)
    scaled = scaling.apply(jets)
    torch.testing.assert_close(scaled.x_TF.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.x_TF.std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(scaling.invert(scaled.x_TF), jets.x_TF, rtol=1e-4, atol=1e-2)
    assert Scaling.from_dict(scaling.as_dict()) == scaling
    constant = torch.full((4, 3), 3.0)
    assert torch.equal(Scaling.fit(graph, constant).scaled(constant), torch.zeros(4, 3))

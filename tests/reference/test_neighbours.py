"""Nearest neighbours against sorting all distances, node by node."""

import pytest
import torch

from raybead.models import neighbours
from raybead.models.neighbours import nearest_neighbours


def slow(x, ptr, k):
    """Edges in the promised order: distance first, then index."""
    edges = []
    for first, last in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        for centre in range(first, last):
            apart = [(float((x[j] - x[centre]).square().sum()), j) for j in range(first, last)]
            edges += [(j, centre) for _, j in sorted(apart)[:k]]
    return edges


@pytest.fixture(params=[1 << 18, 50], ids=["dense", "cut"])
def _tile_size(request, monkeypatch):
    """Also tiles that hold a few centres of a jet alone."""
    monkeypatch.setattr(neighbours, "MAX_PAIRS", request.param)


@pytest.mark.usefixtures("_tile_size")
@pytest.mark.parametrize("k", [1, 3, 16])
@pytest.mark.parametrize("integers", [False, True], ids=["anywhere", "tied"])
def test_equals_a_sort_of_all_distances(k, integers):
    ptr = torch.tensor([0, 1, 3, 40, 40, 57, 74, 75])
    generator = torch.Generator().manual_seed(0)
    if integers:  # a coarse grid: most distances are shared, and many nodes coincide
        x = torch.randint(-2, 3, (75, 2), generator=generator).float()
    else:
        x = torch.randn(75, 5, generator=generator)
    assert nearest_neighbours(x, ptr, k).t().tolist() == [list(e) for e in slow(x, ptr, k)]


def test_a_node_is_its_own_nearest_and_far_jets_keep_their_digits():
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ptr = torch.tensor([0, 30])
    edges = nearest_neighbours(x, ptr, 4)
    assert (edges[0].view(30, 4)[:, 0] == torch.arange(30)).all()
    # Whole numbers far away: what cancels in single precision would reorder the neighbours.
    far = (x * 2**10).round().float() + 2.0**22
    assert torch.equal(
        nearest_neighbours(far, ptr, 4), nearest_neighbours((far - 2.0**22), ptr, 4)
    )


def test_no_nodes_give_no_edges_and_no_neighbours_are_refused():
    none = torch.empty(0, 3)
    assert nearest_neighbours(none, torch.tensor([0]), 3).shape == (2, 0)
    assert nearest_neighbours(none, torch.tensor([0, 0]), 3).shape == (2, 0)
    with pytest.raises(ValueError, match="one at least"):
        nearest_neighbours(none, torch.tensor([0]), 0)

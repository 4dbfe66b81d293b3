"""Contrastive losses against double loops over items."""

import dataclasses
import math

import pytest
import torch

from raybead.errors import InputError
from raybead.graphs import JetBatch
from raybead.losses import ntxent, supcon
from raybead.models import Output


def latents(n, z=4, seed=0):
    return torch.randn(n, z, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def output_of(latent, latent_ptr=None, views=()):
    n = len(latent) if latent_ptr is None else len(latent_ptr) - 1
    nothing = latent.new_zeros(n, 1)
    return Output(nothing, nothing, torch.arange(n + 1), latent, latent_ptr, views=tuple(views))


def batch_of(generators):
    n = len(generators)
    whole = torch.arange(n)
    return JetBatch(
        x_TF=torch.zeros(n, 1),
        ptr=torch.arange(n + 1),
        p4_B4=torch.zeros(n, 4),
        event_B=whole,
        rank_B=whole * 0,
        n_constituents_B=whole * 0 + 1,
        generator_B=torch.tensor(generators),
    )


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def slow_supcon(latent, generators, temperature):
    rows = latent.tolist()
    found = []
    for i, mine in enumerate(generators):
        others = [j for j, its in enumerate(generators) if j != i and its >= 0]
        positives = [j for j in others if generators[j] == mine and mine >= 0]
        exps = {j: math.exp(cosine(rows[i], rows[j]) / temperature) for j in others}
        whole = sum(exps.values())
        terms = [-math.log(exps[j] / whole) for j in positives]
        found.append(sum(terms) / len(terms) if terms else 0.0)
    return torch.tensor(found, dtype=torch.float64)


def slow_ntxent(first, second, temperature):
    rows = [*first.tolist(), *second.tolist()]
    n = len(first)

    def of(i, partner):
        exps = [math.exp(cosine(rows[i], rows[k]) / temperature) for k in range(2 * n) if k != i]
        return -math.log(math.exp(cosine(rows[i], rows[partner]) / temperature) / sum(exps))

    return torch.tensor([(of(i, n + i) + of(n + i, i)) / 2 for i in range(n)], dtype=torch.float64)


class TestSupCon:
    GENERATORS = (0, 2, 0, 1, -1, 2, 2, -1, 7)

    @pytest.mark.parametrize("temperature", [0.07, 1.0])
    def test_it_equals_a_double_loop(self, temperature):
        latent = latents(len(self.GENERATORS))
        found = supcon(output_of(latent), batch_of(self.GENERATORS), temperature=temperature)
        torch.testing.assert_close(found, slow_supcon(latent, self.GENERATORS, temperature))
        # Nobody of 1 and 7 but one, and nobody knows of the two of -1.
        assert (found == 0).nonzero().flatten().tolist() == [3, 4, 7, 8]

    def test_its_slope_is_right(self):
        batch = batch_of(self.GENERATORS)
        start = latents(len(self.GENERATORS)).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda z: supcon(output_of(z), batch, temperature=0.5), (start,)
        )

    def test_items_of_unknown_generator_change_nothing(self):
        latent = latents(len(self.GENERATORS)).requires_grad_()
        known = [b for b, generator in enumerate(self.GENERATORS) if generator >= 0]
        whole = supcon(output_of(latent), batch_of(self.GENERATORS))
        less = supcon(output_of(latent[known]), batch_of([self.GENERATORS[b] for b in known]))
        torch.testing.assert_close(whole[known], less)
        whole.sum().backward()
        assert (latent.grad[[4, 7]] == 0).all()

    @pytest.mark.parametrize("generators", [(0,), (-1, -1), (0, 1, 2), ()])
    def test_where_nobody_has_a_positive_it_is_zero_with_a_slope_of_zero(self, generators):
        latent = latents(len(generators)).requires_grad_()
        found = supcon(output_of(latent), batch_of(generators))
        assert found.tolist() == [0.0] * len(generators)
        found.sum().backward()
        assert (latent.grad == 0).all()

    def test_of_nodes_it_is_that_of_their_mean(self):
        nodes, ptr = latents(7), torch.tensor([0, 2, 3, 7])
        means = torch.stack([nodes[a:b].mean(dim=0) for a, b in ((0, 2), (2, 3), (3, 7))])
        batch = batch_of([1, 0, 1])
        torch.testing.assert_close(
            supcon(output_of(nodes, ptr), batch), supcon(output_of(means), batch)
        )

    def test_length_does_not_count_down_to_none(self):
        latent, batch = latents(4), batch_of([0, 0, 1, 1])
        lengths = torch.tensor([[1e-3], [1.0], [1e6], [30.0]], dtype=torch.float64)
        torch.testing.assert_close(
            supcon(output_of(latent * lengths), batch), supcon(output_of(latent), batch)
        )
        dead = latent.clone()
        dead[0] = 0
        dead.requires_grad_()
        found = supcon(output_of(dead), batch)
        # Cosine 0 with all three.
        assert found[0].item() == pytest.approx(math.log(3))
        found.sum().backward()
        assert dead.grad.isfinite().all()
        assert (dead.grad[0] == 0).all()

    def test_apart_it_is_low_and_descent_takes_generators_apart(self):
        generators = [0, 1] * 4
        ends = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(4, 1)
        close = supcon(output_of(ends), batch_of(generators))
        torch.testing.assert_close(close, torch.full((8,), math.log(3)), rtol=1e-4, atol=1e-4)
        latent = latents(8).float().requires_grad_()
        optimizer = torch.optim.Adam([latent], lr=0.1)
        for _ in range(200):
            optimizer.zero_grad()
            supcon(output_of(latent), batch_of(generators)).mean().backward()
            optimizer.step()
        found = torch.nn.functional.normalize(latent.detach(), dim=1)
        assert (found[::2] @ found[::2].T).min() > 0.9
        assert (found[::2] @ found[1::2].T).max() < 0.0

    def test_small_temperatures_and_single_precision_stay_finite(self):
        latent = latents(8).float().requires_grad_()
        found = supcon(output_of(latent), batch_of([0, 1] * 4), temperature=1e-4)
        found.sum().backward()
        assert found.isfinite().all()
        assert latent.grad.isfinite().all()
        assert found.max() > 1000

    def test_events_that_do_not_say_their_generator_are_refused_in_a_line(self):
        batch = dataclasses.replace(batch_of([0, 1]), generator_B=None)
        with pytest.raises(InputError, match="loss supcon needs to know each event's generator"):
            supcon(output_of(latents(2)), batch)


class TestNtXent:
    def views(self, first, second, **given):
        return output_of(first, views=[output_of(first, **given), output_of(second, **given)])

    @pytest.mark.parametrize("temperature", [0.07, 0.5])
    @pytest.mark.parametrize("n", [1, 2, 6])
    def test_it_equals_a_double_loop(self, n, temperature):
        first, second = latents(n), latents(n, seed=1)
        found = ntxent(self.views(first, second), temperature=temperature)
        torch.testing.assert_close(found, slow_ntxent(first, second, temperature))

    def test_its_slope_is_right_and_the_item_itself_takes_no_part(self):
        first, second = (latents(4, seed=s).requires_grad_() for s in (0, 1))
        assert torch.autograd.gradcheck(
            lambda a, b: ntxent(self.views(a, b), temperature=0.5), (first, second)
        )
        item = latents(4, seed=2)
        found = dataclasses.replace(self.views(first, second), latent=item)
        torch.testing.assert_close(ntxent(found), ntxent(self.views(first, second)))

    def test_identical_views_are_low_and_lower_than_others(self):
        """Of four orthogonal directions; the parity list's bound of 0.3."""
        first = torch.eye(4, dtype=torch.float64)
        same = ntxent(self.views(first, first), temperature=0.5)
        torch.testing.assert_close(
            same, torch.full_like(same, math.log(math.exp(2) + 6) - 2), rtol=1e-9, atol=1e-9
        )
        assert ntxent(self.views(first, first), temperature=0.07).max() < 0.3
        others = self.views(first, latents(4, seed=3))
        assert ntxent(others, temperature=0.5).mean() > same.mean()

    def test_nearly_identical_views_are_the_lower_the_temperature(self):
        first = torch.eye(5, dtype=torch.float64)
        second = first + 0.05 * latents(5, 5)
        means = [
            ntxent(self.views(first, second), temperature=t).mean().item()
            for t in (1.0, 0.5, 0.2, 0.07)
        ]
        assert means == sorted(means, reverse=True)
        assert means[-1] < 0.01

    def test_of_nodes_it_is_that_of_their_mean(self):
        ptr, pairs = torch.tensor([0, 2, 3, 7]), ((0, 2), (2, 3), (3, 7))
        nodes = [latents(7, seed=s) for s in (0, 1)]
        means = [torch.stack([x[a:b].mean(dim=0) for a, b in pairs]) for x in nodes]
        torch.testing.assert_close(
            ntxent(self.views(*nodes, latent_ptr=ptr)), ntxent(self.views(*means))
        )

    def test_no_items_have_no_loss(self):
        none = latents(0).requires_grad_()
        found = ntxent(self.views(none, none))
        assert found.shape == (0,)
        found.sum().backward()

"""Noise that belongs to jets: normal, and the same wherever a jet lies."""

import torch
from scipy.stats import kstest
from test_models import jets_of

from raybead.graphs.noise import keys_of_jets, keys_of_nodes, normal_noise, uniform_noise


def test_it_is_normal_and_independent():
    torch.manual_seed(0)
    noise = normal_noise(torch.arange(200_000), 3, torch.zeros(1, dtype=torch.float64))
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 0.01
    rows = torch.cat([noise, noise.roll(1, 0), noise.square()], dim=1)
    off = torch.corrcoef(rows.t()) - torch.eye(9)
    assert off.abs().max() < 0.025


def test_uniform_noise_is():
    torch.manual_seed(0)
    noise = uniform_noise(torch.arange(100_000), 2)
    assert kstest(noise.flatten().numpy(), "uniform").pvalue > 0.01
    assert torch.corrcoef(noise.T)[0, 1].abs() < 0.015
    assert noise.min() > 0


def test_every_call_draws_anew_and_a_seed_says_which():
    keys = torch.arange(5)
    torch.manual_seed(1)
    first, second = (normal_noise(keys, 2, torch.zeros(1)) for _ in range(2))
    assert (first != second).all()
    torch.manual_seed(1)
    assert torch.equal(normal_noise(keys, 2, torch.zeros(1)), first)


def test_a_slice_has_the_noise_of_the_whole():
    jets = jets_of([3, 1, 7, 4, 2])
    mine = jets.select(torch.tensor([1, 3]))
    for keys, picked in (
        (keys_of_jets, torch.tensor([1, 3])),
        (keys_of_nodes, torch.tensor([3, 11, 12, 13, 14])),
    ):
        torch.manual_seed(2)
        whole = normal_noise(keys(jets), 2, torch.zeros(1))
        torch.manual_seed(2)
        assert torch.equal(normal_noise(keys(mine), 2, torch.zeros(1)), whole[picked])
        assert len(keys(jets).unique()) == len(keys(jets))

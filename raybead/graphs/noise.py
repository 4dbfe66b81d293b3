"""Noise that belongs to a jet, or to one of its nodes, wherever in a batch it lies.

A worker has a slice of a batch: noise in the order of the slice would depend on the number of
workers. Here each number follows from a salt, which all workers draw alike, and from whose it is.

Axes: B jets, N jets or nodes, Z numbers each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raybead.graphs.jetbatch import JetBatch
from raybead.graphs.owners import owners

_ODD = (-7046029254386353131, -4658895280553007687, -7723592293110705685)
"""The constants of splitmix64 (doi:10.1145/2714064.2660195), as signed integers."""
_MANTISSA = 53


def keys_of_jets(batch: JetBatch) -> Tensor:
    """[B] a number for each jet of a sample."""
    return batch.event_B * 64 + batch.rank_B


def keys_of_nodes(batch: JetBatch) -> Tensor:
    """[T] a number for each node of a sample's jets."""
    return keys_of_parts(keys_of_jets(batch), batch.ptr)


def keys_of_parts(keys_B: Tensor, ptr: Tensor) -> Tensor:
    """[T] a number for each of what jets consist of.

    Args:
        keys_B: the jets'.
        ptr: [B + 1] offsets of the jets among their parts.
    """
    jet_T = owners(ptr, int(ptr[-1]))
    place_T = torch.arange(len(jet_T), device=ptr.device) - ptr[jet_T]
    return _mixed(keys_B[jet_T]) + place_T


def keys_within(batch: JetBatch, jet_N: Tensor, place_N: Tensor) -> Tensor:
    """[N] a number for each part of a sample's jets.

    Args:
        batch: the sample.
        jet_N: [N] which jet each is a part of.
        place_N: [N] which part of it.
    """
    return _mixed(keys_of_jets(batch)[jet_N]) + place_N


def normal_noise(keys_N: Tensor, width: int, like: Tensor) -> Tensor:
    """[N, width] independent standard normal numbers, of the type of ``like``.

    Every call draws its salt from torch's generator: the same after the same seed.
    """
    # Box and Muller, doi:10.1214/aoms/1177706645.
    first, second = uniform_noise(keys_N, 2 * width).chunk(2, dim=1)
    return ((-2 * first.log()).sqrt() * (2 * math.pi * second).cos()).to(like.dtype)


def uniform_noise(keys_N: Tensor, width: int) -> Tensor:
    """[N, width] independent numbers above 0, up to 1, in double precision.

    Every call draws its salt from torch's generator: the same after the same seed.
    """
    bits = _bits(keys_N, width)
    uniform = ((bits >> (64 - _MANTISSA)) & (2**_MANTISSA - 1)).double() + 0.5
    return uniform / 2**_MANTISSA


def kept(keys_N: Tensor, width: int, rate: float, like: Tensor) -> Tensor:
    """[N, width] what dropout multiplies by, of the type of ``like``: 0 for a share of all.

    The others are so much more than 1 that the mean is 1. Salted as :func:`normal_noise` is.

    Args:
        keys_N: whose they are.
        width: numbers each.
        rate: the share, taken to 1 in 65536, below 1.
        like: says the type.
    """
    values = 1 << 16
    dropped = min(round(rate * values), values - 1)
    # Four draws of 16 bits from each number: three times as quick as one.
    level = _bits(keys_N, -(-width // 4)).view(torch.int16)[:, :width]
    return (level >= dropped - values // 2).to(like.dtype) * (values / (values - dropped))


def _bits(keys_N: Tensor, width: int) -> Tensor:
    """[N, width] random int64; every call draws a salt."""
    salt = int(torch.randint(2**62, ()))
    place = torch.arange(width, device=keys_N.device)
    return _mixed(_mixed(keys_N + salt)[:, None] + place)


def _mixed(x: Tensor) -> Tensor:
    """splitmix64's output of a state; int64 arithmetic wraps round."""
    x = x * _ODD[0]
    for shift, odd in ((30, _ODD[1]), (27, _ODD[2])):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * odd
    return x ^ ((x >> 31) & ((1 << 33) - 1))

"""Jets that tests of distances make for themselves."""

import torch

from raybead.graphs.clouds import Clouds


def clouds_of(sizes, seed=0, dtype=torch.float64, width=0.2, phi=0.0):
    """Jets of the given numbers of particles, scattered about (0, ``phi``)."""
    generator = torch.Generator().manual_seed(seed)
    n = sum(sizes)
    pt = torch.rand(n, generator=generator, dtype=dtype).pow(3) * 80 + 0.5
    eta, turn = width * torch.randn(2, n, generator=generator, dtype=dtype)
    ptr = torch.tensor([0, *torch.tensor(sizes).cumsum(0).tolist()])
    return Clouds(pt, eta, turn + phi, ptr)


def changed(clouds, **columns):
    """The same with some columns replaced."""
    return Clouds(**{**vars(clouds), **columns})

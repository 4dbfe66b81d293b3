"""Contrastive losses on two processes against one with all the items."""

import os
import socket

import torch
import torch.distributed
import torch.multiprocessing
from test_contrast import batch_of, output_of

from raybead.losses import ntxent, supcon
from raybead.losses.gather import gathered

N = 7
GENERATORS = [0, 1, 0, -1, 1, 0, 2]
SLICES = ([0, 2, 4, 6, 5], [1, 3]), (list(range(N)), [])
"""Of the batch; the second worker has nothing in the second."""


def losses(latent, mine, weight):
    """Both losses of some items, each weighted by its place in the whole batch."""
    views = [output_of(latent[k][mine] @ weight) for k in range(2)]
    output = output_of(latent[2][mine] @ weight, views=views)
    batch = batch_of([GENERATORS[b] for b in mine])
    if not mine:  # a list of none has no integers
        batch = batch_of([0])
        batch = batch.select(torch.tensor([], dtype=torch.long))
    return supcon(output, batch, temperature=0.3), ntxent(output, temperature=0.3)


def step(latent, mine):
    weight = torch.linspace(-1, 1, 12, dtype=torch.float64).sin().view(4, 3).requires_grad_()
    found = losses(latent, mine, weight)
    scale = torch.tensor([1.0 + b for b in mine], dtype=torch.float64)
    (grad,) = torch.autograd.grad(sum((scale * loss).sum() for loss in found), weight)
    return [loss.detach() for loss in found], grad


def member(rank, port, folder):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    latent = torch.load(folder / "latent.pt")
    found = []
    for slices in SLICES:
        mine = slices[rank]
        values, grad = step(latent, mine)
        torch.distributed.all_reduce(grad)
        found.append((mine, values, grad))
    rows = latent[0][: 2 + 3 * rank]
    torch.save((found, gathered(rows)), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_workers_equal_one(tmp_path):
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(3, N, 4, generator=generator, dtype=torch.float64)
    torch.save(latent, tmp_path / "latent.pt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(member, (port, tmp_path), nprocs=2)
    expected, grad = step(latent, list(range(N)))
    assert all((loss != 0).sum() >= 5 for loss in expected)
    for rank in range(2):
        found, (rows, first) = torch.load(tmp_path / f"{rank}.pt")
        for mine, values, theirs in found:
            for value, whole in zip(values, expected, strict=True):
                torch.testing.assert_close(value, whole[mine])
            torch.testing.assert_close(theirs, grad)
        assert first == 2 * rank
        torch.testing.assert_close(rows, torch.cat([latent[0][:2], latent[0][:5]]))

"""Batch norm over pairs on two processes against one with all the jets."""

import os
import socket

import torch
import torch.distributed
import torch.multiprocessing

from raybead.models import AllPairsEdgeConv

SIZES = torch.tensor([3, 1, 7, 5, 12, 1])


def step(layer, x, sizes):
    """Output, then gradients of the weights, of a sum over nodes."""
    ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    out = layer(x, ptr)
    return [out.detach(), *torch.autograd.grad(out.square().sum(), list(layer.parameters()))]


def layer_of_test():
    torch.manual_seed(5)
    layer = AllPairsEdgeConv(3, (6, 5, 4), last_relu=True, norm="batch").double()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return layer


def member(rank, port, folder, cut):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    x, nodes = torch.load(folder / "x.pt"), int(SIZES[:cut].sum())
    layer = layer_of_test()
    parts = [(x[:nodes], SIZES[:cut]), (x[nodes:], SIZES[cut:])]
    out, *grads = step(layer, *parts[rank])
    for grad in grads:
        torch.distributed.all_reduce(grad)
    torch.save((out, grads, list(layer.buffers())), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_workers_equal_one(tmp_path):
    """The second worker's only jet has a single node, so it brings no pair."""
    cut = len(SIZES) - 1
    x = torch.randn(int(SIZES.sum()), 3, dtype=torch.float64)
    torch.save(x, tmp_path / "x.pt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(member, (port, tmp_path, cut), nprocs=2)
    layer = layer_of_test()
    out, *grads = step(layer, x, SIZES)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(torch.cat([found[0][0], found[1][0]]), out)
    for _, theirs, buffers in found:
        torch.testing.assert_close(theirs, grads)
        torch.testing.assert_close(buffers, list(layer.buffers()))

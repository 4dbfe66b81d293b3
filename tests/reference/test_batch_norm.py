"""Batch norm over two processes against one, and against torch's; gradients, too."""

import os
import socket

import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

from raybead.models.batch_norm import TeamBatchNorm


def member(rank, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    x, weight = torch.load(folder / "x.pt")
    norm = TeamBatchNorm(3)
    mine = x[rank::2].requires_grad_()
    output = norm(mine)
    (output * weight[rank::2]).sum().backward()
    kept = (output.detach(), norm.running_mean, norm.running_var, mine.grad)
    torch.save(kept, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_statistics_are_of_the_whole_batch(tmp_path):
    x = torch.randn(101, 3) * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, 30.0, -2.0])
    weight = torch.randn_like(x)
    torch.save((x, weight), tmp_path / "x.pt")
    alone, reference = TeamBatchNorm(3), nn.BatchNorm1d(3)
    torch.testing.assert_close(alone(x), reference(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone.running_var, reference.running_var)
    torch.testing.assert_close(alone.eval()(x), reference.eval()(x))
    assert alone.state_dict().keys() == reference.state_dict().keys()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(member, (port, tmp_path), nprocs=2)
    fresh = TeamBatchNorm(3)
    whole = fresh(x).detach()
    every = x.clone().requires_grad_()
    (nn.BatchNorm1d(3)(every) * weight).sum().backward()
    for rank in range(2):
        output, mean, variance, slope = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(output, whole[rank::2], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mean, fresh.running_mean)
        torch.testing.assert_close(variance, fresh.running_var)
        torch.testing.assert_close(slope, every.grad[rank::2], rtol=1e-3, atol=1e-4)

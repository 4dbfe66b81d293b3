"""Input norm over two processes against one, and against torch's batch norm."""

import os
import socket

import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

from raybead.models.input_norm import InputNorm


def member(rank, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    x = torch.load(folder / "x.pt")
    norm = InputNorm(3)
    output = norm(x[rank::2])
    torch.save((output.detach(), norm.running_mean, norm.running_var), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_statistics_are_of_the_whole_batch(tmp_path):
    x = torch.randn(101, 3) * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, 30.0, -2.0])
    torch.save(x, tmp_path / "x.pt")
    alone, reference = InputNorm(3), nn.BatchNorm1d(3)
    torch.testing.assert_close(alone(x), reference(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone.running_var, reference.running_var)
    torch.testing.assert_close(alone.eval()(x), reference.eval()(x))
    assert alone.state_dict().keys() == reference.state_dict().keys()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(member, (port, tmp_path), nprocs=2)
    fresh = InputNorm(3)
    whole = fresh(x).detach()
    for rank in range(2):
        output, mean, variance = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(output, whole[rank::2], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mean, fresh.running_mean)
        torch.testing.assert_close(variance, fresh.running_var)

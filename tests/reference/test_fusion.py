"""Fusion of an item's encoding with its jets' polynomials."""

import dataclasses

import pytest
import torch
from items import events_of
from pydantic import TypeAdapter

from raybead.config import Fusion as Section
from raybead.config import Model, parse_job
from raybead.errors import InputError, JobError
from raybead.models import Inputs, build_model
from raybead.models.fusion import EfpEmbedding, Fusion

JETS = [(15, 15, 15), (15, 2, 7), (3, 0, 0), (15, 9, 0)]
INPUTS = Inputs(features=5, slots=45, jets=3, efps=4)


def fused(tokens=("encoder", "efps"), **more):
    torch.manual_seed(0)
    fusion = Fusion(Section(tokens=tokens, width=8, heads=2, feed_forward=12, **more), 6, INPUTS)
    with torch.no_grad():  # away from where a class token is nearly nothing
        for weight in fusion.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return fusion.double(), torch.randn(len(JETS), 6, dtype=torch.float64)


def slow(fusion, section, encoded, batch):
    """Token by token, one item at a time, without packing."""
    rows = []
    for b in range(len(batch)):
        tokens = [fusion.class_token]
        if encoded is not None:
            tokens.append(fusion.encoded(encoded[b]) + fusion.encoder_type)
        for j in range(batch.has_jet_BJ.shape[1] if fusion.efps is not None else 0):
            if not batch.has_jet_BJ[b, j]:
                continue
            e = batch.efps_BJE[b, j].double()
            gate = {
                "sigmoid": lambda x: 1 / (1 + (-x).exp()),
                "relu6": lambda x: x.clamp(0, 6),
                "tanh": lambda x: 2 / (1 + (-2 * x).exp()) - 1,
            }[section["gate"]](fusion.efps.gate(e))
            gate = torch.tensor(
                [g if g >= section["gate_threshold"] else 0.0 for g in gate.tolist()]
            )
            token = fusion.efps.norm(fusion.efps.linear(e) * gate.double())
            tokens.append(token + fusion.efp_type + fusion.rank[j])
        x = torch.stack(tokens)
        for block in fusion.blocks:
            x = block(x, torch.tensor([0, len(x)]))
        rows.append(fusion.norm(x[0]))
    return torch.stack(rows)


@pytest.mark.parametrize("gate", ["sigmoid", "relu6", "tanh"])
@pytest.mark.parametrize("tokens", [("encoder", "efps"), ("efps",), ("encoder",)])
def test_it_equals_the_slow_way(tokens, gate):
    section = {"gate": gate, "gate_threshold": 0.4}
    fusion, encoded = fused(tokens, **section)
    encoded = encoded if "encoder" in tokens else None
    batch = events_of(JETS, efps=4)
    found = fusion(encoded, batch)
    assert found.shape == (len(JETS), 8)
    torch.testing.assert_close(found, slow(fusion, section, encoded, batch))


def test_the_class_token_looks_at_every_input():
    fusion, encoded = fused(gate="none")
    batch = events_of(JETS, efps=4)
    encoded.requires_grad_()
    efps = batch.efps_BJE.double().requires_grad_()
    out = fusion(encoded, dataclasses.replace(batch, efps_BJE=efps))
    slopes = torch.autograd.grad((out * torch.randn_like(out)).sum(), [encoded, efps])
    assert (slopes[0] != 0).all()
    there = batch.has_jet_BJ
    assert (slopes[1][there] != 0).all()
    assert (slopes[1][~there] == 0).all()


def test_what_stands_in_for_an_absent_jet_does_not_matter():
    fusion, encoded = fused()
    batch = events_of(JETS, efps=4)
    filled = batch.efps_BJE.clone()
    filled[~batch.has_jet_BJ] = torch.nan
    other = dataclasses.replace(batch, efps_BJE=filled)
    assert torch.equal(fusion(encoded, batch), fusion(encoded, other))


def test_a_jets_rank_and_that_it_is_there_matter():
    fusion, encoded = fused()
    batch = events_of([(15, 15, 15)] * 2, efps=4)
    batch.efps_BJE[1] = batch.efps_BJE[0].flip(0)
    same = encoded[:1].expand(2, -1)
    out = fusion(same, batch)
    assert not torch.allclose(out[0], out[1], rtol=1e-3)
    batch.efps_BJE[1] = batch.efps_BJE[0]
    batch.has_jet_BJ[1, 2] = False
    out = fusion(same, batch)
    assert not torch.allclose(out[0], out[1], rtol=1e-3)


def test_a_closed_gate_lets_nothing_pass():
    torch.manual_seed(0)
    embedding = EfpEmbedding(Section(width=8, gate_threshold=0.3, layer_norm=False), 4)
    efps = torch.randn(50, 4)
    gate = embedding.gate(efps).sigmoid()
    assert 0 < (gate < 0.3).float().mean() < 1
    out = embedding(efps)
    assert torch.equal(out == 0, gate < 0.3)
    torch.testing.assert_close(out[gate >= 0.3], (embedding.linear(efps) * gate)[gate >= 0.3])


def test_polynomials_that_are_not_finite_or_not_there_are_refused():
    fusion, encoded = fused()
    batch = events_of(JETS, efps=4)
    batch.efps_BJE[1, 2, 0] = torch.inf
    with pytest.raises(InputError, match="event 1: an energy flow polynomial isn't finite"):
        fusion(encoded, batch)
    with pytest.raises(InputError, match="the items have none"):
        fusion(encoded, events_of(JETS))


def test_polynomials_alone_leave_the_encoder_out():
    config = TypeAdapter(Model).validate_python(
        {"preset": "efp-transformer", "fusion": {"tokens": ["efps"]}}
    )
    net = build_model(config, INPUTS).eval()
    assert not [name for name, _ in net.named_parameters() if name.startswith("encoder")]
    batch = events_of(JETS, efps=4)
    other = dataclasses.replace(batch, x_TF=torch.zeros_like(batch.x_TF))
    with torch.inference_mode():
        assert torch.equal(net(batch).latent, net(other).latent)


def test_a_job_without_polynomials_is_refused():
    job = """
name = "a"
[data.background]
source = "pythia"
events = 10
[data.search]
source = "lhco"
path = "x.h5"
"""
    wants = ["model.preset=efp-transformer", "loss.kind=vae"]
    with pytest.raises(JobError, match=r"energy flow polynomials; say \[graph.efps\]$"):
        parse_job(job, wants)
    assert parse_job(job, [*wants, "graph.efps.n=3"]).model.fusion is not None
    parse_job(job, [*wants, "model.fusion.tokens=['encoder']"])

"""The page of models and losses says what the code does."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from raybead.commands.catalogue import LOSSES, MODELS, loss_rows, model_rows
from raybead.config import MODEL_PRESETS, Model, dump_job, parse_job
from raybead.errors import JobError

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def test_the_page_holds_the_tables():
    text = PAGE.read_text()
    for mark, header, rows in (("models", MODELS, model_rows()), ("losses", LOSSES, loss_rows())):
        assert f"<!-- {mark} -->\n\n{markdown(header, rows)}\n" in text


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_a_preset_fills_in_what_a_job_does_not_say(preset):
    of = MODEL_PRESETS[preset]
    restrained = [{"kind": "flow-kl" if "flow" in of else "kl"}] * ("posterior" in of)
    terms = ", ".join(f"{{kind='{term['kind']}'}}" for term in [{"kind": "mse"}, *restrained])
    says = [f"model.preset={preset}", "model.latent=5", f"loss=[{terms}]"]
    job = parse_job(JOB, says + ["graph.efps.n=3"] * ("fusion" in of))
    again = parse_job(dump_job(job), [f"model.preset={preset}"])
    assert again == job
    assert job.model == TypeAdapter(Model).validate_python(of | {"latent": 5})
    assert {key: getattr(job.model, key) for key in ("kind", "latent")} == {
        "kind": of["kind"],
        "latent": 5,
    }


def test_a_key_of_a_presets_flow_can_be_said_alone():
    preset = ["model.preset=conv-orthogonal-vae", "loss=[{kind='mse'}, {kind='flow-kl'}]"]
    flow = parse_job(JOB, [*preset, "model.flow.layers=2"]).model.flow
    assert (flow.kind, flow.basis, flow.rank, flow.layers) == ("sylvester", "orthogonal", 5, 2)
    assert parse_job(JOB, [*preset, "model.flow.kind=spline"]).model.flow.bins == 8
    with pytest.raises(JobError, match=r"unknown key 'model\.flow\.length'"):
        parse_job(JOB, [*preset, "model.flow.length=3"])


def test_a_preset_of_another_kind_is_refused():
    with pytest.raises(JobError, match="preset 'edgenet' is a node-bottleneck"):
        parse_job(JOB, ["model.preset=edgenet", "model.kind=jet-bottleneck"])


def test_vae_is_short_for_two_terms():
    terms = parse_job(
        JOB,
        [
            "model.variational=true",
            "loss.kind=vae",
            "loss.reconstruction=chamfer",
            "loss.beta=0.1",
        ],
    ).loss
    assert [(term.kind, term.weight) for term in terms] == [("chamfer", 1.0), ("kl", 0.1)]
    more = "loss=[{kind='vae', beta=0.5, weight=2}, {kind='emd', power=2}]"
    terms = parse_job(JOB, ["model.variational=true", more]).loss
    assert [(term.kind, term.weight) for term in terms] == [("mse", 2), ("kl", 1), ("emd", 1)]


JOB = """
name = "a"
[data.background]
source = "pythia"
events = 10
[data.search]
source = "lhco"
path = "x.h5"
"""

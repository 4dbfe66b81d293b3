"""``[sweep]`` in a job file, and the jobs of its trials."""

import pytest
from sweeps import RAW, swept

from raybead.config import Jets, dump_job, job_of, parse_job, parse_raw
from raybead.errors import JobError, UnknownKeyError
from raybead.sweeping.space import Space
from raybead.sweeping.trial_job import refuse_unknown_keys, trial_job, variants

JOB = """
name = "a"
[data.background]
source = "pythia"
events = 10
[data.search]
source = "lhco"
path = "x.h5"
[sweep]
"""
LATENT = 'over={"model.latent"={choice=[2, 4]}}\n'
RATE = 'over={"train.learning_rate"={log_uniform=[1e-4, 1e-2]}}\n'


def said(text):
    """The one line that a sweep is refused with."""
    with pytest.raises(JobError) as caught:
        parse_job(JOB + text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("dimension", "says"),
    [
        ("{}", "model.latent: says no values; give one of choice, grid, uniform, log_uniform"),
        ("{choice=[1], grid=[2]}", "says choice and grid; give one"),
        ("{choice=[]}", "sweep.over.model.latent.choice: "),
        ("{choice=[2, 3, 2.0]}", "model.latent.choice: 2.0 stands there twice"),
        ("{grid=[[8, 4], [8, 4]]}", "[8, 4] stands there twice"),
        ("{uniform=[8, 2]}", "from 8 to 2 doesn't run upwards"),
        ("{uniform=[2, 2]}", "from 2 to 2 doesn't run upwards"),
        ("{uniform=[2]}", "model.latent.uniform: give two numbers, from and to"),
        ("{uniform=[false, true]}", "give two numbers"),
        ("{uniform=[0.0, inf]}", "the ends have to be finite"),
        ("{log_uniform=[0, 8]}", "model.latent.log_uniform: 0 has no logarithm"),
        ("{chioce=[1]}", "'sweep.over.model.latent.chioce'; did you mean"),
        ("{chioce=[1]}", "did you mean 'sweep.over.model.latent.choice'"),
        ("{choice=[1], when={'model.latent'=1}}", "model.latent -> model.latent wait for"),
        ("{choice=[1], when={'model.kind'=[]}}", "model.kind has none of no values"),
    ],
)
def test_a_dimension_that_says_nonsense_is_refused_in_a_line(dimension, says):
    assert says in said(f"over={{'model.latent'={dimension}}}")
    assert says in said(f"over.model.latent={dimension}")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("hunt.cuts", "only keys of jets, graph, model, loss, train, score can be swept"),
        ("modl.latent", "did you mean 'model'?"),
        ("train.test", "train.test: stays as the job says, since all trials are trained on and"),
        ("train.workers", "the sweep itself says what a trial is given"),
        ("train", "train: holds train.test, which stays; sweep single keys of it"),
        ("score", "score: holds score.store, which stays"),
        ("model..latent", "write it as section.key"),
    ],
)
def test_a_key_that_stays_says_why(key, says):
    assert says in said(f'over={{"{key}"={{choice=[1, 2]}}}}')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('over={"jets.radius"={uniform=[0.5, 1.0]}}', "give a choice or a grid"),
        (RATE + 'search="grid"', "search grid goes through all values, and train.learning_rate"),
        (LATENT + 'search="pbt"', "search pbt perturbs what may change"),
        (RATE + 'search="pbt"\ntrials=1', "needs a population: trials = 2 or more"),
        (RATE + 'search="pbt"\nworkers=2', "say workers = 1"),
        (RATE + 'search="pbt"\nscheduler="asha"', "say scheduler = 'none', not 'asha'"),
        (RATE + 'search="pbt"\ngrace=50', "sweep.grace = 50: pbt perturbs after as many epochs"),
        (LATENT + 'scheduler="asha"\ngrace=51', "sweep.grace = 51: asha stops no trial before"),
        (LATENT + 'scheduler="median"\ngrace=51', "median stops no trial before that epoch"),
        (LATENT + "objective={corruption=0}", "the weight of corruption isn't a number other"),
        (LATENT + "objective={corruption=inf}", "the weight of corruption isn't a number other"),
        (LATENT + "objective={}", "give a quantity's name"),
        (LATENT + 'objective="corupption"', "did you mean 'corruption'?"),
        (LATENT + 'also=["corruption-shuffle"]\ncorruptions=["two-prong"]', "is none of"),
        (LATENT + 'objective="auc"', "auc looks at truth; say evaluation = true"),
        (LATENT + 'also=["sic"]', "sic looks at truth"),
        (LATENT + 'corruptions=["shuffle", "shuffle"]', "sweep.corruptions: says one thing twice"),
        (LATENT + "trails=3", "unknown key 'sweep.trails'; did you mean 'sweep.trials'?"),
        (
            'over={"graph.nodes"={choice=[5, 9]}}\nalso=["validation-loss"]',
            "validation-loss doesn't compare where graph.nodes differs",
        ),
        (
            'over={"loss"={choice=[{kind="mse"}, {kind="l1"}]}}\nobjective="validation-loss"',
            "validation-loss doesn't compare where loss differs",
        ),
        (
            'over={"model.latent"={choice=[1], when={"train.optimizer"="sgd"}},'
            ' "train.optimizer"={choice=["adam"]}}',
            "model.latent: when: train.optimizer never is 'sgd'",
        ),
        (
            'over={"model.latent"={choice=[1], when={"train.momentum"=0.5}},'
            ' "train.momentum"={uniform=[0.1, 0.9]}}',
            "train.momentum is drawn from a range",
        ),
        (
            'over={"model.latent"={choice=[1], when={"model.heads"=1}},'
            ' "model.heads"={choice=[1], when={"model.latent"=1}}}',
            "model.latent -> model.heads -> model.latent wait for one another",
        ),
        (
            'over={"model.preset"={choice=["ae"], when={"model.kind"="node-bottleneck"}}}',
            "model.preset -> model.preset wait",
        ),
        (
            'over={"model.latent"={choice=[1]}, model={latent={choice=[2]}}}',
            "model.latent stands there twice, with quotes and without",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_a_line(text, says):
    assert says in said(text)


def test_whole_numbers_stay_whole_and_others_do_not():
    text = """
over.model.latent.uniform = [2, 8]
over.model.heads.log_uniform = [1, 8]
over.model.dropout = { choice = [0.0, 1], when = { "model.latent" = [2, 3] } }
over.train.weight_decay.uniform = [0, 1.0]
over.train.learning_rate.log_uniform = [1e-4, 1]
"""
    job = parse_job(JOB + text)
    over = job.sweep.over
    assert [type(end) for of in over.values() for end in of.ends or ()] == (
        [int] * 4 + [float] * 4
    )
    assert [of.whole for of in over.values()] == [True, True, False, False, False]
    assert over["model.dropout"].listed == (0.0, 1)
    again = parse_job(dump_job(job))
    assert again == job
    assert [of.whole for of in again.sweep.over.values()] == [of.whole for of in over.values()]


def test_an_override_reaches_a_dimension():
    text = JOB + LATENT + 'search = "grid"'
    assert parse_job(text, ["sweep.over.train.heads.choice=[1]"]).sweep.over.keys() == {
        "model.latent",
        "train.heads",
    }


def test_one_table_of_a_loss_is_the_array_of_it():
    assert parse_job(JOB + LATENT, ["loss.0.weight=3"]).loss[0].weight == 3
    raw = parse_raw(JOB + LATENT, ["loss.kind=l1", "loss.0.weight=3"])
    assert raw["loss"] == [{"kind": "l1", "weight": 3}]


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ({"model.preset": "edgenet", "model.latent": 3}, lambda job: job.model.latent == 3),
        ({"model.latent": 3, "model": {"preset": "ae"}}, lambda job: job.model.layer == "node"),
        ({"model.latent": 3, "model": {"latent": 5}}, lambda job: job.model.latent == 3),
        ({"loss": [{"kind": "l1"}]}, lambda job: job.loss[0].kind == "l1"),
        ({"loss": {"kind": "l1"}, "loss.0.weight": 2}, lambda job: job.loss[0].weight == 2),
        ({"loss.kind": "chamfer"}, lambda job: job.loss[0].kind == "chamfer"),
        (
            {"graph.scaling": {"pt": "min-max"}, "graph.features": "cylindrical"},
            lambda job: job.graph.chain("pt") == ("min-max",),
        ),
        ({"jets.soft_drop.z_cut": 0.2}, lambda job: job.jets.soft_drop.z_cut == 0.2),
        ({}, lambda job: job == job_of(RAW)),
    ],
)
def test_a_trial_has_the_job_of_its_values(values, reached):
    _, raw = swept({"model.latent": {"choice": [1]}})
    before = repr(raw), repr(values)
    job = trial_job(raw, values)
    assert reached(job)
    assert job.sweep is None
    assert (repr(raw), repr(values)) == before


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"loss.kind": "kl"}, "trial of loss.kind = 'kl': loss kl needs a posterior"),
        ({"model.latnt": 3}, "unknown key 'model.latnt'; did you mean 'model.latent'?"),
        ({"loss.1.weight": 3}, "loss.1.weight: '1' is no place in a list of 1"),
        ({"train.epochs": 0}, "train.epochs: has to be greater than 0"),
        ({"train.epochs.x": 0, "train.epochs": 1}, "train.epochs.x: epochs is a value"),
        ({"loss.0.temperature": 2}, "'loss.0.temperature' doesn't go with this kind of loss.0"),
    ],
)
def test_values_that_no_job_can_have_are_said_with_their_key(values, says):
    with pytest.raises(JobError) as caught:
        trial_job(RAW, values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UnknownKeyError) == ("unknown" in says)


def test_each_variant_of_the_jets_is_told_once():
    sweep, raw = swept(
        {
            "model.latent": {"choice": [2, 4]},
            "jets.radius": {"choice": [0.8, 1]},
            "jets.soft_drop.beta": {"choice": [0.0, 1.0], "when": {"jets.radius": 0.8}},
            "jets.min_pt": {"grid": [200, 100], "when": {"model.latent": 4}},
        }
    )
    found = variants(sweep, raw)
    soft = [Jets(radius=0.8, soft_drop={"beta": beta}) for beta in (0, 1)]
    assert found[0] == soft[0]
    expected = {*soft, Jets()} | {jets.model_copy(update={"min_pt": 100.0}) for jets in soft}
    assert len(found) == 6
    assert set(found) == expected | {Jets(min_pt=100)}
    assert {trial_job(raw, values).jets for values in Space.of(sweep, raw).grid()} == set(found)
    unchanged, raw = swept({"model.latent": {"choice": [2, 4]}}, {"jets": {"radius": 0.4}})
    assert variants(unchanged, raw) == [Jets(radius=0.4)]


GOES_WITH = {
    "model.preset": {"choice": ["edgenet", "jet-bottleneck-vae"]},
    "loss.kind": {"choice": ["mse", "vae"]},
    "loss.beta": {"log_uniform": [1e-3, 1.0], "when": {"loss.kind": "vae"}},
    "model.head": {"choice": [[], [8]], "when": {"model.kind": "jet-bottleneck"}},
    "model.latent_relu": {"choice": [True], "when": {"model.kind": ["node-bottleneck"]}},
}


def test_values_that_go_with_some_of_the_others_pass():
    refuse_unknown_keys(*swept(GOES_WITH))
    finite = {key: of for key, of in GOES_WITH.items() if key != "loss.beta"}
    refuse_unknown_keys(*swept(finite))


@pytest.mark.parametrize("endless", [False, True], ids=["finite", "endless"])
@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"model.latnt": {"choice": [1]}}, "key 'model.latnt'; did you mean 'model.latent'?"),
        ({"model.latent": {"choice": [1, 0]}}, "no trial can have model.latent = 0: model.latent"),
        (
            {"train.momentum": {"uniform": [0.5, 1.0]}},
            "train.momentum = 0.5: train: momentum goes with",
        ),
        ({"loss.kind": {"choice": ["mse", "vae"]}}, "loss.kind = 'vae': loss kl needs a post"),
        ({"loss.kind": {"choice": ["mse", "chamfr"]}}, "did you mean 'chamfer'?"),
        (
            {"model.latent": {"choice": [1], "when": {"model.knid": "x"}}},
            "model.latent: when: unknown key 'model.knid'; did you mean 'model.kind'?",
        ),
        (
            {"model.latent": {"choice": [1], "when": {"model.kind": "meta-layer"}}},
            "model.latent is set in no trial: its `when` never holds",
        ),
        (
            {
                "model.preset": {"choice": ["edgenet", "jet-dense"]},
                "model.head": {"choice": [[8]], "when": {"model.kind": "node-bottleneck"}},
            },
            "model.preset = 'edgenet': key 'model.head' doesn't go with this kind",
        ),
    ],
)
def test_values_that_go_with_none_of_the_others_are_refused(over, says, endless):
    more = {"train.learning_rate": {"log_uniform": [1e-4, 1e-2]}} if endless else {}
    with pytest.raises(JobError) as caught:
        refuse_unknown_keys(*swept({**over, **more}))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_condition_that_rarely_holds_is_met():
    over = {
        "train.optimizer": {"choice": ["adam", "adamw", "rmsprop", "sgd", "radam"]},
        "train.patience": {"uniform": [1, 5000], "when": {"train.optimizer": "sgd"}},
        "train.momentum": {"uniform": [0.0, 0.9], "when": {"train.patience": 77}},
    }
    refuse_unknown_keys(*swept(over))

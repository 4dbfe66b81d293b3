"""Searches against what they should find: all of a grid, what is new, the top of a hill."""

import itertools
import math
from statistics import median

import optuna
import pytest
from sweeps import space_of, swept

from raybead.config.dimension import canonical
from raybead.errors import JobError
from raybead.sweeping.proposers import Ledger, draws
from raybead.sweeping.search import proposer_of
from raybead.sweeping.trial_job import trial_job

FEW = {
    "model.latent": {"choice": [2, 3, 4]},
    "train.weight_decay": {"grid": [0.0, 1e-4]},
    "model.heads": {"choice": [1, 2], "when": {"model.latent": [2, 4]}},
}
HILL = {
    "train.learning_rate": {"log_uniform": [1e-5, 1.0]},
    "model.dropout": {"uniform": [0.0, 0.9]},
    "model.latent": {"uniform": [2, 40]},
    "model.preset": {"choice": ["edgenet", "jet-bottleneck", "jet-dense", "meta-layer"]},
}
HILL["model.dropout"]["when"] = {"model.preset": ["edgenet", "jet-bottleneck", "jet-dense"]}


def height(values):
    """Highest, 0, at a rate of 1e-3, a latent of 12, no dropout, and jet-dense."""
    rate = (math.log10(values["train.learning_rate"]) + 3) / 2
    latent = (values["model.latent"] - 12) / 15
    wrong = {"jet-dense": 0.0, "jet-bottleneck": 0.4}.get(values["model.preset"], 1.0)
    return -(rate**2) - latent**2 - values.get("model.dropout", 0.0) ** 2 - wrong


def same(_values):
    return 1.0


def run(proposer, objective=height, most=1000):
    """Trials one after another: their values and objectives."""
    found = []
    while len(found) < most and (values := proposer.propose()) is not None:
        found.append((values, objective(values)))
        proposer.tell(*found[-1])
    return found


def names(found):
    return [canonical(values) for values, _ in found]


@pytest.mark.parametrize("search", ["grid", "random", "tpe"])
def test_few_combinations_are_all_tried_once(search):
    sweep, raw = swept(FEW, search=search, trials=50)
    found = run(proposer_of(sweep, raw, 1), lambda values: values["model.latent"])
    expected = space_of(FEW).grid()
    assert len(expected) == 2 * (2 * 2 + 1)
    assert sorted(names(found)) == sorted(map(canonical, expected))
    if search == "grid":
        assert [values for values, _ in found] == expected


@pytest.mark.parametrize("search", ["grid", "random", "tpe"])
def test_there_are_as_many_trials_as_asked_for_and_a_rest_after_an_interruption(search):
    sweep, raw = swept(FEW, search=search, trials=6)
    before = run(proposer_of(sweep, raw, 1), same, most=4)
    outside = ({"model.latent": 99, "train.weight_decay": 0.0}, 5.0)
    failed = (before[0][0], None)
    after = run(proposer_of(sweep, raw, 1, [failed, *before[1:], outside]), same)
    assert len(before) == 4
    assert len(after) == 2
    assert len(set(names([*before, *after]))) == 6
    if search != "tpe":  # which goes by the order in which trials end
        whole = run(proposer_of(sweep, raw, 1), same)
        assert names([*before, *after]) == names(whole)


@pytest.mark.parametrize(("search", "number"), [("grid", 10), ("random", 16), ("tpe", 16)])
def test_unless_told_a_grid_is_whole_and_others_make_sixteen(search, number):
    over = FEW if search == "grid" else HILL
    sweep, raw = swept(over, search=search)
    assert len(run(proposer_of(sweep, raw, 0), same)) == number


REFUSED = {
    "loss.kind": {"choice": ["mse", "vae"]},
    "model.preset": {"choice": ["edgenet", "edgenet-vae", "jet-bottleneck-vae"]},
}


RATE = {"train.learning_rate": {"log_uniform": [1e-4, 1e-2]}}


@pytest.mark.parametrize(
    ("search", "endless"),
    [("grid", False), ("random", False), ("random", True), ("tpe", False), ("tpe", True)],
)
def test_what_no_job_can_be_is_told_and_counts_as_no_trial(search, endless):
    over = REFUSED | RATE if endless else REFUSED
    sweep, raw = swept(over, search=search, trials=12)
    proposer = proposer_of(sweep, raw, 4)
    found = run(proposer, same)
    fits = {("mse", "edgenet"), ("vae", "edgenet-vae"), ("vae", "jet-bottleneck-vae")}
    assert {(values["loss.kind"], values["model.preset"]) for values, _ in found} == fits
    assert len(found) == (12 if endless else 3)
    refused = [(one.values["loss.kind"], one.values["model.preset"]) for one in proposer.refused]
    every = set(itertools.product(*(of["choice"] for of in REFUSED.values())))
    assert set(refused) <= every - fits
    if not endless:
        assert sorted(refused) == sorted(every - fits)
    for one in proposer.refused:
        with pytest.raises(JobError) as caught:
            trial_job(raw, one.values)
        assert one.reason == str(caught.value)


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_a_search_that_finds_no_job_says_why(search):
    over = {"loss.kind": {"choice": ["kl"]}, "train.learning_rate": {"uniform": [0.1, 0.2]}}
    sweep, raw = swept(over, search=search)
    with pytest.raises(JobError, match=r"none of 1000 combinations .* kl needs a posterior"):
        proposer_of(sweep, raw, 4).propose()


def test_a_value_that_is_hardly_ever_drawn_is_tried_all_the_same():
    over = {
        "train.patience": {"uniform": [1, 600]},
        "model.latent": {"choice": list(range(50)), "when": {"train.patience": 123}},
    }
    space, ledger = space_of(over), Ledger(same, None)
    for values in draws(space, 0, ledger):
        ledger.take(values)
    assert ledger.taken == space.size == 599 + 50


@pytest.mark.parametrize("seed", [0, 1])
def test_a_search_of_one_seed_is_the_same_twice(seed):
    sweep, raw = swept(HILL, search="tpe", trials=20)
    one, other = (run(proposer_of(sweep, raw, seed)) for _ in range(2))
    assert one == other
    assert one != run(proposer_of(sweep, raw, seed + 10))


def test_estimators_climb_higher_than_chance():
    tops = {}
    for search in ("random", "tpe"):
        sweep, raw = swept(HILL, search=search, trials=40)
        tops[search] = [
            max(worth for _, worth in run(proposer_of(sweep, raw, seed))) for seed in range(7)
        ]
    assert median(tops["tpe"]) > median(tops["random"]) / 2  # heights are negative


def test_estimators_go_on_from_what_was_known():
    sweep, raw = swept(HILL, search="tpe", trials=30)
    known = run(proposer_of(sweep, raw, 3), most=25)
    after = [worth for seed in range(6) for _, worth in run(proposer_of(sweep, raw, seed, known))]
    begun = [worth for seed in range(6) for _, worth in run(proposer_of(sweep, raw, seed), most=5)]
    assert len(after) == len(begun) == 30
    assert median(after) > median(begun) / 2


def test_failures_are_avoided():
    def fails(values):
        return None if values["model.preset"] == "jet-dense" else height(values)

    sweep, raw = swept(HILL, search="tpe", trials=48)
    late = [
        worth for seed in range(3) for _, worth in run(proposer_of(sweep, raw, seed), fails)[24:]
    ]
    assert late.count(None) < 9  # of 72, of which chance would fail 18


def test_many_at_a_time_differ_and_come_back_in_any_order():
    sweep, raw = swept(HILL, search="tpe", trials=24)
    proposer = proposer_of(sweep, raw, 5)
    found, running = [], []
    while (values := proposer.propose()) is not None:
        running.append(values)
        if len(running) == 4:
            ended = running.pop(1)
            found.append((ended, height(ended)))
            proposer.tell(*found[-1])
    assert len({canonical(one) for one in running} | set(names(found))) == 24
    for values in running:
        proposer.tell(values, math.nan)


def test_optuna_keeps_quiet(capfd):
    sweep, raw = swept(HILL, search="tpe", trials=12)
    run(proposer_of(sweep, raw, 5))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING

"""``[[train.anneal]]`` and its neighbours in a job file."""

import pytest

from raybead.config import dump_job, parse_job, smallest_batch
from raybead.errors import JobError

JOB = """
name = "a"
[data.background]
source = "pythia"
events = 10
[data.search]
source = "lhco"
path = "x.h5"
[model]
variational = true
[[loss]]
kind = "mse"
[[loss]]
kind = "kl"
weight = 0.1
"""


def test_annealings_come_back_as_they_were_written():
    job = parse_job(
        JOB
        + """
[[train.anneal]]
target = "loss.kl.weight"
kind = "triggered"
values = [0, 0.01, 0.1]
on = "patience"
fraction = 0.3333333333333333
[[train.anneal]]
target = "train.learning_rate"
kind = "scheduled"
at = { 1 = 0.001, 11 = 1e-4 }
[[train.anneal]]
target = "train.batch_items"
kind = "constant-pace"
start = 64
end = 1024
epochs = 10
"""
    )
    assert parse_job(dump_job(job)) == job
    assert job.train.anneal[1].at == {1: 1e-3, 11: 1e-4}
    assert smallest_batch(job.train) == 64
    assert smallest_batch(parse_job(JOB).train) == 512


@pytest.mark.parametrize(
    ("anneal", "says"),
    [
        ("target='loss.emd.weight', start=0, end=1", "the job's loss has no emd; it has mse, kl"),
        ("target='loss.kl.temperature', start=1, end=2", "kl has no temperature"),
        ("target='loss.kl.beta', start=1, end=2", "train.anneal.0.target"),
        ("target='train.epochs', start=1, end=2", "what can be annealed is loss.<kind>.weight"),
        ("target='train.learning_rate', start=0, end=1", "has to be above 0"),
        ("target='train.batch_items', start=64, end=99.5", "a whole number of items"),
        ("target='train.batch_items', start=1, end=64", "2 or more"),
        ("target='loss.kl.weight', start=-1, end=1", "train.anneal.0.start"),
        ("target='loss.kl.weight', start=0, end=1, pace=2", "train.anneal.0.pace"),
    ],
)
def test_what_no_job_can_anneal_is_refused_in_a_line(anneal, says):
    with pytest.raises(JobError) as caught:
        parse_job(JOB, [f"train.anneal=[{{kind='constant-pace', epochs=4, {anneal}}}]"])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "train.anneal=[{kind='scheduled', target='loss.kl.weight', at={1=0}},"
            " {kind='scheduled', target='loss.kl.weight', at={2=0}}]",
            "loss.kl.weight stands there twice",
        ),
        ("train.anneal=[{kind='scheduled', target='loss.kl.weight', at={0=0}}]", "train.anneal.0"),
        ("train.anneal=[{kind='triggered', target='loss.kl.weight', values=[1]}]", "values"),
        ("train={optimizer='adam', momentum=0.5}", "momentum goes with sgd and rmsprop"),
        ("train.optimizer=nadam", "train.optimizer"),
    ],
)
def test_so_are_its_neighbours(override, says):
    with pytest.raises(JobError) as caught:
        parse_job(JOB, [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)

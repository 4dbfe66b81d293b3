"""Steps seen closely, against clocks, counts and sizes that are known otherwise."""

import time
from itertools import count, repeat

import pytest
import torch
from training_jobs import small_trainer, weights_of

from raybead.profiling.steps import profile_steps
from raybead.profiling.trace import PART, STEP, read_trace
from raybead.timing import Recording, timed
from raybead.timing import count as counted

CPU = torch.device("cpu")
ITEMS, IN, OUT = 64, 48, 32


def known_step(done):
    """Two parts of known times, one product of known operations, one tensor of known size."""

    def step():
        with timed("product"):
            time.sleep(0.01)
            torch.mm(torch.ones(ITEMS, IN), torch.ones(IN, OUT))
        with timed("memory"):
            kept = torch.zeros(2**18)
            with timed("within"):
                time.sleep(0.005)
            del kept
        time.sleep(0.002)
        counted("items_trained", ITEMS)
        done.append(time.perf_counter())

    return step


@pytest.fixture(scope="module")
def known():
    done = []
    began = time.perf_counter()
    seen = profile_steps(repeat(known_step(done)), 4, 2, CPU)
    return seen, done, time.perf_counter() - began


def test_all_steps_are_counted(known):
    seen, done, _ = known
    assert len(done) == 2 + 3 * 4
    assert [len(kind) for kind in (seen.plain, seen.parted, seen.traced)] == [4, 4, 4]
    assert seen.as_dict()["counts"] == {"items_trained": 4 * ITEMS}
    assert {name: part.calls for name, part in seen.parts.items() if name != "other"} == {
        "product": 4, "memory": 4, "within": 4,
    }  # fmt: skip
    names = [e["name"] for e in read_trace(seen.trace) if e.get("cat") == "user_annotation"]
    assert names.count(STEP) == names.count(f"{PART}within") == 4


def test_parts_add_up_by_either_clock(known):
    seen, _, wall = known
    parts = sum(part.seconds for part in seen.parts.values())
    # A recording is around the clock that a step is timed by, and little else is.
    assert sum(seen.parted) <= parts == pytest.approx(sum(seen.parted), rel=0.03)
    traced = sum(part.seconds for part in seen.traces.values())
    assert traced == pytest.approx(sum(seen.traced), rel=0.05)
    assert sum([*seen.plain, *seen.parted, *seen.traced]) <= wall
    # Whatever else the machine does, no part takes less than it slept.
    for name, least in (("product", 0.01), ("within", 0.005), ("other", 0.002)):
        assert seen.parts[name].seconds >= 4 * least
        assert seen.traces[name].seconds >= 4 * least * 0.99
    assert seen.traces.keys() == seen.parts.keys()


def test_operations_memory_and_operators_are_those_that_were_done(known):
    seen, _, _ = known
    products = next(one for one in seen.operators if one.name == "aten::mm")
    assert products.calls == 4
    assert products.flops == 4 * 2 * ITEMS * IN * OUT == seen.as_dict()["flops"]
    assert products.shapes == f"{ITEMS}x{IN}, {IN}x{OUT}"
    assert seen.traces["within"].peak_bytes == seen.traces["memory"].peak_bytes == 4 * 2**18
    assert seen.traces["product"].peak_bytes == 4 * (ITEMS * IN + IN * OUT + ITEMS * OUT)
    told = seen.as_dict()
    # torch's operators lie within the steps, one after another in one thread.
    assert 0 < told["operator_seconds"] <= sum(seen.traced)
    assert not [one.name for one in seen.operators if one.name.startswith((PART, STEP, "["))]
    assert told["device_seconds"] == 0


def steps_of(trainer):
    for epoch in count():
        yield from trainer.steps(epoch)


def test_a_training_has_its_parts_and_nothing_else_of_note(event_rows):
    trainer = small_trainer(event_rows)
    seen = profile_steps(steps_of(trainer), 5, 1, CPU)
    assert seen.parts.keys() == {
        "batch", "transfer", "forward", "loss", "backward", "optimizer", "sums", "other",
    }  # fmt: skip
    assert seen.parts.keys() == seen.traces.keys()
    assert {part.calls for part in seen.parts.values()} == {5}
    # An epoch cuts its items into batches of nearly one size: 16 at most.
    assert 5 * 8 < seen.counts["items_trained"] <= 5 * 16
    forward, batch = seen.traces["forward"].peak_bytes, seen.traces["batch"].peak_bytes
    assert forward > batch > 0
    assert any(one.name == "aten::addmm" and one.flops for one in seen.operators)


def test_steps_that_are_looked_at_are_those_of_a_training(event_rows):
    """As many of them as an epoch has leave the weights where the epoch leaves them."""
    trained, stepped, watched = (small_trainer(event_rows) for _ in range(3))
    next(trained.epochs())
    plain = [step() for step in stepped.steps(0)]
    with Recording() as recording:
        parted = [step() for step in watched.steps(0)]
    assert recording.parts["forward"].calls == len(plain)
    torch.testing.assert_close(weights_of(stepped), weights_of(trained), rtol=0, atol=0)
    torch.testing.assert_close(weights_of(watched), weights_of(trained), rtol=0, atol=0)
    torch.testing.assert_close(torch.stack(parted), torch.stack(plain), rtol=0, atol=0)


def test_an_evaluation_stays_one_part(event_rows):
    trainer = small_trainer(event_rows)
    with Recording() as recording:
        trainer.evaluate(trainer.split.validation)
    assert recording.parts.keys() == {"other"}

"""A training on two processes against one with all the batch."""

from training_jobs import GAUSSIAN, MSE, assert_two_equal_one

from raybead.config import KlLoss

KL = KlLoss(kind="kl", weight=0.1)


def test_two_workers_equal_one_while_weights_and_batches_move(event_rows, tmp_path):
    """At first nothing is compared: the decoder has no gradient, which workers wait for."""
    anneal = [
        {"target": "loss.mse.weight", "kind": "scheduled", "at": {1: 0.0, 2: 1.0}},
        {"target": "train.batch_items", "kind": "scheduled", "at": {2: 33}},
    ]
    assert_two_equal_one(tmp_path, event_rows, (MSE, KL), GAUSSIAN, anneal=anneal, clip_norm=0.5)

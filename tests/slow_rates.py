"""Rates of scores, the slow obvious way."""

from sklearn.metrics import roc_curve


def fpr_by_hand(truth, value, weight, level):
    """The ROC curve's false positive rate where it first reaches a signal efficiency."""
    fpr, tpr, _ = roc_curve(truth, value, sample_weight=weight, drop_intermediate=False)
    for i in range(1, len(fpr)):
        if tpr[i] >= level - 1e-9:
            share = min(1.0, (level - tpr[i - 1]) / (tpr[i] - tpr[i - 1]))
            return fpr[i - 1] + share * (fpr[i] - fpr[i - 1])
    raise AssertionError

"""Quantities that a sweep can't be judged by."""

import pytest
from judged import sweep

from raybead.config import Hunt
from raybead.config.sweep_rules import KNOWN, refuse_unknown


def test_all_that_is_known_is_taken():
    refuse_unknown(sweep(*KNOWN, evaluation=True), Hunt())
    refuse_unknown(sweep("corruption", also=("stability",)), Hunt())


def test_masses_only_matter_to_the_reach():
    narrow = Hunt(mass_window=(3147.0, 4171.0))
    refuse_unknown(sweep(), narrow)
    with pytest.raises(ValueError, match=r"sweep.masses: 3000 GeV isn't in hunt.mass_window"):
        refuse_unknown(sweep("reach"), narrow)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (sweep("corruptoin"), "no quantity is called 'corruptoin'; did you mean 'corruption'?"),
        (sweep("zzz"), "no quantity is called 'zzz'; there are corruption, corruption-shuffle"),
        (sweep(also=("Stabilty",)), "did you mean 'stability'"),
        (sweep("auc"), "'auc' looks at truth; that takes sweep.evaluation = true"),
        (sweep(also=("sic",)), "'sic' looks at truth"),
        (sweep("corruption-shuffle", corruptions=("two-prong",)),
         "'corruption-shuffle' needs 'shuffle' among sweep.corruptions, which are two-prong"),
        (sweep("reach", corruptions=("shuffle",)), "'reach' needs 'two-prong' among"),
        (sweep().model_copy(update={"objective": {}}), "sweep.objective: nothing counts"),
        (sweep().model_copy(update={"objective": {"reach": 0.0}}), "nothing counts"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_said(asked, said):
    with pytest.raises(ValueError, match="sweep") as raised:
        refuse_unknown(asked, Hunt())
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)

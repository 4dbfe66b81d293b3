"""What a sweep can't ask of its job's hunt."""

import pytest
from judged import sweep

from raybead.config import Hunt, Train
from raybead.config.sweep_rules import refuse_misfit_sweep


def test_masses_only_matter_to_the_reach():
    narrow = Hunt(mass_window=(3147.0, 4171.0))
    refuse_misfit_sweep(sweep(), Train(), narrow)
    refuse_misfit_sweep(sweep("reach"), Train(), Hunt())
    with pytest.raises(ValueError, match=r"sweep.masses: 3000 GeV isn't in hunt.mass_window"):
        refuse_misfit_sweep(sweep("reach"), Train(), narrow)


def test_a_reach_is_of_two_prong_jets():
    without = sweep("reach", corruptions=("shuffle",))
    with pytest.raises(ValueError, match=r"'reach' needs 'two-prong' among sweep.corruptions"):
        refuse_misfit_sweep(without, Train(), Hunt())

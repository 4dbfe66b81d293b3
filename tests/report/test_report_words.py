"""Claims follow from p-values, and from nothing else."""

# ruff: noqa: RUF001  # signs of the page
from __future__ import annotations

import pytest

from raybead.report.figures.gains import score_label
from raybead.report.numbers import sigmas
from raybead.report.words import SCORE_NAMES, background_description, learned, verdict
from raybead.scoring import SCORED


def found(make_result, p, significance, *, resolved=True, agreement=None):
    result = make_result()
    result["conclusion"] |= {"p": p, "significance": significance, "resolved": resolved}
    if agreement:
        result["cuts"][0]["background"]["agreement"] = agreement
    return verdict(result)


@pytest.mark.parametrize(
    ("p", "significance", "regime", "said"),
    [
        (0.4, 0.3, "none", "no significant excess"),
        (0.051, 1.6, "none", "no significant excess"),
        (0.02, 2.1, "mild", "one in 50"),
        (1e-3, 3.1, "evidence", "not a discovery"),
        (1e-7, 5.2, "discovery", "as far as the background is understood"),
    ],
)
def test_wording_by_significance(make_result, p, significance, regime, said):
    words = found(make_result, p, significance)
    text = " ".join(words.sentences)
    assert words.regime == regime
    assert said in text
    assert "bounded" not in text
    assert f"({significance}\N{NO-BREAK SPACE}σ)" in text


@pytest.mark.parametrize(
    ("z", "text"),
    [
        (4.94, "4.9"),
        (4.95001, "4.95"),
        (4.9999, "4.99"),
        (5.0, "5.0"),
        (2.97, "2.97"),
        (3.97, "4.0"),
    ],
)
def test_no_significance_is_rounded_up_to_a_claim(z, text):
    assert sigmas(z) == text


def test_no_weaker_regime_claims_evidence_or_discovery(make_result):
    assert "evidence" not in " ".join(found(make_result, 0.4, 0.3).sentences)
    assert "discovery" not in " ".join(found(make_result, 0.02, 2.1).sentences)


@pytest.mark.parametrize(("p", "z", "regime"), [(0.02, 2.1, "mild"), (1e-3, 3.1, "evidence")])
def test_a_bound_is_called_one(make_result, p, z, regime):
    words = found(make_result, p, z, resolved=False)
    text = " ".join(words.sentences)
    assert words.regime == regime
    assert "≤" in text
    assert f"at least {z}" in text
    assert "bounded by their number alone" in text
    assert "not a discovery" not in text


def test_too_few_toys_decide_nothing(make_result):
    words = found(make_result, 0.2, 0.8, resolved=False)
    assert words.regime == "undecided"
    assert "no significant excess" not in " ".join(words.sentences)


def test_the_window_and_its_excess_are_told(make_result):
    text = found(make_result, 0.4, 0.3).sentences[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "3416–3704 GeV" in text
    assert "excess of 61 ± 11" in text


def test_a_poor_background_is_told_with_every_claim(make_result):
    poor = {"chi2": 57.2, "ndf": 13, "p": 1.6e-7}
    words = found(make_result, 1e-7, 5.2, agreement=poor)
    assert "poor background description" in words.headline
    assert "can't be taken at face value" in words.sentences[-1]


@pytest.mark.parametrize(
    ("ndf", "p", "said"),
    [(7, 0.38, "well"), (7, 0.03, "only fairly"), (7, 0.001, "doesn't"), (0, 1.0, "too few")],
)
def test_background_description(ndf, p, said):
    assert said in background_description({"chi2": 9.0, "ndf": ndf, "p": p})


@pytest.mark.parametrize(
    ("width", "moment", "said"),
    [
        (0.03, 0.02, "beats the no-learning controls"),
        (0.03, 0.001, "isn't distinguishably better"),
        (0.03, -0.02, "doesn't beat the no-learning controls: mean (pT ΔR)² separates"),
    ],
)
def test_whether_the_model_learned_something(make_result, width, moment, said):
    evaluation = make_result()["evaluation"]
    for name, gain in (("control_width", width), ("control_moment", moment)):
        evaluation["scores"][name]["gain"]["auc"] |= {"value": gain, "error": 0.005}
    assert said in learned(evaluation)[0]


def test_the_best_control_is_named_with_the_gain_over_it(make_result):
    scores = make_result()["evaluation"]["scores"]
    for number, (key, score) in enumerate(scores.items()):
        score["auc"], score["sic"] = (0.9, 1.0 + number) if key == "control_mass" else (0.8, 0.5)
    scores["control_tau21"]["sic"] = 9.0
    scores["control_mass"]["gain"]["auc"] = {"value": 0.03, "error": 0.005, "without": 0.002}
    scores["control_tau21"]["gain"]["sic"] = {"value": -0.25, "error": 0.11, "without": 0.95}
    told = {"scores": scores, "replicas": 2000}
    _, auc, sic = (said.replace("\N{NO-BREAK SPACE}", " ") for said in learned(told))
    assert "AUC the model gains 0.0300 ± 0.0050 over the best control, jet mass" in auc
    assert "no gain in 0.2 % of" in auc
    scores["control_mass"]["gain"]["auc"]["without"] = 0.0
    assert "it gains in every one of the bootstrap's 2000 replicas" in learned(told)[1]
    assert "the model loses 0.25 ± 0.11 to the best control, τ₂₁" in sic


def test_every_score_has_a_name():
    assert set(SCORED) == set(SCORE_NAMES)
    assert all("control" not in score_label(key) for key in SCORED)

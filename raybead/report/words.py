"""What was found, in sentences a physicist would use; nothing is claimed beyond the p-value."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raybead.config import (
    BeadCsvSource,
    LhcoSource,
    ParquetSource,
    PythiaSource,
    RootSource,
    SignalShape,
    Source,
)
from raybead.report.numbers import GLUE, events, gev, p_value, percent, sigmas, with_error

Regime = Literal["none", "undecided", "mild", "evidence", "discovery"]

HEADLINES: dict[Regime, str] = {
    "none": "No significant excess",
    "undecided": "Undecided: too few pseudo-experiments",
    "mild": "A mild excess, short of evidence",
    "evidence": "An excess at the level of evidence",
    "discovery": "An excess at the level of a discovery",
}
BOUNDED = (
    "None of the pseudo-experiments reached the data, so p is bounded by their number alone; more"
    " of them (hunt.toys) would tell how far below the bound it lies."
)
POOR, FAIR = 0.01, 0.05
"""p-values below which a prediction describes the outliers badly, or only fairly."""
SCORE_NAMES = {
    "score": "model",
    "control_width": "pT-weighted spread",
    "control_constant": "loss of a constant",
    "control_moment": "mean (pT ΔR)²",
    "control_mass": "jet mass",
    "control_tau21": "τ₂₁",
    "control_multiplicity": "multiplicity",
}


@dataclass(frozen=True)
class Verdict:
    """What a hunt's result amounts to."""

    regime: Regime
    headline: str
    sentences: tuple[str, ...]


def verdict(result: Mapping[str, Any]) -> Verdict:
    """The hunt's result in words.

    Args:
        result: of the hunt: ``cuts``, ``conclusion``.
    """
    conclusion = result["conclusion"]
    best = result["cuts"][conclusion["best_cut"]]
    regime = _regime(conclusion)
    agreement = best["background"]["agreement"]
    headline = HEADLINES[regime]
    if regime != "none" and agreement["ndf"] and agreement["p"] < POOR:
        headline += ", but a poor background description"
    return Verdict(
        regime,
        headline,
        _unbroken(
            _window(best, conclusion),
            _significance(best, conclusion),
            _meaning(regime, conclusion),
            background_description(agreement),
        ),
    )


def _unbroken(*sentences: str) -> tuple[str, ...]:
    # No line ends between a number and its σ, or between p and what it is.
    return tuple(
        sentence.replace(" σ", f"{GLUE}σ")
        .replace(" p =", f" p{GLUE}=")
        .replace(" p ≤", f" p{GLUE}≤")
        for sentence in sentences
    )


def _regime(conclusion: Mapping[str, Any]) -> Regime:
    if conclusion["p"] > 0.05:
        return "none" if conclusion["resolved"] else "undecided"
    if conclusion["significance"] >= 5:
        return "discovery"
    return "evidence" if conclusion["significance"] >= 3 else "mild"


def _window(best: Mapping[str, Any], conclusion: Mapping[str, Any]) -> str:
    window = conclusion["window"]
    return (
        f"The most significant window is {gev(window['low'], window['high'])}, among the"
        f" {events(best['events']['outliers'])} outliers of the {percent(best['cut'])} quantile"
        f" cut: {events(window['observed'])} events where"
        f" {with_error(window['expected'], window['expected_error'])} are expected, an excess of"
        f" {with_error(window['excess'], window['excess_error'])}."
    )


def _significance(best: Mapping[str, Any], conclusion: Mapping[str, Any]) -> str:
    looks, resolved = conclusion["looks"], conclusion["resolved"]
    looked = (
        "one look was taken" if looks == 1
        else f"{looks} looks were taken, and each is counted"
    )  # fmt: skip
    least = "" if resolved else "at least "
    return (
        f"Its local significance is {sigmas(best['local']['significance'])} σ. Globally, for a"
        f" bump anywhere in the mass window, p {p_value(conclusion['p'], bound=not resolved)}"
        f" ({least}{sigmas(conclusion['significance'])} σ); {looked}."
    )


def _meaning(regime: Regime, conclusion: Mapping[str, Any]) -> str:
    resolved = conclusion["resolved"]
    match regime:
        case "none":
            said = (
                "The data agree with background alone: there is no significant excess, and the"
                " window above is merely the largest fluctuation."
            )
        case "undecided":
            said = "Nothing can be claimed."
        case "mild" if resolved:
            said = (
                "The excess is too small to be called evidence (3 σ): of hunts like this one"
                f" without a signal, one in {1 / conclusion['p']:.0f} finds as much."
            )
        case "mild":
            said = "The excess can't be called evidence (3 σ) yet."
        case "evidence":
            more = (
                ", and not a discovery (5 σ)" if resolved
                else "; whether it is a discovery (5 σ) isn't resolved"
            )  # fmt: skip
            said = f"By the usual convention this is evidence (3 σ) of an excess{more}."
        case "discovery":
            said = (
                "By the usual convention this passes the threshold of a discovery (5 σ), as far"
                " as the background is understood."
            )
    return said if resolved else f"{said} {BOUNDED}"


def background_description(agreement: Mapping[str, Any]) -> str:
    """How well the prediction describes outliers away from the window, and what follows."""
    ndf, p = agreement["ndf"], agreement["p"]
    if ndf == 0:
        return "Away from the window too few events are expected to check the background."
    quoted = f"(χ²/ndf = {agreement['chi2']:.1f}/{ndf}, p {p_value(p)})"
    if p >= FAIR:
        return f"Away from the window the prediction describes the outliers well {quoted}."
    if p >= POOR:
        return f"Away from the window the prediction describes the outliers only fairly {quoted}."
    return (
        f"Away from the window the prediction doesn't describe the outliers {quoted}: the"
        " significance can't be taken at face value before that is understood."
    )


def calibrated(calibration: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Whether this hunt's p-values were shown to be what they say."""
    if calibration is None:
        return (
            "With these settings the hunt hasn't been calibrated: raybead calibrate repeats it on"
            " pseudo-data without a signal, and says how often it raises a false alarm.",
        )
    summary = calibration["summary"]
    return _unbroken(
        f"{summary['words']} The hunt was repeated on {calibration['sets']} sets of pseudo-data"
        f" made of the {calibration['sample']} sample; Kolmogorov–Smirnov against uniform: p"
        f" {p_value(summary['ks'])}."
    )


def calibrated_in_short(calibration: Mapping[str, Any] | None) -> tuple[str, str]:
    """The same in a word or two, and the class that it is shown in."""
    if calibration is None:
        return "not checked", "mark"
    known = {
        "calibrated": ("yes", "good"),
        "conservative": ("conservative", ""),
        "anti-conservative": ("no: p too small", "mark"),
        "undecided": ("not told: sets too large", "mark"),
    }
    return known[calibration["summary"]["verdict"]]


def counted(conclusion: Mapping[str, Any]) -> str:
    """How looks were put together."""
    if conclusion["looks"] == 1:
        return ""
    return (
        "The pseudo-experiments of all looks are made together, so that looks that see the same"
        " events count as less than as many independent ones (Bonferroni's bound would be p"
        f" {p_value(conclusion['bonferroni'], bound=not conclusion['resolved'])})."
    )


def observable_name(observable: str) -> str:
    """What is hunted in, in words."""
    named = {
        "mjj": "the dijet mass",
        "mj1": "the leading jet's mass",
        "mj2": "the second jet's mass",
    }
    return named.get(observable, observable)


def observable_sign(observable: str) -> str:
    """The same as an axis says it."""
    known = {"mjj": r"$m_{jj}$", "mj1": r"$m_{j1}$", "mj2": r"$m_{j2}$"}
    return known.get(observable, observable)


def peak_shape(signal: SignalShape) -> str:
    """What the likelihood scan looks for."""
    if signal.shape == "sample":
        return "the simulated signal's shape"
    return f"Gaussian shape, {percent(signal.width)} of its mass wide"


def learned(evaluation: Mapping[str, Any]) -> tuple[str, ...]:
    """Whether the learned score separates better than the controls, by paired differences."""
    model, *controls = evaluation["scores"].items()
    if not controls:
        return (f"The model's AUC is {with_error(model[1]['auc'], model[1]['auc_error'])}.",)
    gains = {key: control["gain"]["auc"] for key, control in controls}
    behind = [key for key, gain in gains.items() if gain["value"] < -2 * gain["error"]]
    if behind:
        said = (
            "The learned score doesn't beat the no-learning controls:"
            f" {' and '.join(score_name(key) for key in behind)}"
            f" {'separates' if len(behind) == 1 else 'separate'} signal better."
        )
    elif all(gain["value"] > 2 * gain["error"] for gain in gains.values()):
        said = "The learned score beats the no-learning controls."
    else:
        said = "The learned score isn't distinguishably better than the no-learning controls."
    return (
        said,
        _over_the_best(evaluation, "auc", "AUC"),
        _over_the_best(evaluation, "sic", "maximum TPR/√FPR"),
    )


def _over_the_best(evaluation: Mapping[str, Any], measure: str, called: str) -> str:
    """The model's gain over the control that is best by a measure."""
    _, *controls = evaluation["scores"].items()
    best, control = max(controls, key=lambda item: item[1][measure])
    gain = control["gain"][measure]
    ahead = gain["value"] >= 0
    return (
        f"In {called} the model {'gains' if ahead else 'loses'}"
        f" {with_error(abs(gain['value']), gain['error'])}"
        f" {'over' if ahead else 'to'} the best control, {score_name(best)}; it"
        f" {_of_replicas(gain['without'], evaluation['replicas'])}."
    )


def _of_replicas(share: float, replicas: int) -> str:
    if share > 0:
        return f"has no gain in {percent(share)} of the bootstrap's replicas"
    return f"gains in every one of the bootstrap's {replicas} replicas"


def score_name(key: str) -> str:
    """What an event score is called on the page."""
    return SCORE_NAMES.get(key, key)


def sources_in_words(sources: Sequence[Source]) -> str:
    """Where a sample comes from."""
    return "; ".join(source_in_words(source) for source in sources)


def source_in_words(source: Source) -> str:
    """Where events come from."""
    match source:
        case LhcoSource():
            rows = "" if source.start == 0 and source.stop is None else (
                f", rows {source.start} to {'the end' if source.stop is None else source.stop}"
            )  # fmt: skip
            return f"{', '.join(source.paths)} (LHC Olympics layout{rows})"
        case BeadCsvSource():
            return f"{', '.join(source.paths)} (event CSV)"
        case ParquetSource():
            return f"{', '.join(source.paths)} (Parquet)"
        case RootSource():
            return f"{', '.join(source.paths)} (ROOT)"
        case PythiaSource():
            signal = source.resonance
            mixed = (
                f", {percent(source.signal_fraction)} of them a resonance of"
                f" {signal.mass:.0f} → {signal.mass_x:.0f} + {signal.mass_y:.0f} GeV"
                if source.signal_fraction > 0 else ""
            )  # fmt: skip
            return f"{source.events} events of Pythia 8, seed {source.seed}{mixed}"

"""What was found of the drift between the samples, in words."""

# signs that readers know: ≤

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raybead.report.numbers import GLUE, percent

Feature = Mapping[str, Any]
Words = Callable[[Feature], str]
"""What a feature is called."""


def compared(drift: Mapping[str, Any]) -> list[Feature]:
    """The features that both samples have enough of."""
    return [one for one in drift["features"] if one["p"] is not None]


def drift_in_words(drift: Mapping[str, Any], words: Words) -> str:
    """How many features differ, and which.

    Args:
        drift: what ``raybead.diagnostics.feature_drift`` found.
        words: what a feature is called.
    """
    known, lacking = compared(drift), len(drift["features"]) - drift["looked_at"]
    if not known:
        return (
            f"None of the {lacking} features and observables could be looked at: a sample has"
            " fewer than two events with them, or no weight. Whether any drifts isn't known."
        )
    looked = (
        "1 feature or observable was looked at" if len(known) == 1
        else f"{len(known)} features and observables were looked at"
    )  # fmt: skip
    if lacking:
        looked += f", {lacking} couldn't be"
    level = f"at {percent(drift['level'])}, corrected for that many looks (Holm)"
    differ = [one for one in known if one["name"] in drift["differ"]]
    if not differ:
        return f"{looked}; none differs between background and search sample {level}."
    told = ", ".join(
        f"{words(one)} ({adjusted_p(one, drift)})"
        for one in sorted(differ, key=lambda one: -one["distance"])
    )
    return (
        f"{looked}; {len(differ)} differ{'s' if len(differ) == 1 else ''} between background and"
        f" search sample {level}: {told}. What differs may be the modelling of the background,"
        " the selection, or a signal."
    )


def adjusted_p(one: Feature, drift: Mapping[str, Any]) -> str:
    """The corrected p-value with its sign of relation; a bound where no draw lay as far apart."""
    floored = [other["p_adjusted"] for other in compared(drift) if _is_bound(other, drift)]
    # Holm's are no smaller than that of a smaller p, so a bound may be passed on.
    bound = one["p_adjusted"] <= max(floored, default=0.0)
    return f"p{GLUE}{'≤' if bound else '='}{GLUE}{one['p_adjusted']:.2g}"


def p_of_one_look(one: Feature, drift: Mapping[str, Any]) -> str:
    """The same of this feature alone."""
    return f"p{GLUE}{'≤' if _is_bound(one, drift) else '='}{GLUE}{one['p']:.2g}"


def _is_bound(one: Feature, drift: Mapping[str, Any]) -> bool:
    return one["p"] <= (1 + 1e-9) / (1 + drift["draws"])


def events_in_words(known: Sequence[Feature], words: Words) -> str:
    """How many events of either sample the distributions are of; not all are of as many."""
    pairs = [tuple(one[role]["events"] for role in ("background", "search")) for one in known]
    ((usual, _),) = Counter(pairs).most_common(1)
    others = {words(one): pair for one, pair in zip(known, pairs, strict=True) if pair != usual}
    told = f"{usual[0]} background events and {usual[1]} of the search sample"
    if not others:
        return told
    each = "; ".join(f"{name}: {ours} and {theirs}" for name, (ours, theirs) in others.items())
    return f"{told} ({each})"

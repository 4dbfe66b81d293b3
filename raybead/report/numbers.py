"""Numbers as text."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


GLUE = "\N{NO-BREAK SPACE}"
"""A space at which no line ends."""


def p_value(p: float, *, bound: bool = False) -> str:
    """A p-value with its sign of relation, as ``= 0.012`` or ``≤ 3.0 × 10⁻⁴``.

    Args:
        p: the p-value.
        bound: whether it is only known from above, no pseudo-experiment having reached the data.
    """
    if p >= 0.001:
        text = f"{p:.2g}"
    else:
        digits, _, power = f"{p:.1e}".partition("e")
        text = f"{digits}{GLUE}×{GLUE}10{str(int(power)).translate(SUPERSCRIPT)}"
    return f"{'≤' if bound else '='}{GLUE}{text}"


def events(n: float) -> str:
    """A number of events: a count as it is, a sum of weights to four digits or to whole ones."""
    if isinstance(n, int) or n == 0:
        return str(n)
    decimals = max(0, 3 - math.floor(math.log10(abs(n))))
    return f"{n:.{decimals}f}".replace("-", "−")


def thousands(n: float) -> str:
    """The same, its thousands set apart."""
    whole, point, rest = events(n).partition(".")
    head, digits = ("−", whole[1:]) if whole.startswith("−") else ("", whole)
    return f"{head}{int(digits):,}".replace(",", "\N{NARROW NO-BREAK SPACE}") + point + rest


def with_error(value: float, error: float) -> str:
    """``value ± error``, both to the second significant digit of the error."""
    if error <= 0 or not math.isfinite(error):
        return f"{value:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f}{GLUE}±{GLUE}{error:.{decimals}f}".replace("-", "−")


def mass(best: Mapping[str, Any]) -> str:
    """A fitted mass [GeV] with its error, the mean of both sides, as far as they are known."""
    errors = [best[side] for side in ("mass_low", "mass_high") if best[side] is not None]
    return with_error(best["mass"], sum(errors) / len(errors) if errors else 0.0)


def significance(p: float) -> float:
    """One-sided significance in standard deviations; 0 for p-values of a half and above."""
    return max(0.0, -NormalDist().inv_cdf(min(max(p, 1e-300), 0.5)))


def sigmas(z: float) -> str:
    """A significance to a decimal; never rounded up to the 3 or 5 that a claim needs."""
    if any(z < claim <= round(z, 1) for claim in (3, 5)):
        return f"{math.floor(100 * z) / 100:.2f}"
    return f"{z:.1f}"


def gev(low: float, high: float) -> str:
    """A range of masses in GeV."""
    return f"{low:.0f}–{high:.0f}{GLUE}GeV"


def at_least(low: float) -> str:
    """A number that is only known from below: two digits of a small one, whole large ones."""
    return f"{low:.2g}" if low < 100 else f"{low:.0f}"


def no_gain(share: float, replicas: int | None = None) -> str:
    """A share of a bootstrap's replicas; of none of them only that it is less than one in all."""
    if share > 0:
        return percent(share)
    return f"<{GLUE}{percent(1 / replicas)}" if replicas else "none"


def percent(share: float) -> str:
    """A share as per cent, without digits that say nothing."""
    return f"{100 * share:.4g}{GLUE}%"

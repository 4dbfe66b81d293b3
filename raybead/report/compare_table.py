"""The table of a comparison: a row a quantity, a column a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from raybead.report.compare_words import ABSENT, loss_groups, loss_in_words, model_in_words
from raybead.report.compared import Run
from raybead.report.hunted import Hunted, Rejection
from raybead.report.numbers import (
    at_least,
    events,
    gev,
    p_value,
    percent,
    sigmas,
    thousands,
    with_error,
)


@dataclass(frozen=True)
class Row:
    """One quantity of all runs, as text; absent ones are a dash."""

    name: str
    cells: tuple[str, ...]
    truth: bool = False
    """Whether truth was looked at for it."""

    @property
    def is_empty(self) -> bool:
        return all(cell == ABSENT for cell in self.cells)


def table_of(runs: Sequence[Run]) -> list[Row]:
    """The table; quantities that no run has aren't in it."""
    return [row for row in _rows(runs) if not row.is_empty]


def _rows(runs: Sequence[Run]) -> Iterator[Row]:
    def row(name: str, of: Callable[[Run], str | None], *, truth: bool = False) -> Row:
        return Row(name, tuple(of(run) or ABSENT for run in runs), truth)

    groups = loss_groups(runs)
    yield row("Model", lambda run: model_in_words(run.job))
    yield row("Loss", lambda run: loss_in_words(run.job))
    yield row("Parameters", _parameters)
    yield row("Best epoch", _best_epoch)
    yield row("Validation loss", lambda run: _validation(run, groups))
    yield row("Search events", _searched)
    yield row("Most significant window", lambda run: _told(run, _window))
    yield row("Observed there", lambda run: _told(run, _observed))
    yield row("Expected there", lambda run: _told(run, _expected))
    yield row("Global p-value", lambda run: _told(run, _p))
    yield row("Significance", lambda run: _told(run, _significance))
    yield row("Looks counted", lambda run: _told(run, lambda h: str(h.conclusion.looks)))
    yield row("Best cut", lambda run: run.best_cut and f"{percent(run.best_cut.cut)} quantile")
    yield row("Limit, observed", lambda run: _limit(run, "observed"))
    yield row("Limit, expected", lambda run: _limit(run, "expected"))
    yield row("AUC", lambda run: run.evaluation and with_error(
        run.evaluation.of_model.auc, run.evaluation.of_model.auc_error), truth=True)  # fmt: skip
    yield row("Maximum TPR/√FPR", lambda run: run.evaluation and with_error(
        run.evaluation.of_model.sic, run.evaluation.of_model.sic_error), truth=True)  # fmt: skip
    levels = sorted({r.efficiency for run in runs for r in _rejections(run)})
    for level in levels:
        yield row(
            f"1/FPR at {percent(level)} TPR", lambda run, level=level: _rejection(run, level),
            truth=True,
        )  # fmt: skip
    yield row("Signal that the best cut keeps", _kept, truth=True)
    yield row("Time to train", lambda run: _seconds(run.seconds.get("model")))
    yield row("Time in all", lambda run: _seconds(sum(run.seconds.values()) or None))


def _parameters(run: Run) -> str | None:
    return None if run.parameters is None else thousands(run.parameters)


def _best_epoch(run: Run) -> str | None:
    if not run.history:
        return None
    best = max((r.epoch for r in run.history if r.best), default=run.history[-1].epoch)
    return f"{best + 1} of {len(run.history)}"


def _validation(run: Run, groups: dict[str, str]) -> str | None:
    if not run.history:
        return None
    best = [record.validation for record in run.history if record.best]
    # With one letter in all there is nothing to tell apart.
    letter = f" ({groups[run.name]})" if len(set(groups.values())) > 1 else ""
    return f"{(best or [run.history[-1].validation])[-1]:.4g}{letter}"


def _searched(run: Run) -> str | None:
    return thousands(len(run.scores["search"])) if run.scores else None


def _told(run: Run, what: Callable[[Hunted], str]) -> str | None:
    return None if run.hunted is None else what(run.hunted)


def _window(hunted: Hunted) -> str:
    return gev(hunted.conclusion.window.low, hunted.conclusion.window.high)


def _observed(hunted: Hunted) -> str:
    return events(hunted.conclusion.window.observed)


def _expected(hunted: Hunted) -> str:
    return with_error(hunted.conclusion.window.expected, hunted.conclusion.window.expected_error)


def _p(hunted: Hunted) -> str:
    found = hunted.conclusion
    return p_value(found.p, bound=not found.resolved).removeprefix("=").strip()


def _significance(hunted: Hunted) -> str:
    found = hunted.conclusion
    return f"{'' if found.resolved else '≥ '}{sigmas(found.significance)} σ"  # noqa: RUF001


def _limit(run: Run, which: str) -> str | None:
    cut = run.best_cut
    if cut is None or cut.limits is None:
        return None
    value, luminosity = getattr(cut.limits.at_best, which), cut.limits.luminosity
    return f"{value / luminosity:.3g} fb" if luminosity else f"{value:.3g} events"


def _rejections(run: Run) -> list[Rejection]:
    return [] if run.evaluation is None else run.evaluation.of_model.rejection


def _rejection(run: Run, level: float) -> str | None:
    for found in _rejections(run):
        if found.efficiency != level:
            continue
        if found.value is None or found.error is None:
            return None if found.low is None else f"≥ {at_least(found.low)}"
        return with_error(found.value, found.error)
    return None


def _kept(run: Run) -> str | None:
    cut = run.best_cut
    if cut is None or run.evaluation is None or run.evaluation.efficiency is None:
        return None
    for found in run.evaluation.efficiency.cuts:
        if found.cut == cut.cut and found.signal.total.value is not None:
            return f"{100 * found.signal.total.value:.3g} %"
    return None


def _seconds(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 60 else f"{minutes} min {rest} s"

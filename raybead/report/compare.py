"""The page of several runs side by side, its figures, and its numbers as a file."""

# ruff: noqa: RUF001  # signs that readers know: σ, −, ×, –

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import raybead
from raybead.report.compare_table import Row, table_of
from raybead.report.compare_words import Looks, differing_keys, in_a_row, table_in_words
from raybead.report.compared import Difference, Run
from raybead.report.numbers import GLUE, no_gain, p_value, percent, sigmas, with_error
from raybead.report.template import page_template
from raybead.storage import Folder

PAGE = "compare.html"
NUMBERS = "comparison.json"
"""What tells a folder of a comparison from others."""
KIND = "raybead comparison"


def write_comparison(
    runs: Sequence[Run], differences: Sequence[Difference], folder: Folder
) -> dict[str, Any]:
    """Draw the figures of a comparison, and make the page that holds them.

    Args:
        runs: two or more; no two of one name.
        differences: between their scores, by truth.
        folder: that every figure goes to as PNG, PDF and JSON, and the page.

    Returns:
        The comparison's numbers, for :data:`NUMBERS`.

    Raises:
        StorageError: files can't be written.
    """
    # Every verb of the command line imports this file, and matplotlib takes a second to import.
    from raybead.report.figures.compare import draw_comparison

    plots = draw_comparison(runs)
    for plot in plots:
        plot.write(folder)
    table, keys, looks = table_of(runs), differing_keys(runs), Looks.of(runs)
    names = [run.name for run in runs]
    page = page_template(
        "compare.html.j2", pm=lambda pair: with_error(*pair), percent=percent, no_gain=no_gain
    ).render(
        name=f"{len(runs)} runs",
        runs=runs,
        headline=headline(runs, looks),
        sentences=looks_in_words(looks),
        missing=missing_parts(runs),
        table=table,
        legend=" ".join(table_in_words(runs)),
        keys=keys,
        differences=differences,
        evaluated=[run.name for run in runs if run.evaluation is not None],
        plots=plots,
        version=raybead.__version__,
    )  # fmt: skip
    folder.write(PAGE, page.encode())
    return {
        "kind": KIND,
        "raybead": raybead.__version__,
        "runs": [_facts(run) for run in runs],
        "table": [_row(row, names) for row in table],
        "job": {key: dict(zip(names, values, strict=True)) for key, values in keys.items()},
        "differences": [_difference(difference) for difference in differences],
        "looks": None if looks is None else {
            "runs": looks.runs, "smallest": looks.p, "of": looks.run, "bound": looks.bound,
            "open": list(looks.open), "at_most": looks.at_most,
            "bonferroni": looks.bonferroni, "sidak": looks.sidak,
        },
        "figures": [plot.name for plot in plots],
    }  # fmt: skip


def headline(runs: Sequence[Run], looks: Looks | None) -> str:
    """What the page says first."""
    if looks is None:
        return f"{len(runs)} runs, none of which was hunted in"
    if looks.runs == 1:
        found = _p(looks.p, bound=looks.bound)
        return f"{len(runs)} runs, one of which was hunted in: global {found}"
    least = "at least " if looks.at_most else ""
    return (
        f"{len(runs)} runs: the smallest global p-value, corrected for {looks.runs} looks, is"
        f" {_p(looks.bonferroni, bound=looks.at_most)}"
        f" ({least}{sigmas(looks.significance)}{GLUE}σ)"
    )


def looks_in_words(looks: Looks | None) -> list[str]:
    """What looking at several runs costs."""
    if looks is None or looks.runs == 1:
        return []
    bonferroni, sidak = (_p(p, bound=looks.at_most) for p in (looks.bonferroni, looks.sidak))
    known = " that is known" if looks.open else ""
    said = [
        f"Comparing the p-values of {looks.runs} runs is looking {looks.runs} times: the smallest"
        f" of them{known}, {_p(looks.p, bound=looks.bound)} of {looks.run}, isn't the chance of"
        f" finding as much in any. Corrected for that it is {bonferroni} by Bonferroni, whatever"
        f" the runs have in common, and {sidak} by Šidák, were they independent."
    ]
    if looks.open:
        said.append(
            f"Of {in_a_row(looks.open)} only a bound is known, no pseudo-experiment having reached"
            " the data: p may be smaller there still, so what is corrected is a bound, too."
        )
    return [
        *said,
        "Runs of the same events aren't independent, and either is too careful then:"
        " [hunt] runs = [...] in a job hunts in the scores of several runs together, with the same"
        " pseudo-experiments, and counts these looks exactly.",
    ]


def _p(p: float, *, bound: bool) -> str:
    return f"p{GLUE}{p_value(p, bound=bound)}"


def missing_parts(runs: Sequence[Run]) -> list[str]:
    """What can't be compared of which run, and why."""
    said = []
    for run in runs:
        there = [part for part in ("model", "scores", "hunt") if part not in run.missing]
        if run.missing:
            faults = ", ".join(f"{part} {why}" for part, why in run.missing.items())
            said.append(f"{run.name}: {faults}; there is {', '.join(there) or 'its job alone'}.")
        elif run.evaluation is None:
            said.append(
                f"{run.name}: truth of its search sample isn't known, or tells of too few events"
                " to rate anything by."
            )
        if run.hunted is not None and len(run.own_cuts) < len(run.hunted.cuts):
            said.append(
                f"{run.name}: its hunt is of other runs' scores, too, and its conclusion counts"
                " them; cuts and figures here are of its own."
            )
    return said


def console_rows(rows: Sequence[Row], columns: slice) -> list[list[str]]:
    """Some runs' columns of the table, in plain letters."""
    return [
        [plain(row.name) + (" *" if row.truth else ""), *map(plain, row.cells[columns])]
        for row in rows
    ]


def difference_in_words(difference: Difference) -> list[str]:
    """A row for the console: who, AUC, SIC, how."""
    auc, sic = (
        "-" if pair is None else plain(with_error(*pair))
        for pair in (difference.auc, difference.sic)
    )
    who = f"{difference.one} - {difference.other}"
    return [who, auc, sic, "paired" if difference.paired else "not paired"]


def plain(text: str) -> str:
    """In letters that any terminal has, but for names."""
    for sign, letters in (
        (GLUE, " "), ("\N{NARROW NO-BREAK SPACE}", ""), ("±", "+-"), ("−", "-"), ("–", "-"),
        ("≤", "<="), ("≥", ">="), ("σ", "sigma"), ("√", "sqrt "), (" × 10⁻", "e-"),
    ):  # fmt: skip
        text = text.replace(sign, letters)
    return text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    cells = {name: plain(cell) for name, cell in zip(names, row.cells, strict=True)}
    return {"quantity": row.name, "truth": row.truth, "of": cells}


def _facts(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "missing": dict(run.missing),
        "keys": {name: account.key for name, account in run.accounts.items()},
        "seconds": run.seconds,
        "parameters": run.parameters,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "one": difference.one, "other": difference.other, "paired": difference.paired,
        "why": difference.why, "auc": difference.auc, "sic": difference.sic,
        "without": difference.without, "replicas": difference.replicas,
    }  # fmt: skip

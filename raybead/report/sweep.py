"""The page of a sweep: which trial is best, by what, and what the others came to."""

# ruff: noqa: RUF001  # signs that readers know: −, ×, –

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

import raybead
from raybead.config import Job, Sweep, dump_job
from raybead.config.sweep import BY_TRUTH, CORRUPTION
from raybead.errors import RunError
from raybead.report import numbers, tried
from raybead.report.sweep_words import (
    headline,
    importance_in_words,
    objective_in_words,
    pm,
    sentences,
    tried_in_words,
)
from raybead.report.template import page_template
from raybead.storage import Folder

SHOWN = 10
"""Trials that the console tells of."""


class Cell(NamedTuple):
    """One of the table's: what it says, and what it is sorted by."""

    text: str
    by: float | str | None
    is_word: bool = False


def write_sweep_report(
    job: Job,
    board: pa.Table,
    summary: Mapping[str, Any],
    histories: Mapping[str, Sequence[Sequence[float]]],
    folder: Folder,
) -> None:
    """Draw the figures of a sweep, and make the page that holds them.

    Args:
        job: with its ``[sweep]``.
        board: a row a trial, the best first.
        summary: of the trials.
        histories: by trial: (epoch from 1, objective) at every epoch that it was judged at.
        folder: that every figure goes to as PNG and PDF, and the page as ``leaderboard.html``.

    Raises:
        RunError: the job has no ``[sweep]``.
        StorageError: files can't be written.
    """
    # Every verb of the command line imports this file, and matplotlib takes a second to import.
    from raybead.report.figures.sweep import draw_sweep

    if job.sweep is None:
        raise RunError(f"{job.name}: the job has no [sweep] to report on")
    plots = draw_sweep(job.name, board, summary, job.sweep, histories)
    for plot in plots:
        plot.write(folder)
    rows = board.to_pylist()
    headers, cells = _table(board, rows, job.sweep)
    level = set(summary["level"] or ())
    page = page_template("sweep.html.j2").render(
        name=job.name,
        job_file=dump_job(job),
        headline=headline(summary),
        sentences=sentences(rows, summary, job.sweep),
        by_truth=summary["by_truth"],
        looked=[name for name in tried.quantities(board) if name in BY_TRUTH],
        headers=headers,
        rows=[
            ("best" if row["rank"] == 1 else "level" if row["trial"] in level else "", line)
            for row, line in zip(rows, cells, strict=True)
        ],
        failures=[
            (row["number"], row["trial"], tried_in_words(_values(row)), row["reason"])
            for row in rows
            if row["status"] == "failed"
        ],
        ensembles=summary.get("ensembles", ()),
        pm=pm,
        refused=[
            (tried_in_words(one["values"]), one["reason"]) for one in summary.get("refused", ())
        ],
        correlations=[
            (pair, bool({pair["a"], pair["b"]} & BY_TRUTH)) for pair in summary["correlations"]
        ],
        importance=importance_in_words(summary["importance"]),
        keys=summary["importance"]["keys"] or {},
        plots=plots,
        version=raybead.__version__,
    )
    folder.write("leaderboard.html", page.encode())


def board_rows(board: pa.Table) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the first trials, for the console.

    Args:
        board: a row a trial, the best first. Keys that all trials had alike aren't told.
    """
    columns = {key: tried.values_of(board, key) for key in tried.swept(board)}
    told = [key for key, values in columns.items() if len(set(values)) > 1]
    # A console is narrow: of what has parts, the whole.
    others = [name for name in _other_quantities(board) if not name.startswith(f"{CORRUPTION}-")]
    rows = []
    for row in board.slice(0, SHOWN).to_pylist():
        values = (row[f"{tried.VALUE}{key}"] for key in told)
        words = ("-" if value is None else tried.in_short(value) for value in values)
        behind, error = row["behind_best"], row["behind_best_error"]
        level = error is not None and row["rank"] != 1 and behind <= tried.LEVEL * error
        status = "" if row["status"] == "done" else f"{row['status']} "
        rows.append(
            [
                f"{'-' if row['rank'] is None else row['rank']}. {row['trial'][:8]}",
                tried.cut(", ".join(words), 60),
                _ascii(pm(row["objective"], row["objective_error"])),
                "-" if behind is None else f"{behind:.2g}{' level' if level else ''}",
                *("-" if row[name] is None else f"{row[name]:.3g}" for name in others),
                f"{status}{row['epochs']}/{row['of_epochs']}",
            ]
        )
    keys = ", ".join(key.rpartition(".")[2] for key in told)
    return ["trial", keys or "tried", "objective", "behind", *others, "epochs"], rows


def _ascii(text: str) -> str:
    return text.replace(numbers.GLUE, " ").replace("±", "+-").replace("−", "-").replace("–", "-")


def _other_quantities(board: pa.Table) -> list[str]:
    """Quantities but one that is the objective itself."""
    objective = board.column("objective")
    return [name for name in tried.quantities(board) if not board.column(name).equals(objective)]


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(tried.VALUE): value
        for name, value in row.items()
        if name.startswith(tried.VALUE) and value is not None
    }


def _table(
    board: pa.Table, rows: Sequence[Mapping[str, Any]], sweep: Sweep
) -> tuple[list[str], list[list[Cell]]]:
    """The page's table: headers, and cells of every trial."""
    keys, others = tried.swept(board), _other_quantities(board)
    headers = ["Rank", "Trial", "Status", f"Objective ({objective_in_words(sweep)})",
               "Behind the best", *keys, *others, "Epochs", "Best epoch", "Parameters",
               "Seconds"]  # fmt: skip
    cells = []
    for row in rows:
        measured = {
            name: Cell(pm(row[name], row[f"{name}_error"]), row[name])
            for name in ("objective", "behind_best", *others)
        }
        cells.append(
            [
                _number(row["rank"]),
                Cell(f"{row['number']} ({row['trial']})", row["number"], True),
                Cell(row["status"], row["status"], True),
                measured["objective"],
                measured["behind_best"],
                *(_tried(row[f"{tried.VALUE}{key}"]) for key in keys),
                *(measured[name] for name in others),
                Cell(f"{row['epochs']} of {row['of_epochs']}", row["epochs"]),
                _number(row["best_epoch"]),
                _number(row["parameters"]),
                Cell(f"{row['seconds']:.1f}", row["seconds"]),
            ]
        )
    return headers, cells


def _number(value: int | None) -> Cell:
    return Cell("–" if value is None else numbers.thousands(value), value)


def _tried(value: Any) -> Cell:
    text = tried.in_short(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(text, value)
    return Cell(text, None if value is None else text, True)

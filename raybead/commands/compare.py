"""Several runs side by side: overlays, a table, and what one has more than another."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import Parameter

from raybead.console import Console
from raybead.errors import JobError, RunError, StorageError
from raybead.report.compare import (
    KIND,
    NUMBERS,
    PAGE,
    console_rows,
    difference_in_words,
    looks_in_words,
    missing_parts,
    plain,
    write_comparison,
)
from raybead.report.compare_table import table_of
from raybead.report.compare_words import Looks, differing_keys, in_a_cell, table_in_words
from raybead.report.compared import Run, read_run
from raybead.storage import Folder

ABREAST = 4
"""Runs that a table on the console has room for."""


def compare(
    *runs: Annotated[str, Parameter(help="Runs' folders or URIs, two or more.")],
    to: Annotated[
        str, Parameter(help="Folder of the page and figures; an older comparison is replaced.")
    ] = "comparison",
    names: Annotated[
        tuple[str, ...],
        Parameter(
            help="What the runs are called, one each; their own names if not given.",
            consume_multiple=True,
            negative=(),
        ),
    ] = (),
) -> None:
    """Hold several runs beside one another: ROC, SIC, limits, spectra, losses, a table."""
    folders = [Folder.at(run) for run in runs]
    _refuse_few(folders)
    target = Folder.at(to)
    _refuse_taken(target)
    console = Console()
    read = _named([read_run(folder) for folder in folders], names)
    if all(len(run.missing) == 3 for run in read):
        raise RunError(
            "no run is trained yet for the job that its folder holds: nothing to compare"
        )
    with console.stage("compare") as tick:
        write(read, target, console, tick)


def write(runs: Sequence[Run], target: Folder, console: Console, tick: Any) -> None:
    """Compare runs: into a folder, whole or not at all, and on the console."""
    # torch takes seconds, and a wrong path is told before.
    from raybead.commands.differences import differences, evaluated
    from raybead.models import Bundle

    rated = []
    for number, run in enumerate(runs):
        if "model" not in run.missing:
            try:
                model = Bundle.load(run.folder / "model").model()
            except RunError as error:
                told = str(error).removeprefix(f"{run.folder}/model: ")
                raise RunError(f"{run.folder}/model: {told}") from None
            run = replace(run, parameters=sum(weight.numel() for weight in model.parameters()))
        rated.append(evaluated(run))
        tick(number, len(runs) + 2, f"read {run.name}")
    found = differences(rated)
    tick(len(runs), len(runs) + 2, "differences")
    head, _, tail = target.uri.rpartition("/")
    beside = Folder(f"{head}/.{tail}.{uuid.uuid4().hex[:8]}.partial")
    try:
        numbers = write_comparison(rated, found, beside)
        if target.is_local:
            beside.write_json(NUMBERS, numbers)
        beside.move_to(target)
        if not target.is_local:
            # A store moves file by file; what says that the whole is there comes last.
            target.write_json(NUMBERS, numbers)
    finally:
        beside.delete()
    tick(len(runs) + 2, len(runs) + 2, "page")
    _show(rated, found, console)
    console.say(f"comparison: {target}/{PAGE}")


def _show(runs: Sequence[Run], found: Sequence[Any], console: Console) -> None:
    rows, keys = table_of(runs), differing_keys(runs)
    for first in range(0, len(runs), ABREAST):
        some = slice(first, first + ABREAST)
        names = [run.name for run in runs[some]]
        console.table("Runs (* by truth, no part in any hunt)", ["", *names],
                      console_rows(rows, some))  # fmt: skip
        for line in table_in_words(runs) if first + ABREAST >= len(runs) else ():
            console.say(line)
        if keys:
            told = [[key, *map(in_a_cell, values[some])] for key, values in keys.items()]
            console.table("What differs in the job files", ["key", *names], told)
    if found:
        console.table(
            "Differences by truth, no part in any hunt", ["", "AUC", "max SIC", "errors"],
            [difference_in_words(difference) for difference in found],
        )  # fmt: skip
    for line in (*missing_parts(runs), *looks_in_words(Looks.of(runs))):
        console.say(plain(line))


def _refuse_few(folders: Sequence[Folder]) -> None:
    """Two runs are the least; one run twice is none more."""
    if len(folders) < 2:
        raise JobError(
            f"compare: {'one run has' if folders else 'no runs have'} nothing to be compared"
            " with; give two or more"
        )
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise JobError(f"compare: {folder} is given twice")


def _refuse_taken(target: Folder) -> None:
    """Another comparison may be replaced, and nothing else."""
    if not target.exists() or not target.names():
        return
    try:
        held = target.read_json(NUMBERS) if target.exists(NUMBERS) else None
    except StorageError:
        held = None
    if not isinstance(held, dict) or held.get("kind") != KIND:
        raise JobError(f"--to {target}: holds something that isn't a comparison; name another")


def _named(runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """Runs by names that tell them apart: given ones, their own, or as much of their paths."""
    if names:
        if len(names) != len(runs):
            raise JobError(f"--names: {len(names)} for {len(runs)} runs; give one each")
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise JobError("--names: two are the same, or one is empty")
        return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    own = [run.name for run in runs]
    return [
        run if own.count(run.name) == 1 else replace(run, name=_by_path(run, runs)) for run in runs
    ]


def _by_path(run: Run, runs: Sequence[Run]) -> str:
    """The shortest end of the run's path that no run of the same name has."""
    others = [o.folder.uri for o in runs if o is not run and o.name == run.name]
    parts = run.folder.uri.split("/")
    for count in range(1, len(parts) + 1):
        end = "/".join(parts[-count:])
        if not any(f"/{other}".endswith(f"/{end}") for other in others):
            return end
    return run.folder.uri

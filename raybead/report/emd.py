"""The page of a learned energy mover's distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

import raybead
from raybead.config import Job, dump_job
from raybead.report import numbers
from raybead.report.template import page_template
from raybead.storage import Folder


def write_emd_report(
    job: Job,
    held_out: pa.Table,
    metrics: Mapping[str, Any],
    summary: Mapping[str, Any],
    folder: Folder,
) -> None:
    """Draw the figures of a learned distance, and make the page that holds them.

    Args:
        job: that it was trained for.
        held_out: pairs that training never saw, a row each.
        metrics: history, and agreement on these pairs.
        summary: of the training.
        folder: that every figure goes to as PNG and PDF, and the page as ``report.html``.

    Raises:
        StorageError: files can't be written.
    """
    from raybead.report.figures.emd import KIND_NAMES, draw_emd

    plots = draw_emd(job.name, held_out, metrics)
    for plot in plots:
        plot.write(folder)
    page = page_template("emd.html.j2", thousands=numbers.thousands).render(
        name=job.name,
        job_file=dump_job(job),
        agreement=metrics["agreement"],
        kind_names={"all": "all pairs", **KIND_NAMES},
        summary=summary,
        plots=plots,
        version=raybead.__version__,
    )
    folder.write("report.html", page.encode())

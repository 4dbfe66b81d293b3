"""The page of a profile, its figures and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import raybead
from raybead.config import Job, dump_job
from raybead.report import numbers
from raybead.report.profile_numbers import a_step, cpus_busy, mib, milli, rate, slower, tables
from raybead.report.profile_words import headline, sentences
from raybead.report.template import page_template
from raybead.storage import Folder

PAGE, NUMBERS = "profile.html", "profile.json"


def write_profile(job: Job, profile: Mapping[str, Any], folder: Folder) -> dict[str, Any]:
    """Draw a profile's figures and write them with the page and the numbers.

    Args:
        job: that was looked at.
        profile: ``training``, ``scoring``, ``stages``, ``events`` and ``where``, as
            :mod:`raybead.distributed.profile` makes them.
        folder: that everything goes to: figures, the page, and the numbers as ``profile.json``.

    Returns:
        The numbers, as the file holds them.

    Raises:
        StorageError: files can't be written.
    """
    # Every verb of the command line imports this file, and matplotlib takes a second.
    from raybead.report.figures.profile import draw_profile

    whole = {
        "layout": 1,
        "raybead": raybead.__version__,
        "run": job.name,
        "says": sentences(profile),
        **profile,
    }
    plots = draw_profile(job.name, whole)
    for plot in plots:
        plot.write(folder)
    training = whole["training"]
    page = page_template(
        "profile.html.j2",
        thousands=numbers.thousands,
        milli=milli,
        mib=mib,
    ).render(
        name=job.name,
        job=job,
        job_file=dump_job(job),
        profile=whole,
        headline=headline(whole),
        says=whole["says"],
        step=a_step(training),
        items=rate(training, "items_trained"),
        cpus=cpus_busy(training),
        events=rate(whole["scoring"], "events_scored"),
        traced=slower(training, "traced"),
        tables={table.key: table for table in tables(whole)},
        plots=plots,
        by_name={plot.name: plot for plot in plots},
        version=raybead.__version__,
    )
    folder.write(PAGE, page.encode())
    folder.write_json(NUMBERS, whole)
    return whole

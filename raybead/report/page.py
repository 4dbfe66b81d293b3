"""The report: one HTML page that needs nothing beside it, and its figures as files."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import raybead
from raybead.config import Job, dump_job
from raybead.report import numbers, words
from raybead.report.content import STAGES, Content
from raybead.report.template import page_template
from raybead.storage import Folder
from raybead.timing import timed

if TYPE_CHECKING:
    from raybead.report.figures import Plot

PACKAGES = ("matplotlib", "mplhep", "numpy", "pyarrow", "ray", "torch")
"""Whose versions are told: with raybead's they decide what a run gives."""


def write_report(job: Job, run: Folder, folder: Folder) -> bytes:
    """Draw a finished run's figures and make the page that holds them.

    Args:
        job: that the run was made for.
        run: its folder; hunt and all before it are done.
        folder: that every figure is written to, as PNG and as PDF.

    Returns:
        The page, UTF-8; its figures are inside it.

    Raises:
        RunError: a stage isn't done.
        StorageError: files of the run are missing or broken, or can't be written.
    """
    with timed("load"):
        # Every verb of the command line imports this file, and matplotlib takes a second.
        from raybead.report.figures import draw

        content = Content.read(job, run)
    with timed("draw"):
        plots = draw(content)
    with timed("write"):
        for plot in plots:
            folder.write(f"{plot.name}.png", plot.png)
            folder.write(f"{plot.name}.pdf", plot.pdf)
    with timed("page"):
        return render(content, plots)


def render(content: Content, plots: Sequence[Plot]) -> bytes:
    """The page of a run's content and its figures, UTF-8."""
    template = page_template(
        "page.html.j2",
        p=numbers.p_value,
        bare=lambda relation: relation.removeprefix(f"={numbers.GLUE}"),
        pm=lambda pair: numbers.with_error(*pair),
        percent=numbers.percent,
        mass=numbers.mass,
        events=numbers.events,
        thousands=numbers.thousands,
    )
    result = content.result
    text = template.render(
        job=content.job,
        job_file=dump_job(content.job),
        sources={
            "background": words.sources_in_words(content.job.data.background),
            "search": words.sources_in_words(content.job.data.searched),
        },
        result=result,
        items=f"{content.job.graph.level}s",
        observable=words.observable_name(result["observable"]),
        counted=words.counted(result["conclusion"]),
        calibration=content.calibration,
        calibrated=words.calibrated(content.calibration),
        reach=content.reach,
        peak_shape=words.peak_shape(content.job.hunt.signal),
        best=content.best_cut,
        conclusion=result["conclusion"],
        weighted=content.is_weighted,
        verdict=words.verdict(result),
        evaluation=result["evaluation"],
        learned=words.learned(result["evaluation"]) if content.truth_is_known else (),
        score_name=words.score_name,
        samples=_samples(content),
        model=content.facts["model"],
        stages=[(name, content.facts[name], content.versions[name]) for name in STAGES],
        versions={
            "raybead": raybead.__version__,
            "Python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        plots=plots,
    )
    return text.encode()


def _samples(content: Content) -> list[tuple[str, list[Any]]]:
    """Rows of events read, dropped by every cut, and written: background, then search."""
    flows: list[Mapping[str, Any]] = [
        content.facts[name]["cutflow"] for name in ("events/background", "events/search")
    ]
    cuts = dict.fromkeys(cut for flow in flows for cut in flow["dropped"])
    return [
        ("Read", [flow["read"] for flow in flows]),
        *((f"Dropped: {cut}", [flow["dropped"].get(cut, 0) for flow in flows]) for cut in cuts),
        ("Written", [flow["written"] for flow in flows]),
    ]

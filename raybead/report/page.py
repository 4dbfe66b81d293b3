"""The report: one HTML page that needs nothing beside it, and its figures as files."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import raybead
from raybead.config import Job, dump_job
from raybead.report import numbers, words
from raybead.report.content import Content
from raybead.report.template import page_template
from raybead.report.undrawn import undrawn_in_words
from raybead.storage import Folder
from raybead.timing import timed

if TYPE_CHECKING:
    from raybead.report.figures import Plot

PICTURED = {
    "before": (
        ("reconstruction", "Reconstruction",
         "What the model makes of its inputs, on background that training held out."),
        ("latent", "Latent space", "Where the model puts what it is shown."),
        ("scores", "Scores and masses",
         "What every event is scored, and what those look like that score high."),
    ),
    "events": (
        ("events", "Most anomalous events",
         "Those of the search sample that score highest, wherever their mass lies."),
    ),
    "after": (
        ("drift", "Drift between the samples",
         "How far the search sample lies from the background that was trained on, feature by"
         " feature."),
        ("diagnostics", "Diagnostics of the model",
         "What its layers do with what they are shown."),
    ),
}  # fmt: skip
"""Sections that are all figures, by where they stand: section, title, and a sentence."""
PACKAGES = ("matplotlib", "mplhep", "numpy", "pyarrow", "ray", "torch")
"""Whose versions are told: with raybead's they decide what a run gives."""


def write_report(job: Job, run: Folder, folder: Folder) -> bytes:
    """Draw a finished run's figures and make the page that holds them.

    Args:
        job: that the run was made for.
        run: its folder; hunt and all before it are done.
        folder: that every figure is written to, as PNG, PDF and JSON.

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
            plot.write(folder)
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
        sigmas=numbers.sigmas,
        at_least=numbers.at_least,
        no_gain=numbers.no_gain,
        mass=numbers.mass,
        events=numbers.events,
        thousands=numbers.thousands,
    )
    result = content.result
    undrawn = undrawn_in_words(content.diagnostics, content.job.graph)
    text = template.render(
        name=content.job.name,
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
        in_short=words.calibrated_in_short(content.calibration),
        described=lambda cut: words.background_description(cut["background"]["agreement"]),
        pictured=PICTURED,
        undrawn=undrawn,
        sections=_sections(content, {plot.section for plot in plots} | set(undrawn)),
        warnings=content.metrics.get("warnings", ()),
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
        provenance=content.provenance,
        versions={
            "raybead": raybead.__version__,
            "Python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        plots=plots,
    )
    return text.encode()


def _sections(content: Content, drawn: Collection[str]) -> list[tuple[str, str]]:
    """Sections that there are, in order: what leads to each, and its title."""

    def pictured(where: str) -> list[tuple[str, str]]:
        return [(f"{name}-figures", title) for name, title, _ in PICTURED[where] if name in drawn]

    return [
        ("training", "Training"),
        *pictured("before"),
        ("cuts", "Selection"),
        ("background", "Background fit"),
        ("scan", "Scan"),
        ("toys", "Pseudo-experiments"),
        *([("limits", "Limits")] if "limits" in drawn else []),
        *pictured("events"),
        *([("calibration", "Calibration")] if content.calibration is not None else []),
        *([("reach", "Reach")] if content.reach is not None else []),
        *pictured("after"),
        *([("evaluation", "Evaluation with truth")] if content.truth_is_known else []),
        ("provenance", "Provenance"),
    ]


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

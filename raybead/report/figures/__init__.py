"""Every figure of a report, from a run's JSON and Parquet."""

from __future__ import annotations

from collections.abc import Iterator

from raybead.report.content import Content
from raybead.report.figures.canvas import Plot, hep_style
from raybead.report.figures.evaluation import evaluation_figures
from raybead.report.figures.masses import jet_mass_figures, mass_figure
from raybead.report.figures.peak import limits_figure, peak_figure
from raybead.report.figures.scan import scan_figure, toys_figure
from raybead.report.figures.scores import score_figure, score_mjj_figure
from raybead.report.figures.studies import calibration_figures, reach_figures
from raybead.report.figures.training import loss_figure, reconstruction_figures, terms_figure
from raybead.report.words import observable_sign

__all__ = ["Plot", "draw"]


def draw(content: Content) -> list[Plot]:
    """All figures that a run's content allows, in the order of the page."""
    with hep_style():
        return list(_figures(content))


def _figures(content: Content) -> Iterator[Plot]:
    name = content.job.name
    observable = observable_sign(content.result["observable"])
    for cut in content.result["cuts"]:
        yield mass_figure(name, cut, observable)
        yield scan_figure(name, cut, observable)
        yield toys_figure(name, cut, content.job.hunt.statistic)
        if cut["peak"] is not None:
            yield peak_figure(name, cut, observable)
            yield limits_figure(name, cut, observable)
    if content.calibration is not None:
        yield from calibration_figures(name, content.calibration)
    if content.reach is not None:
        yield from reach_figures(name, content.reach)
    yield score_figure(content)
    yield score_mjj_figure(content)
    yield from jet_mass_figures(content)
    yield loss_figure(name, content.metrics["history"])
    yield from terms_figure(name, content.metrics["history"])
    graph = content.job.graph
    yield from reconstruction_figures(
        name, content.metrics["reconstruction"], graph.pt_power, graph.node
    )
    if content.truth_is_known:
        yield from evaluation_figures(name, content.result["evaluation"])

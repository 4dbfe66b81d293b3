"""Every figure of a report, from a run's JSON and Parquet."""

from __future__ import annotations

from collections.abc import Iterator

from raybead.report.content import Content
from raybead.report.figures.canvas import Plot, hep_style
from raybead.report.figures.displays import display_figures
from raybead.report.figures.drift import drift_figures
from raybead.report.figures.evaluation import evaluation_figures
from raybead.report.figures.examples import example_figures
from raybead.report.figures.latent import latent_figures
from raybead.report.figures.masses import jet_mass_figures, mass_figure
from raybead.report.figures.peak import limits_figure, peak_figure
from raybead.report.figures.scan import scan_figure, toys_figure
from raybead.report.figures.scores import score_figure, score_mjj_figure
from raybead.report.figures.studies import calibration_figures, reach_figures
from raybead.report.figures.training import loss_figure, reconstruction_figures, terms_figure
from raybead.report.figures.units import unit_figures
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
    yield from _diagnostics(content)
    if content.truth_is_known:
        yield from evaluation_figures(name, content.result["evaluation"])


def _diagnostics(content: Content) -> Iterator[Plot]:
    found, job = content.diagnostics, content.job
    if found is None:
        return
    item, radius, truth = job.graph.level, job.jets.radius, content.truth_is_known
    if found.latent is not None:
        told = found.result["latent"]
        yield from latent_figures(job.name, found.latent, told, item, truth=truth)
    if found.examples is not None:
        told, node = found.result["examples"], job.graph.node
        yield from example_figures(job.name, found.examples, told, radius, item, node)
    if found.displays is not None:
        yield from display_figures(job.name, found.displays, radius)
    if found.units is not None:
        yield from unit_figures(job.name, found.units)
    if found.drift is not None:
        graph = job.graph
        yield from drift_figures(job.name, found.drift, graph.pt_power, graph.node)

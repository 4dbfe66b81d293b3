"""Why the page lacks figures that the job asks for, section by section."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raybead.config import Graph
from raybead.report.diagnosed import Diagnostics
from raybead.report.drift_words import compared, drift_in_words
from raybead.report.feature_words import feature_in_words

REDUCED = {"pca": "principal components", "tsne": "t-SNE", "umap": "UMAP"}


def undrawn_in_words(found: Diagnostics | None, graph: Graph) -> dict[str, list[str]]:
    """Sentences by section of the page; none of sections that lack nothing.

    What a figure lacks is told in its caption.

    Args:
        found: what was looked at of the model, if anything was.
        graph: of the job.
    """
    if found is None:
        return {}
    told: dict[str, list[str]] = {}
    if found.examples is not None:
        why = found.result["examples"]["undrawn"].get("input")
        if why is not None:
            told["reconstruction"] = [f"No example {graph.level}s are drawn: {why}."]
        elif len(found.examples) == 0:
            told["reconstruction"] = [f"No example {graph.level}s are drawn: there are none."]
    if found.latent is not None:
        lacking = [
            f"{_kinds(space, one['undrawn'])}."
            for space, one in found.result["latent"]["spaces"].items()
            if one["undrawn"]
        ]
        if lacking:
            told["latent"] = lacking
    if found.drift is not None and not compared(found.drift):
        words = partial(feature_in_words, pt_power=graph.pt_power, node=graph.node)
        told["drift"] = [drift_in_words(found.drift, words)]
    return told


def _kinds(space: str, undrawn: Mapping[str, str]) -> str:
    of = "the latent" if space == "latent" else f"the latent before the flow ({space})"
    reasons: dict[str, list[str]] = {}
    for kind, why in undrawn.items():
        reasons.setdefault(why, []).append(REDUCED.get(kind, kind))
    return f"Not drawn of {of}: " + "; ".join(
        f"{', '.join(kinds)} ({why})" for why, kinds in reasons.items()
    )

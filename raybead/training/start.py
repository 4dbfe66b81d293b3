"""The bundle that a training begins with."""

from __future__ import annotations

from typing import Any

from raybead.config import Graph, Model
from raybead.errors import RunError
from raybead.models import Bundle
from raybead.models.emd_bundle import DESCRIPTION
from raybead.storage import Folder


def start_bundle(folder: Folder, graph: Graph, model: Model) -> Bundle:
    """A bundle whose weights and scaling another training of the same model can begin with.

    Args:
        folder: of the bundle.
        graph: of the training to come.
        model: of the training to come.

    Raises:
        RunError: there is no bundle, or it is of another model or other features.
    """
    if not folder.exists(DESCRIPTION):
        raise RunError(
            f"train.start_from: no model bundle in {folder}; give the folder of one, as"
            " OUTPUT/NAME/model of another run"
        )
    bundle = Bundle.load(folder)
    for section, ours, theirs in (
        ("model", model, bundle.recipe.model),
        ("graph", graph, bundle.recipe.graph),
    ):
        # A preset only fills in what the other keys then say.
        mine, its = (one.model_dump(mode="json", exclude={"preset"}) for one in (ours, theirs))
        for key in (*mine, *(key for key in its if key not in mine)):
            if mine.get(key) != its.get(key):
                raise RunError(
                    f"train.start_from: {folder}: its {section}.{key} is {_shown(its.get(key))},"
                    f" and this job's is {_shown(mine.get(key))}"
                )
    bundle.model()
    return bundle


def _shown(value: Any) -> str:
    return "not there" if value is None else repr(value)

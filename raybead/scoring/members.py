"""The bundles of a model folder that score: the best, or the best few that a sweep kept.

``members/1``, ``members/2``, ... are bundles, the best first, each with the ``[score]`` section
of its own job beside it, as ``score.json``. ``members/1`` is the bundle that the folder holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, takewhile

from raybead.config import Score, logarithms_of
from raybead.config.score import refuse_unknown_quantities
from raybead.errors import RunError
from raybead.models import WEIGHTS, Bundle
from raybead.models.emd_bundle import DESCRIPTION
from raybead.scoring.calibration import read_fitted
from raybead.scoring.jets import JetScorer
from raybead.storage import Folder, Stage

MEMBERS = "members"
SECTION = "score.json"


@dataclass(frozen=True)
class Member:
    """A bundle, and how its losses become event scores."""

    folder: Folder
    score: Score

    def bundle(self) -> Bundle:
        """The trained model.

        Raises:
            RunError: there is none, or it knows nothing of what is to be scored by.
        """
        bundle = Bundle.load(self.folder)
        try:
            refuse_unknown_quantities(self.score, bundle.recipe.model, bundle.recipe.loss)
        except ValueError as error:
            raise RunError(f"{self.folder}: {error}") from None
        return bundle

    def logarithms(self) -> tuple[str, ...]:
        """Quantities that are logarithms: see :func:`raybead.config.logarithms_of`."""
        return logarithms_of(self.bundle().recipe.loss)

    def scorer(self, leading: int, device: str = "cpu") -> JetScorer:
        """What makes losses of event rows, as a run of this bundle alone would."""
        return JetScorer(
            self.bundle(),
            self.score.batch_items,
            device,
            self.score.store,
            leading=leading,
            quantities=tuple(self.score.weights),
            controls=self.score.controls,
        )


def kept_members(model: Folder) -> tuple[Member, ...]:
    """All that were kept with a model, the best first; none if no sweep did.

    Raises:
        RunError: one without its section, or with one that isn't whole.
    """
    return tuple(Member(folder, _section(folder)) for folder in _kept(model))


def members_digests(model: Folder, score: Score) -> list[str]:
    """Of each member that a job's scores are of, a hash of its files; none of a single bundle."""
    if score.ensemble == 1:
        return []
    return [_digest(folder) for folder in islice(_kept(model), score.ensemble)]


def scoring_members(model: Folder, score: Score) -> tuple[Member, ...]:
    """Those that a job's scores are of: the folder's own bundle, or members of an ensemble.

    ``of``, ``combine``, ``complexity`` and ``complexity_fit`` are each member's own, what says
    how the work is done is the job's. What isn't of the model but of the events, and what is
    stored, is wanted once: of the first.

    Raises:
        RunError: fewer were kept than the job asks for.
    """
    if score.ensemble == 1:
        return (Member(model, score),)
    kept = kept_members(model)
    if len(kept) < score.ensemble:
        raise RunError(
            f"{model}: score.ensemble = {score.ensemble}, and {len(kept)} members are kept there;"
            f" raybead sweep with sweep.keep = {score.ensemble} makes them"
        )
    once = {"batch_items": score.batch_items, "controls": score.controls, "store": score.store}
    after = {**once, "controls": False, "store": ()}
    return tuple(
        Member(member.folder, member.score.model_copy(update=after if place else once))
        for place, member in enumerate(kept[: score.ensemble])
    )


def refuse_missing_members(score: Score, model: Stage) -> None:
    """Refuse an ensemble that isn't there before work goes into anything else.

    Training makes one bundle, and would take the members' place.

    Raises:
        RunError: the model isn't the one that members were kept with, or they are too few.
    """
    if score.ensemble == 1:
        return
    why = model.why_stale()
    if why is not None:
        raise RunError(
            f"{model.folder}: score.ensemble = {score.ensemble}, and there is no model of this"
            f" job with members ({why}); raybead sweep with sweep.keep = {score.ensemble} makes"
            " them"
        )
    scoring_members(model.folder, score)


def _kept(model: Folder) -> Iterator[Folder]:
    folders = (model / MEMBERS / str(number) for number in count(1))
    return takewhile(lambda folder: folder.exists(DESCRIPTION), folders)


def _digest(folder: Folder) -> str:
    """Of the files that decide a member's scores."""
    found = hashlib.sha256()
    for name in (WEIGHTS, DESCRIPTION, SECTION):
        content = folder.read(name) if folder.exists(name) else b""
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


def _section(folder: Folder) -> Score:
    if not folder.exists(SECTION):
        raise RunError(f"{folder}: a member without {SECTION}; raybead sweep makes it")
    return read_fitted(folder, SECTION, Score)

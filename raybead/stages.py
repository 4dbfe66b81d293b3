"""A job's stages: where each lies, and what its content follows from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybead.config import EmdNetworkLoss, Job, Loss
from raybead.errors import RunError
from raybead.events import EventSample
from raybead.storage import MANIFEST, Folder, Role, Stage, is_current


@dataclass(frozen=True)
class Stages:
    """A job's stages, each with the key of what it should hold."""

    background: Stage
    search: Stage
    model: Stage
    scores: Stage
    hunt: Stage
    calibration: Stage
    reach: Stage
    diagnostics: Stage
    emd: Stage

    def keys(self) -> dict[str, str]:
        """Of all stages, by name."""
        return {stage.name: stage.key for stage in vars(self).values()}

    def events(self) -> tuple[tuple[Role, Stage], ...]:
        """The stages that prepare events, by role."""
        return ("background", self.background), ("search", self.search)

    def report(self) -> Stage:
        """The page and its figures, with the studies that are there by now."""
        studies = (self.calibration, self.reach, self.diagnostics)
        depends = {
            "hunt": self.hunt.key,
            "model": self.model.key,
            "studies": [key for study in studies if (key := study.held()) is not None],
        }
        return Stage(self.hunt.run, "figures", depends)

    @classmethod
    def of(cls, job: Job) -> Stages:
        """The stages of a job.

        Raises:
            InputError: an input isn't there.
        """
        run = run_folder(job)
        job = with_networks(job)
        jets = job.jets.model_dump(mode="json")

        def events(role: Role) -> Stage:
            return Stage(
                run,
                "events/background" if role == "background" else "events/search",
                {
                    "data": sample_of(job, role).depends(),
                    "jets": jets,
                    "damaged": job.prepare.damaged,
                },
            )

        background, search = events("background"), events("search")
        model = Stage(
            run,
            "model",
            {
                "events": background.key,
                "graph": job.graph.model_dump(mode="json"),
                "model": job.model.model_dump(mode="json"),
                "loss": [_what_decides(term) for term in job.loss],
                # Who does the work doesn't decide what comes of it.
                "train": job.train.model_dump(
                    mode="json", exclude={"workers", "use_gpu", "max_failures", "start_from"}
                ),
                "start": _what_starts(job),
                "seed": job.seed,
            },
        )
        scores = Stage(
            run,
            "scores",
            {
                "events": [background.key, search.key],
                "model": model.key,
                "score": job.score.model_dump(mode="json", exclude={"workers", "batch_items"}),
                **_what_members(job, model.folder),
            },
        )
        hunt = Stage(
            run,
            "hunt",
            {
                "scores": scores.key,
                "hunt": job.hunt.model_dump(mode="json"),
                "others": [_scores_of(other) for other in job.hunt.runs],
                "seed": job.seed,
            },
        )
        # How the one result is told, and how far its toys go, decide nothing of what they say.
        asked = {
            "scores": scores.key,
            "hunt": job.hunt.model_dump(
                mode="json", exclude={"toys", "precision", "luminosity", "confidence", "runs"}
            ),
            "seed": job.seed,
        }
        # A hunt that was calibrated stays so, also where the job says nothing of how.
        calibration = Stage(
            run,
            "calibration",
            {**asked, "calibrate": job.calibrate.model_dump(mode="json")},
            frozenset({"calibrate"}),
        )
        reach = Stage(
            run,
            "reach",
            {
                **asked,
                "calibrate": job.calibrate.model_dump(mode="json"),
                "reach": job.reach.model_dump(mode="json"),
            },
            frozenset({"calibrate", "reach"}),
        )
        diagnostics = Stage(
            run,
            "diagnostics",
            {
                "scores": scores.key,
                "diagnostics": job.diagnostics.model_dump(mode="json"),
                "seed": job.seed,
            },
        )
        emd = Stage(
            run,
            "emd",
            {
                "events": background.key,
                "emd": job.emd.model_dump(
                    mode="json", exclude={"workers", "use_gpu", "max_failures"}
                ),
                "seed": job.seed,
            },
        )
        return cls(background, search, model, scores, hunt, calibration, reach, diagnostics, emd)


def sample_of(job: Job, role: Role) -> EventSample:
    """All events of a role.

    Raises:
        InputError: a path that nothing is found at.
    """
    sources = job.data.background if role == "background" else job.data.searched
    return EventSample.of(sources, role)


def run_folder(job: Job) -> Folder:
    """Where a job's run is kept.

    ``ray job submit --working-dir`` runs in a copy that Ray throws away: there a relative output
    is taken from the home folder instead, so that it survives and can be resumed.
    """
    return _at_home(job.output) / job.name


def _at_home(path: str) -> Folder:
    relative = "://" not in path and not Path(path).is_absolute()
    home = relative and in_throwaway_folder()
    return Folder.at(str(Path.home() / path) if home else path)


def other_run(path: str) -> Folder:
    """The folder of a run that is hunted in along with a job's own.

    Raises:
        RunError: it holds no scores, or those of other settings than its job now has.
    """
    run = _at_home(path)
    if not is_current(run, "scores"):
        raise RunError(f"hunt.runs: {run}: no scores there that are current; raybead score first")
    return run


def _scores_of(path: str) -> str:
    """The key of another run's scores."""
    return str((other_run(path) / "scores").read_json(MANIFEST)["key"])


def with_networks(job: Job) -> Job:
    """The job with the whole paths of trained networks that its loss and training ask for."""

    def whole(term: Loss) -> Loss:
        if not isinstance(term, EmdNetworkLoss):
            return term
        found = run_folder(job) / "emd" if term.bundle is None else _at_home(term.bundle)
        return term.model_copy(update={"bundle": found.uri})

    train, start = job.train, job.train.start_from
    if start is not None:
        train = train.model_copy(update={"start_from": _at_home(start).uri})
    return job.model_copy(update={"loss": tuple(map(whole, job.loss)), "train": train})


def refuse_missing_networks(job: Job, own: Stage) -> None:
    """Refuse a job that asks for a network that isn't there, or is of another job.

    Args:
        job: whose loss, or training, it is.
        own: the job's own stage of such a network.

    Raises:
        RunError: which, and what makes it.
    """
    for written, term in zip(job.loss, with_networks(job).loss, strict=True):
        if isinstance(term, EmdNetworkLoss):
            from raybead.models import EmdBundle

            EmdBundle.load(Folder.at(str(term.bundle)))
            why = own.why_stale() if written.bundle is None else None  # type: ignore[union-attr]
            if why is not None:
                raise RunError(
                    f"{own.folder}: the learned distance is of another job ({why});"
                    " raybead train-emd makes this job's"
                )
    _refuse_misfit_start(job)


def _refuse_misfit_start(job: Job) -> None:
    where = with_networks(job).train.start_from
    if where is None:
        return
    own = run_folder(job) / "model"
    if f"{where}/".startswith(f"{own}/"):
        raise RunError(
            f"train.start_from: {where} is the model that this job makes; copy it elsewhere, or"
            " give this job another name"
        )
    from raybead.training import start_bundle

    start_bundle(Folder.at(where), job.graph, job.model)


def _what_decides(term: Loss) -> dict[str, Any]:
    """What of a term decides its values: of a network its weights, wherever they lie."""
    if not isinstance(term, EmdNetworkLoss):
        return term.model_dump(mode="json")
    from raybead.models import WEIGHTS  # torch takes seconds, and few jobs need it here

    assert term.bundle is not None
    weights = Folder.at(term.bundle)
    known = weights.exists(WEIGHTS)
    digest = hashlib.sha256(weights.read(WEIGHTS)).hexdigest() if known else None
    return {**term.model_dump(mode="json", exclude={"bundle"}), "weights": digest}


def _what_starts(job: Job) -> str | None:
    """What of the bundle that training begins with decides: weights and scaling."""
    if job.train.start_from is None:
        return None
    from raybead.models import WEIGHTS
    from raybead.models.emd_bundle import DESCRIPTION

    folder = Folder.at(job.train.start_from)
    if not (folder.exists(WEIGHTS) and folder.exists(DESCRIPTION)):
        return "not there"
    scaling = json.dumps(folder.read_json(DESCRIPTION).get("scaling"), sort_keys=True)
    return hashlib.sha256(folder.read(WEIGHTS) + scaling.encode()).hexdigest()


def _what_members(job: Job, model: Folder) -> dict[str, Any]:
    """What of the bundles of an ensemble decides; of one bundle, the key of the model is all."""
    if job.score.ensemble == 1:
        return {}
    from raybead.scoring import members_digests

    return {"members": members_digests(model, job.score)}


def in_throwaway_folder() -> bool:
    """Whether this process runs in a working directory that Ray unpacked for a job."""
    return "_ray_pkg_" in str(Path.cwd())

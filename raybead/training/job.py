"""A job's training, whole: from prepared events to a bundle and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from raybead.config import EmdNetworkLoss, Job, Losses
from raybead.errors import TrainingError
from raybead.events import read_parquet, row_count
from raybead.graphs import COLUMNS, JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, EmdBundle, Recipe
from raybead.storage import Folder
from raybead.timing import timed
from raybead.training.determinism import same_bits
from raybead.training.health import warnings_of
from raybead.training.kept import keep
from raybead.training.loop import Trainer
from raybead.training.place import Place
from raybead.training.progress import EpochRecord
from raybead.training.reconstruction import reconstruction_histograms
from raybead.training.split import Split, split_by_event, taken
from raybead.training.start import start_bundle


@dataclass(frozen=True)
class JobTraining:
    """One worker's part in the training of a job's model, ready to run."""

    job: Job
    trainer: Trainer
    scaling: Scaling
    emd: EmdBundle | None
    """The learned distance that the job's loss measures with."""
    counts: dict[str, Any]
    """Jets of each side of the split, and of each generator."""

    @classmethod
    def of(cls, job: Job, events: Folder, place: Place) -> JobTraining:
        """Read the events, split them, fit the scaling, and build the model.

        Args:
            job: of which graph, model, loss, train and seed matter.
            events: prepared background.
            place: where it runs, and with whom.

        Raises:
            TrainingError: the sample doesn't allow it.
        """
        with timed("load events"):
            jets, generators = load_jets(events, job)
        _refuse_one_generator(job, generators)
        split = split_by_event(jets.event_B, job.train, job.seed)
        start = _start(job)
        with timed("fit scaling"):
            scaling = _fitted(job, jets, split) if start is None else start.scaling
            jets = scaling.apply(jets)
        with timed("build"):
            torch.manual_seed(job.seed)
            model = _recipe(job).build().to(place.device)
            if start is not None:
                model.load_state_dict(start.weights)
            wrapped = place.wrapped(model)
            loss = JetLoss(job.loss, Space(job.graph, scaling, place.device))
            trainer = Trainer(
                model, jets, split, loss, job.train, job.seed, team=place.team, wrapped=wrapped
            )
        counts = {
            "jets": dict(zip(split._fields, map(len, split), strict=True)),
            "generators": {
                label: int((jets.generator_B == code).sum())
                for code, label in enumerate(generators)
            },
        }
        return cls(job, trainer, scaling, learned_distance(job.loss), counts)

    def epochs(
        self, place: Place, begun: Callable[[list[EpochRecord]], None] | None = None
    ) -> Iterator[EpochRecord]:
        """Epoch after epoch, from where an earlier try was; state is left behind each.

        Args:
            place: where the training runs.
            begun: told of the epochs of earlier tries, before the first of this one.
        """
        place.take_up(self.trainer)
        if begun is not None:
            begun(self.trainer.progress.history)
        for record in self.trainer.epochs():
            yield record
            with timed("checkpoint"):
                place.leave_state(self.trainer)

    def keep(self, record: EpochRecord, folder: Folder) -> None:
        """Keep the bundle of the epoch just run."""
        epoch = record.epoch + 1
        summary = {
            "epochs": epoch,
            "best_epoch": epoch,
            "validation_loss": record.validation,
            "test_loss": None,
            **self.counts,
        }
        weights = self.trainer.model.state_dict()
        bundle = Bundle(_recipe(self.job), self.scaling, weights, summary, self.emd)
        keep(bundle, folder, epoch)

    def best(self) -> Bundle:
        """The bundle of the best epoch so far."""
        progress = self.trainer.progress
        summary = {
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch + 1,
            "validation_loss": progress.best_loss,
            **self.counts,
        }
        recipe = _recipe(self.job)
        return Bundle(recipe, self.scaling, dict(progress.best_weights), summary, self.emd)

    def finished(self) -> tuple[Bundle, dict[str, Any]]:
        """The bundle of the best epoch, its test loss told, and metrics.

        Metrics are the history of epochs, histograms of the reconstruction, and warnings of what
        ails the model.
        The model has the best epoch's weights from then on.
        """
        trainer, bundle = self.trainer, self.best()
        trainer.model.load_state_dict(bundle.weights)
        split = trainer.split
        # One item alone has no value of a loss that contrasts it with others.
        testable = len(split.test) > (1 if trainer.loss.contrasts else 0)
        with timed("test"):
            test = trainer.evaluate(split.test)["loss"] if testable else math.nan
        bundle.summary["test_loss"] = None if math.isnan(test) else test
        held_out = split.test if len(split.test) else split.validation
        with timed("histograms"):
            histograms = reconstruction_histograms(
                trainer.model, trainer.items.select(held_out), self.scaling, trainer.loss
            )
        with timed("health"), same_bits(self.job.train.deterministic):
            warnings = warnings_of(
                trainer.model,
                trainer.items,
                split.validation,
                trainer.loss,
                self.scaling.scaled_columns,
            )
        history = [asdict(record) for record in trainer.progress.history]
        metrics = {"history": history, "reconstruction": histograms, "warnings": warnings}
        return bundle, metrics


def load_jets(events: Folder, job: Job) -> tuple[JetBatch, tuple[str, ...]]:
    """Jets of a folder of prepared events that training may look at, features unscaled.

    Where a job caps them, they are taken evenly from all: generators lie one behind another.
    """
    files = events.names(".parquet")
    rows = taken([row_count(events, name) for name in files], job.train.max_events)
    parts, generators = [], []
    for name, index in zip(files, rows, strict=True):
        if len(index) == 0:
            continue
        table = read_parquet(events.read(name), f"{events}/{name}", COLUMNS)
        table = table.take(index) if len(index) < len(table) else table
        new = table.column("generator").drop_null().unique().to_pylist()
        generators += [label for label in new if label not in generators]
        parts.append(collate(table, job.graph, tuple(generators)))
    return JetBatch.cat(parts), tuple(generators)


def _recipe(job: Job) -> Recipe:
    return Recipe(graph=job.graph, model=job.model, loss=job.loss)


def learned_distance(losses: Losses) -> EmdBundle | None:
    """The learned distance that a loss measures with, if it does."""
    for term in losses:
        if isinstance(term, EmdNetworkLoss):
            return EmdBundle.load(Folder.at(str(term.bundle)))
    return None


def _fitted(job: Job, jets: JetBatch, split: Split) -> Scaling:
    """The scaling, fitted on what is trained on alone."""
    train = jets.select(split.train)
    return Scaling.fit(job.graph, train.x_TF, train.efps_NE)


def _start(job: Job) -> Bundle | None:
    where = job.train.start_from
    return None if where is None else start_bundle(Folder.at(where), job.graph, job.model)


def _refuse_one_generator(job: Job, generators: tuple[str, ...]) -> None:
    for term in job.loss:
        if "generators" in term.needs and len(generators) < 2:
            raise TrainingError(
                f"loss {term.kind} tells generators apart, and the background that is trained on"
                f" names {', '.join(generators) or 'none'}; two at least are needed"
            )

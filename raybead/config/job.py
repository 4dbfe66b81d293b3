"""The job: every section together, read from TOML, overridden, checked, written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from raybead.config.anneal import refuse_unknown_targets, smallest_batch
from raybead.config.data import Data
from raybead.config.diagnostics import Diagnostics
from raybead.config.emd import Emd
from raybead.config.fault import first_fault
from raybead.config.graph import Graph
from raybead.config.hunt import Calibrate, Hunt, Reach
from raybead.config.jets import Jets, Prepare
from raybead.config.loggers import Loggers
from raybead.config.loss import Losses, MseLoss, refuse_misfit
from raybead.config.model import JetBottleneckModel, Model
from raybead.config.raw import load_raw, parse_raw
from raybead.config.resources import Resources
from raybead.config.score import Score, refuse_unknown_quantities
from raybead.config.section import NAME, Section
from raybead.config.sweep import Sweep
from raybead.config.sweep_rules import refuse_misfit_sweep
from raybead.config.train import Train
from raybead.errors import JobError, UnknownKeyError


class Job(Section):
    """A whole analysis, from raw files to a significance."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Of the run: it lies in ``<output>/<name>``."""
    output: str = "runs"
    """Folder or fsspec URI (s3://, gs://, ...) that runs are kept in."""
    seed: NonNegativeInt = 0
    """Of the whole job: what is trained first, which events are held out, toys. The same seed
    gives the same result."""
    data: Data
    jets: Jets = Jets()
    prepare: Prepare = Prepare()
    graph: Graph = Graph()
    model: Model = JetBottleneckModel(kind="jet-bottleneck")
    loss: Losses = (MseLoss(kind="mse"),)
    train: Train = Train()
    score: Score = Score()
    hunt: Hunt = Hunt()
    calibrate: Calibrate = Calibrate()
    reach: Reach = Reach()
    diagnostics: Diagnostics = Diagnostics()
    emd: Emd = Emd()
    resources: Resources = Resources()
    loggers: Loggers = Loggers()
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _model_and_loss_fit(self) -> Job:
        refuse_misfit(self.model, self.loss, self.graph)
        refuse_unknown_targets(self.train, self.loss)
        refuse_unknown_quantities(self.score, self.model, self.loss)
        if self.sweep is not None:
            refuse_misfit_sweep(self.sweep, self.train, self.hunt)
        smallest = smallest_batch(self.train)
        if smallest < 3 and any(term.contrasts for term in self.loss):
            raise ValueError(
                f"train.batch_items = {smallest} leaves nothing to contrast with; take 3 or more"
            )
        fusion = getattr(self.model, "fusion", None)
        if self.graph.efps is not None and (fusion is None or "efps" not in fusion.tokens):
            raise ValueError("graph.efps: this model takes no polynomials; say [model.fusion]")
        if self.graph.level == "event" and self.graph.jets > self.jets.leading:
            raise ValueError(
                f"graph.jets = {self.graph.jets} are more than jets.leading ="
                f" {self.jets.leading} keeps"
            )
        return self


def load_job(path: str | Path, overrides: Sequence[str] = ()) -> Job:
    """Read a job file.

    Args:
        path: TOML file.
        overrides: ``section.key=value`` with the value in TOML; a bare word is a string.

    Raises:
        JobError: the file can't be read, or says something that no job can say.
    """
    return job_of(load_raw(path, overrides), origin=str(path))


def parse_job(text: str, overrides: Sequence[str] = (), *, origin: str = "job") -> Job:
    """The job that a TOML text says; see :func:`load_job`."""
    return job_of(parse_raw(text, overrides, origin=origin), origin=origin)


def job_of(raw: Mapping[str, Any], *, origin: str = "job") -> Job:
    """The job that a file says, as read.

    Raises:
        JobError: in one line, what no job can say; of a key that no job has, an UnknownKeyError.
    """
    try:
        return Job.model_validate(raw)
    except ValidationError as error:
        fault, unknown = first_fault(error, raw, Job)
        raise (UnknownKeyError if unknown else JobError)(f"{origin}: {fault}") from None


def dump_job(job: Job) -> str:
    """The resolved job as TOML; reading it again gives an equal job."""
    return tomli_w.dumps(job.model_dump(mode="json", exclude_none=True))

"""The job: every section together, read from TOML, overridden, checked, written back."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, Field, NonNegativeInt, ValidationError, model_validator

from raybead.config.anneal import refuse_unknown_targets, smallest_batch
from raybead.config.data import Data
from raybead.config.emd import Emd
from raybead.config.graph import Graph
from raybead.config.hunt import Calibrate, Hunt, Reach
from raybead.config.jets import Jets, Prepare
from raybead.config.loss import Losses, MseLoss, refuse_misfit
from raybead.config.model import JetBottleneckModel, Model
from raybead.config.score import Score, refuse_unknown_quantities
from raybead.config.section import Section
from raybead.config.sweep import Sweep
from raybead.config.train import Train
from raybead.errors import JobError


class Job(Section):
    """A whole analysis, from raw files to a significance."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    output: str = "runs"
    """Folder or fsspec URI (s3://, gs://, ...) that runs are kept in."""
    seed: NonNegativeInt = 0
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
    emd: Emd = Emd()
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _model_and_loss_fit(self) -> Job:
        refuse_misfit(self.model, self.loss, self.graph)
        refuse_unknown_targets(self.train, self.loss)
        refuse_unknown_quantities(self.score, self.model, self.loss)
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
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise JobError(f"{path}: no such job file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: can't be read as text: {error}") from None
    return parse_job(text, overrides, origin=str(path))


def parse_job(text: str, overrides: Sequence[str] = (), *, origin: str = "job") -> Job:
    """The job that a TOML text says; see :func:`load_job`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{origin}: not TOML: {error}") from None
    for override in overrides:
        _apply(raw, override)
    try:
        return Job.model_validate(raw)
    except ValidationError as error:
        raise JobError(f"{origin}: {_first_fault(error, raw)}") from None


def dump_job(job: Job) -> str:
    """The resolved job as TOML; reading it again gives an equal job."""
    return tomli_w.dumps(job.model_dump(mode="json", exclude_none=True))


def _apply(raw: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    parts = key.strip().split(".")
    if not sign or not all(parts):
        raise JobError(f"--set {override!r}: write it as section.key=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    here: Any = raw
    for depth, part in enumerate(parts[:-1]):
        if isinstance(here, list):
            here = here[_place(part, here, override)]
        else:
            here = here.setdefault(part, {})
        if not isinstance(here, (dict, list)):
            raise JobError(f"--set {override!r}: {part} is a value, not a section")
        if isinstance(here, list) and not parts[depth + 1].isdigit():
            raise JobError(
                f"--set {override!r}: {part} is a list of {len(here)}; say which, as {part}.0"
            )
    if isinstance(here, list):
        here[_place(parts[-1], here, override)] = parsed
    else:
        here[parts[-1]] = parsed


def _place(part: str, held: list[Any], override: str) -> int:
    if not part.isdigit() or int(part) >= len(held):
        raise JobError(f"--set {override!r}: {part!r} is no place in a list of {len(held)}")
    return int(part)


def _first_fault(error: ValidationError, raw: Mapping[str, Any]) -> str:
    # A typo often causes a second complaint (its right name is missing): say the typo first.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    key = ".".join(_written_path(fault["loc"], raw))
    if fault["type"] == "extra_forbidden":
        near = _nearest(key)
        if near == key:
            return f"key {key!r} doesn't go with this kind of {key.rpartition('.')[0]}"
        return f"unknown key {key!r}" + (f"; did you mean {near!r}?" if near else "")
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    context = fault.get("ctx", {})
    if fault["type"] == "union_tag_invalid":
        known = str(context["expected_tags"]).replace("'", "").split(", ")
        tag = str(context["tag"])
        near = difflib.get_close_matches(tag, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        discriminator = str(context["discriminator"]).strip("'")
        return f"{key}.{discriminator} = {tag!r} is none of {', '.join(known)}{hint}"
    given = fault["input"]
    shown = "" if isinstance(given, dict) else f" (got {given!r})"
    return f"{key}: {message}{shown}" if key else message


def _written_path(loc: Sequence[str | int], raw: Any) -> Iterator[str]:
    # pydantic puts a union's tag into the location; the file has no such level.
    for depth, part in enumerate(loc):
        inside = isinstance(raw, dict) and part in raw
        inside = inside or (isinstance(raw, list) and isinstance(part, int))
        if inside:
            raw = raw[part]  # type: ignore[index]
            yield str(part)
        elif depth == len(loc) - 1:
            yield str(part)


def _nearest(key: str) -> str | None:
    # Which of an array's tables it is in doesn't matter for what it may be called.
    key = ".".join(part for part in key.split(".") if not part.isdigit())
    section, _, leaf = key.rpartition(".")
    known = set(_known_keys(Job))
    siblings = {name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section}
    near = difflib.get_close_matches(leaf, siblings, n=1, cutoff=0.7)
    if near:
        return f"{section}.{near[0]}" if section else near[0]
    moved = sorted(name for name in known if name.rpartition(".")[2] == leaf)
    elsewhere = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return (moved or elsewhere or [None])[0]


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _models_in(field.annotation):
            yield from _known_keys(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)

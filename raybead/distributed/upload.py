"""What of a working directory is sent to a cluster, and whether a job finds its files in it."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raybead.config import EmdNetworkLoss, FileSource, Job, LhcoSource
from raybead.errors import InputError, JobError
from raybead.storage import found_files, size_text

EXCLUDES = (
    ".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", "*.pyc",
    ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis", ".import_linter_cache",
    ".ipynb_checkpoints", ".cache", "build", "dist", "*.egg-info", ".DS_Store", ".env", ".env.*",
    ".ssh", ".aws", ".azure", ".config", ".docker", ".kube", ".netrc", ".pgpass", ".pypirc",
    ".ray",
)  # fmt: skip
"""Never sent: version control, environments, caches, builds, and where secrets lie."""
_SILENT = logging.getLogger(f"{__name__}.walk")
_SILENT.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Upload:
    """The files of a working directory that Ray sends."""

    folder: Path
    excludes: tuple[str, ...]
    files: Mapping[str, int]
    """Bytes of each, by its path in the folder."""

    @classmethod
    def of(cls, folder: Path, excludes: Sequence[str] = (), output: str = "") -> Upload:
        """What would be sent of a folder.

        Args:
            folder: the working directory.
            excludes: patterns as in a .gitignore, which Ray heeds too.
            output: of the job; it isn't sent where it lies in the folder.

        Raises:
            JobError: it is no folder, can't be read, or is more than Ray takes.
        """
        import ray._private.runtime_env.packaging as ray_packs
        from ray._private.ray_constants import get_runtime_env_default_excludes

        folder = folder.absolute()
        if not folder.is_dir():
            raise JobError(f"--working-dir {folder}: no such folder")
        patterns = (*EXCLUDES, *_output_pattern(folder, output), *excludes)
        found: dict[str, int] = {}

        def note(path: Path) -> None:
            if not path.is_dir():
                found[path.relative_to(folder).as_posix()] = path.stat().st_size

        heeds = os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0") != "1"
        every = [*get_runtime_env_default_excludes(), *patterns]
        try:
            # Ray's own walk, so that what is told here is what is sent.
            ray_packs._dir_travel(
                folder, [ray_packs._get_excludes(folder, every)], note, heeds, _SILENT
            )
        except ValueError as error:
            raise JobError(f"--exclude: {error}") from None
        except OSError as error:
            raise JobError(f"{error.filename or folder}: {error.strerror or error}") from None
        upload = cls(folder, patterns, found)
        upload.refuse_more_than(ray_packs.GCS_STORAGE_MAX_SIZE)
        return upload

    @property
    def size(self) -> int:
        """Bytes of all files, before compression."""
        return sum(self.files.values())

    def refuse_more_than(self, limit: int) -> None:
        """Refuse more bytes than Ray sends of a working directory.

        Raises:
            JobError: with what is largest in it.
        """
        if self.size < limit:
            return
        parts: Counter[str] = Counter()
        for name, size in self.files.items():
            parts[name.partition("/")[0]] += size
        named = ", ".join(f"{name} ({size_text(size)})" for name, size in parts.most_common(3))
        raise JobError(
            f"{self.folder}: {size_text(self.size)} are more than the {size_text(limit)} that Ray"
            f" sends; largest: {named}; say --exclude, or another --working-dir, and give data as"
            " URIs or on a disk that all nodes have"
        )

    def job_file(self, path: Path) -> str:
        """The job file's path as the job sees it.

        Raises:
            JobError: it isn't sent.
        """
        try:
            inside = path.resolve().relative_to(self.folder.resolve()).as_posix()
        except ValueError:
            raise JobError(
                f"{path}: lies outside of --working-dir {self.folder}, which is all that is sent"
            ) from None
        if inside not in self.files:
            raise JobError(
                f"{path}: isn't sent: an exclude, .gitignore or .rayignore leaves it out"
            )
        return inside

    def notes(self, job: Job) -> Iterator[str]:
        """What is worth knowing of where a job's paths lead on the cluster.

        Raises:
            JobError: an input isn't sent, and has no address that could lead to it there.
        """
        for key, path in _inputs(job):
            if "://" in path:
                continue
            if Path(path).is_absolute():
                yield f"{key}: {path} is taken as it is on the cluster"
            else:
                self._refuse_unsent(key, path)
        for key, path in _kept(job):
            if "://" in path:
                continue
            if Path(path).is_absolute():
                yield f"{key}: {path} is taken as it is on the cluster"
            else:
                yield f"{key}: {path} lies in the home folder there, not in what is sent"
        if "raybead/__init__.py" in self.files and not any(
            re.fullmatch(r"raybead/models/_pairs\..*so", name) for name in self.files
        ):
            yield (
                "raybead itself is taken from what is sent, without its compiled parts: slower"
                " than one that is installed on the cluster"
            )

    def _refuse_unsent(self, key: str, path: str) -> None:
        mend = "give a URI, or the path that it has on the cluster"
        try:
            _, found = found_files(str(self.folder / path))
        except InputError:
            found = []
        if not found or not all(Path(file).exists() for file in found):
            raise JobError(f"{key}: {path} isn't in --working-dir {self.folder}; {mend}")
        for file in found:
            name = Path(os.path.relpath(file, self.folder)).as_posix()
            if name not in self.files:
                raise JobError(
                    f"{key}: {path}: {name} isn't sent: it lies outside of the working directory,"
                    f" or an exclude, .gitignore or .rayignore leaves it out; {mend}"
                )


def _inputs(job: Job) -> Iterator[tuple[str, str]]:
    """Files that a job reads, with the keys that name them."""
    for role in ("background", "search", "signal"):
        for source in getattr(job.data, role):
            if isinstance(source, FileSource):
                for path in source.paths:
                    yield f"data.{role}.path", path
            if isinstance(source, LhcoSource) and source.labels is not None:
                yield f"data.{role}.labels", source.labels


def _kept(job: Job) -> Iterator[tuple[str, str]]:
    """Folders of runs and bundles, whose relative paths :mod:`raybead.stages` takes at home."""
    yield "output", job.output
    for run in job.hunt.runs:
        yield "hunt.runs", run
    if job.train.start_from is not None:
        yield "train.start_from", job.train.start_from
    for term in job.loss:
        if isinstance(term, EmdNetworkLoss) and term.bundle is not None:
            yield "loss.bundle", term.bundle


def _output_pattern(folder: Path, output: str) -> Iterator[str]:
    if not output or "://" in output:
        return
    inside = os.path.relpath(folder / output, folder)
    if inside != os.curdir and not inside.startswith(os.pardir):
        yield "/" + re.sub(r"([*?\[\]!#\\ ])", r"\\\1", Path(inside).as_posix())

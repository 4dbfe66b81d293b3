"""Everything under ``cluster/``, file by file, with what judged it: ``make manifests``."""

import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kube
import launcher
import readmes
import shells
import yaml
from strict_yaml import documents

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"


@dataclass(frozen=True)
class Verdict:
    """What one validator says of one thing in a file."""

    file: str
    kind: str
    validator: str
    faults: tuple[str, ...]


def files() -> list[Path]:
    """All that lies under ``cluster/``."""
    return sorted(path for path in CLUSTER.rglob("*") if path.is_file())


def verdicts(path: Path) -> Iterator[Verdict]:
    """Of one file; one of a kind that nobody judges is a fault itself."""
    name = str(path.relative_to(ROOT))
    try:
        for kind, validator, faults in _judged(path):
            yield Verdict(name, kind, validator, tuple(faults))
    except (yaml.YAMLError, ValueError, LookupError) as error:
        yield Verdict(name, "unreadable", "YAML", (" ".join(str(error).split()),))


def _judged(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    text = path.read_text()
    match path.parent.relative_to(CLUSTER).parts[:1], path.name:
        case _, "README.md":
            yield "commands", "shellcheck, raybead's options", readmes.faults(text, ROOT)
            yield "links", "files", readmes.links(text, path.parent)
        case _, "Dockerfile":
            yield "image", "hadolint", shells.hadolint(text)
            yield "image", "user, tags, addresses", shells.image_faults(text)
        case _, "Dockerfile.dockerignore":
            dockerfile = path.with_suffix("").read_text()
            yield "build context", "COPY", shells.context_faults(dockerfile, text, ROOT)
        case _, "requirements.txt":
            yield "packages", "constraints.txt", _unpinned(text)
        case ("slurm",), _:
            yield "batch script", "shellcheck", shells.shellcheck(text)
        case ("cloud",), _:
            (config,) = documents(path)
            yield f"{config['provider']['type']} cluster", "ray up", launcher.faults(config)
        case ("kuberay",), "kustomization.yaml":
            for document in kube.rendered(path.parent):
                yield (
                    f"makes {document['kind']}",
                    kube.validator_of(document),
                    kube.faults(document),
                )
        case ("kuberay",), _ if path.suffix == ".yaml":
            if _is_patch(path):
                made = kube.rendered(path.parent)  # which says so if it doesn't apply
                faults = [fault for document in made for fault in kube.faults(document)]
                yield "patch", "kustomization.yaml beside", faults
                return
            for document in documents(path):
                yield document["kind"], kube.validator_of(document), kube.faults(document)
                if document["kind"] == "RayJob":
                    entry = document["spec"]["entrypoint"]
                    yield "entrypoint", "shellcheck", shells.shellcheck(entry)
                    faults = [
                        fault
                        for words in readmes.commands(entry)
                        for fault in readmes.command_faults(words)
                    ]
                    yield "entrypoint", "raybead's options", faults
        case _:
            yield "file", "nobody", ["nothing here validates such a file"]


def _is_patch(path: Path) -> bool:
    """Whether a kustomization beside it applies it: what comes of it is judged there."""
    beside = path.with_name("kustomization.yaml")
    if not beside.exists():
        return False
    patches = documents(beside)[0].get("patches", ())
    return path.name in [patch["path"] for patch in patches]


def _unpinned(requirements: str) -> list[str]:
    pinned = re.findall(r"(?m)^(\S+)==", (ROOT / "constraints.txt").read_text())
    names = [line for line in requirements.splitlines() if line and not line.startswith("#")]
    return [f"{name} isn't pinned" for name in names if name not in pinned]


def main() -> int:
    """Print the table; 1 if anything is wrong."""
    logging.getLogger("ray").setLevel(logging.WARNING)
    found = [verdict for path in files() for verdict in verdicts(path)]
    widths = [
        max(len(getattr(verdict, column)) for verdict in found)
        for column in ("file", "kind", "validator")
    ]
    for verdict in found:
        cells = (verdict.file, verdict.kind, verdict.validator)
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"{line}  {'refused' if verdict.faults else 'valid'}")
        for fault in verdict.faults:
            print(f"    {fault}")
    bad = sum(bool(verdict.faults) for verdict in found)
    print(f"{len(found)} verdicts, {bad} refused")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

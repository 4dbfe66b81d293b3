"""Commands in READMEs and manifests: whether this raybead would take them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from cyclopts.exceptions import CycloptsError
from shells import shellcheck

from raybead.cli import app


def blocks(text: str) -> list[str]:
    """Fenced code of a README, but for what is TOML or else no shell."""
    return re.findall(r"(?ms)^ *```(?:sh)?\n(.*?)^ *```$", text)


def commands(script: str) -> Iterator[list[str]]:
    """The raybead commands of a script, as words, without ``raybead``."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["raybead"]:
            yield words[1:]
        elif "--" in words and words[words.index("--") + 1] == "raybead":  # ray job submit
            yield words[words.index("--") + 2 :]
        for place, word in enumerate(words):
            if word.endswith("/raybead.sbatch"):
                yield ["run", *words[place + 1 :]]


def command_faults(words: list[str]) -> list[str]:
    """What the command line has against it."""
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return [f"raybead {shlex.join(words)}: {error}"]
    return []


def faults(text: str, tree: Path) -> list[str]:
    """What is wrong with a README's commands, and with the files that it names."""
    found = []
    for script in blocks(text):
        found += shellcheck(script, "SC1091")  # an environment to be activated
        for words in commands(script):
            found += command_faults(words)
        for path in re.findall(r"(?<![\w/.:])(?:cluster|jobs)/[\w./-]+", script):
            if not (tree / path).exists():
                found.append(f"{path} isn't there")
    return found


def links(text: str, here: Path) -> list[str]:
    """Links that lead nowhere."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    return [f"{target} isn't there" for target in targets if not (here / target).exists()]

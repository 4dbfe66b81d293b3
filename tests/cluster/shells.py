"""Shell scripts, commands inside of YAML, and the Dockerfile, through their linters."""

import re
import subprocess
import sysconfig
from pathlib import Path

SCRIPTS = Path(sysconfig.get_path("scripts"))  # where pip puts a wheel's programs


def shellcheck(script: str, but: str = "") -> list[str]:
    """What shellcheck has against a bash script; ``but`` names a rule that doesn't count."""
    return _lint(
        "shellcheck", "--shell=bash", "--format=gcc", f"--exclude={but}", "-", given=script
    )


def hadolint(dockerfile: str) -> list[str]:
    """What hadolint has against a Dockerfile and, by shellcheck, against its commands."""
    return _lint("hadolint", "--no-color", "--failure-threshold=style", "-", given=dockerfile)


def _lint(program: str, *arguments: str, given: str) -> list[str]:
    done = subprocess.run(
        [SCRIPTS / program, *arguments],
        input=given,
        capture_output=True,
        text=True,
        env={"PATH": "", "NO_COLOR": "1"},
        timeout=60,
    )
    said = (done.stdout + done.stderr).splitlines()
    return said or [f"{program} ended with {done.returncode}"] if done.returncode else []


def instructions(dockerfile: str) -> list[list[str]]:
    """Of a Dockerfile, each as its name and the rest."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]


def image_faults(dockerfile: str) -> list[str]:
    """What a linter doesn't ask: root, tags, other people's addresses, compilers that stay."""
    stages = [
        chunk.splitlines() for chunk in re.split(r"(?m)^(?=FROM )", dockerfile)[1:]
    ]  # each begins with its FROM
    user, parents, found = {}, {}, []
    compilers = re.compile(r"apt-get install[^&]*\b(gcc|g\+\+|build-essential)\b")
    for stage in stages:
        done = instructions("\n".join(stage))
        base, _, name = done[0][1].partition(" AS ")
        parents[name] = base
        user[name] = user.get(base, "root")
        for what, rest in done[1:]:
            if what == "USER":
                user[name] = rest
            if what == "RUN" and compilers.search(rest) and name != "builder":
                found.append(f"{name}: a compiler stays in the image")
    for name in parents.keys() - set(parents.values()) - {"builder"}:
        if not re.fullmatch(r"[1-9]\d*(:\d+)?", user[name]):
            found.append(f"{name} runs as {user[name]}; a number above 0 is what Kubernetes sees")
    for base in re.findall(r"(?m)^ARG PYTHON=(\S+)|^FROM (\S+:\S+)", dockerfile):
        if "".join(base).endswith(":latest"):
            found.append(f"{''.join(base)} is another one tomorrow")
    if re.search(r"https?://", dockerfile):
        found.append("an address is written down")
    return found


def context_faults(dockerfile: str, ignore: str, tree: Path) -> list[str]:
    """What a Dockerfile copies, and its ignore file keeps out or nobody has."""
    let_in = [line[1:] for line in ignore.splitlines() if line.startswith("!")]
    found = [
        f"lets in {pattern}, which isn't there"
        for pattern in let_in
        if not any(tree.glob(pattern))
    ]
    if "*" not in ignore.splitlines():
        found.append("sends the whole tree")
    for what, rest in instructions(dockerfile):
        if what == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                kept = [pattern for pattern in let_in if pattern.split("/*")[0] == source]
                if not kept or not (tree / source).exists():
                    found.append(f"copies {source}, which isn't let in")
    return found

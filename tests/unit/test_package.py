import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_installed():
    held = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "raybead").rglob("__init__.py")
    }
    assert set(held) == found | {"raybead.jobs"}

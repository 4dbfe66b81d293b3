"""YAML as Kubernetes and Ray read it, but for keys that stand twice: those are refused."""

from pathlib import Path
from typing import Any

import yaml


class _Once(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def documents(path: Path) -> list[Any]:
    """All documents of a file."""
    return list(yaml.load_all(path.read_text(), _Once))

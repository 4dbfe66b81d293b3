"""Ray cluster launcher files: as `ray up` reads them, and what it would find out too late."""

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config
from shells import shellcheck

GIVEN = "export RAY_HEAD_IP=10.0.0.1\n"  # what Ray sets before a worker's commands


def faults(config: dict[str, Any]) -> list[str]:
    """What is wrong with a launcher file."""
    try:
        # Written as one means it: Ray fills in a good deal, which may hide what is missing.
        ready = prepare_config(copy.deepcopy(config))
        validate_config(ready)
    except (ValidationError, ValueError, RuntimeError, KeyError) as error:
        return [str(error).splitlines()[0][:200]]
    return [*_types(config), *_words(config), *_commands(ready)]


def _types(config: dict[str, Any]) -> Iterator[str]:
    types = config["available_node_types"]
    head = types[config["head_node_type"]]
    if head["resources"].get("CPU") != 0:
        yield "head: takes work"
    if "scheduling" in head["node_config"] or "InstanceMarketOptions" in head["node_config"]:
        yield "head: on a spot node, and everything ends with it"
    for name, kind in types.items():
        if kind is head:
            continue
        least, most = kind.get("min_workers", 0), kind.get("max_workers", config["max_workers"])
        if not 0 <= least <= most <= config["max_workers"]:
            yield f"{name}: min_workers, max_workers and the cluster's don't fit"
        if least:
            yield f"{name}: {least} nodes stay when nobody needs them"
        if kind["resources"].get("GPU") and "cuda" not in kind.get("docker", {}).get(
            "worker_image", ""
        ):
            yield f"{name}: GPUs, and no image that can use them"
    if not config.get("idle_timeout_minutes"):
        yield "idle nodes stay"


def _words(config: dict[str, Any]) -> Iterator[str]:
    docker = config["docker"]
    images = [docker["image"]] + [
        kind["docker"]["worker_image"]
        for kind in config["available_node_types"].values()
        if "docker" in kind
    ]
    for image in images:
        if ":" not in image or image.endswith(":latest"):
            yield f"image {image} is another one tomorrow"
    if "--env RAY_AUTH_MODE=token" not in docker.get("run_options", ()):
        yield "no token"
    if not any(path.endswith("/.ray/auth_token") for path in config.get("file_mounts", {})):
        yield "nodes don't get the token"


def _commands(ready: dict[str, Any]) -> Iterator[str]:
    for key, commands in ready.items():
        if not key.endswith("_commands"):
            continue
        for command in commands:
            yield from (f"{key}: {said}" for said in shellcheck(GIVEN + command))
            if "0.0.0.0" in command or "/ray-wheels/" in command:
                yield f"{key}: what Ray fills in where nothing is said"
    if not any("--autoscaling-config=" in one for one in ready["head_start_ray_commands"]):
        yield "head: doesn't scale"

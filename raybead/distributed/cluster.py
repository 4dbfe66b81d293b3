"""What a Ray cluster has at a moment, and what an autoscaler may still bring.

Everything is asked anew by each stage: a cluster that grew for the last one shrinks meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Resources = Mapping[str, float]
"""By Ray's names: CPU, GPU, memory [bytes], and custom ones."""
UNLIMITED = -1
_NODE_GROUP = "ray.io/node-group"
"""Label of nodes that a launcher started, as one of its types."""
_AUTOSCALER, _NEWER, _STATUS = (
    b"__autoscaler",
    b"__autoscaler_v2_enabled",
    b"__autoscaling_status",
)
_started_here = False


@dataclass(frozen=True)
class Kind:
    """A kind of nodes that an autoscaler may bring."""

    resources: Resources
    most: int
    """Nodes at most; -1 without a limit."""


@dataclass(frozen=True)
class Cluster:
    """What a Ray cluster has now. An autoscaled one may get more."""

    address: str
    nodes: tuple[Resources, ...]
    """Of each node that is up, all that it has, in use or not."""
    grows: bool
    """Whether nodes may come when they are asked for; true as well where that can't be told."""
    kinds: tuple[Kind, ...] | None = None
    """Of nodes that may come, where the autoscaler's configuration is known."""

    @property
    def cpus(self) -> int:
        """None on a head that takes no work, before any worker is up."""
        return int(self.total("CPU"))

    @property
    def gpus(self) -> int:
        return int(self.total("GPU"))

    def total(self, name: str) -> float:
        """Of a resource, all nodes together."""
        return sum(node.get(name, 0) for node in self.nodes)

    def largest(self, name: str) -> float:
        """Of a resource, what a single node has or may have at most: one process gets no more."""
        coming = [kind.resources for kind in self._coming()]
        return max((node.get(name, 0) for node in (*self.nodes, *coming)), default=0)

    def may_bring(self, name: str) -> bool:
        """Whether nodes with a resource are known to come when they are asked for."""
        return any(kind.resources.get(name, 0) > 0 for kind in self._coming())

    def room(self, wanted: Resources) -> float:
        """How many processes that want so much fit on the nodes that are up, if all was free;
        infinite where they want nothing."""
        return _room(((node, 1) for node in self.nodes), wanted)

    def most_room(self, wanted: Resources) -> float:
        """How many fit at most, with all that may come; infinite where that isn't known."""
        if not self.grows:
            return self.room(wanted)
        if self.kinds is None:
            return math.inf
        coming = ((kind.resources, kind.most) for kind in self._coming())
        return max(_room(coming, wanted), self.room(wanted))

    def has(self) -> str:
        """In words."""
        nodes = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        return f"{nodes} with {self.cpus} CPUs and {self.gpus} GPUs"

    def _coming(self) -> tuple[Kind, ...]:
        return (self.kinds or ()) if self.grows else ()


def cluster_now() -> Cluster:
    """The cluster that this process is connected to, as it is now."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    grows = not _started_here and _has_autoscaler(alive)
    return Cluster(
        address=ray.get_runtime_context().gcs_address,
        nodes=tuple(dict(node["Resources"]) for node in alive),
        grows=grows,
        kinds=_kinds() if grows else None,
    )


def started_here(yes: bool) -> None:
    """Remember whether this process started the cluster itself, which then never grows."""
    global _started_here
    _started_here = yes


def _room(nodes: Iterable[tuple[Resources, int]], wanted: Resources) -> float:
    wants = {name: amount for name, amount in wanted.items() if amount > 0}
    if not wants:
        return math.inf
    total = 0.0
    for node, count in nodes:
        fits = min(int(node.get(name, 0) / amount + 1e-9) for name, amount in wants.items())
        total += fits * (math.inf if count == UNLIMITED and fits else max(count, 0))
    return total


def _has_autoscaler(alive: list[dict[str, Any]]) -> bool:
    """Whether the cluster has one; true if that can't be told.

    Launchers of Ray's newer autoscaler name the group of every node. The older one reports kinds
    of nodes by their names in its configuration; where there is none to follow, Ray's monitor
    reports every node as a kind of its own, ``node_<id>``.
    """
    if any(_NODE_GROUP in node.get("Labels", {}) for node in alive):
        return True
    try:
        from ray.experimental.internal_kv import _internal_kv_get

        newer = _internal_kv_get(_NEWER, namespace=_AUTOSCALER)
        if newer == b"1":
            return False
        status = _internal_kv_get(_STATUS)
    except Exception:  # noqa: BLE001  Ray's own parts, which a later Ray may have elsewhere
        return True
    return status is None or follows_configuration(status)


def follows_configuration(status: bytes) -> bool:
    """Whether the report of Ray's monitor is that of an autoscaler with a configuration."""
    try:
        report = json.loads(status)["autoscaler_report"]
        kinds = {**report["active_nodes"], **(report["idle_nodes"] or {})}
        by_node = report["node_type_mapping"] or {}
    except (ValueError, KeyError, TypeError):
        return True
    mirrored = {f"node_{node}" for node in by_node}
    return not {*kinds, *by_node.values()} <= mirrored


def _kinds() -> tuple[Kind, ...] | None:
    """Kinds of nodes that may come; None where nobody told Ray, as few launchers do."""
    try:
        import ray

        config = ray._private.state.state.get_cluster_config()  # type: ignore[attr-defined]
        groups = list(config.node_group_configs) if config else []
    except Exception:  # noqa: BLE001  likewise
        return None
    kinds = [Kind(dict(group.resources), group.max_count) for group in groups if group.max_count]
    return tuple(kinds) or None

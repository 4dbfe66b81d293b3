"""Kubernetes manifests: their schemas, what no schema says, and what kustomize makes of them.

Kubernetes' own kinds, pods above all, are held against its OpenAPI definitions as the package
kubernetes-validate brings them, in the strict form that refuses unknown fields; KubeRay's and
Kueue's against the compact schemas beside this file.
"""

import copy
import functools
import importlib.resources
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from strict_yaml import documents

KUBERNETES = "1.37.0"
OWN = ("ray_v1", "kueue_v1beta2")
QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]i?|)")
SCALE = {"m": 1e-3, "": 1} | {
    letter + i: base**power
    for power, letter in enumerate("kMGTPE", 1)
    for i, base in (("", 1000), ("i", 1024))
}
ENUMS = {
    "operator": {"Exists", "Equal", "In", "NotIn", "DoesNotExist"},
    "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
    "restartPolicy": {"Never", "OnFailure", "Always"},
    "imagePullPolicy": {"Never", "IfNotPresent", "Always"},
    "fsGroupChangePolicy": {"OnRootMismatch", "Always"},
    "protocol": {"TCP", "UDP", "SCTP"},
    "submissionMode": {"K8sJobMode"},  # the others leave the submitter to KubeRay's own pod
}
"""Values that Kubernetes checks, and its schema leaves open."""


@functools.cache
def _schemas() -> tuple[Registry, dict[tuple[str, str], str]]:
    """All definitions, and by (apiVersion, kind) where its own is."""
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{KUBERNETES}-local-strict" / "_definitions.json").read_text()
    kubernetes = {"$defs": json.loads(text)["$defs"]}
    places = {}
    for name, schema in kubernetes["$defs"].items():
        for known in schema.get("x-kubernetes-group-version-kind", ()):
            api = "/".join(part for part in (known["group"], known["version"]) if part)
            places[api, known["kind"]] = f"kubernetes.json#/$defs/{name}"
    registry = Registry().with_resource(
        "kubernetes.json", Resource(kubernetes, specification=DRAFT202012)
    )
    for name in OWN:
        schema = json.loads(Path(__file__).with_name(f"{name}.schema.json").read_text())
        registry = registry.with_resource(f"{name}.json", Resource.from_contents(schema))
        for kind, definition in schema["$defs"].items():
            if "apiVersion" in definition["properties"]:
                api = definition["properties"]["apiVersion"]["const"]
                places[api, kind] = f"{name}.json#/$defs/{kind}"
    return registry, places


def validator_of(document: dict[str, Any]) -> str:
    """Which schema is a document's, in words."""
    place = _schemas()[1].get((document.get("apiVersion", ""), document.get("kind", "")), "")
    return f"Kubernetes {KUBERNETES}" if place.startswith("kubernetes") else place.split(".")[0]


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest; nothing, if it may be applied."""
    registry, places = _schemas()
    known = document.get("apiVersion", ""), document.get("kind", "")
    if known not in places:
        return [f"no schema for {known}"]
    found = [
        f"{'.'.join(map(str, error.absolute_path)) or 'document'}: {error.message[:200]}"
        for error in Draft202012Validator({"$ref": places[known]}, registry=registry).iter_errors(
            document
        )
    ]
    # Each takes for granted what the one before it found right.
    return found or list(_values(document)) or [*_pods(document), *_ray(document)]


def _values(value: Any, path: str = "") -> Iterator[str]:
    match value:
        case None:
            yield f"{path}: empty"
        case list():
            for place, item in enumerate(value):
                yield from _values(item, f"{path}.{place}")
        case dict():
            for key, item in value.items():
                if key in ENUMS and isinstance(item, str) and item not in ENUMS[key]:
                    yield f"{path}.{key}: {item!r} is none of {sorted(ENUMS[key])}"
                if key in ("requests", "limits") and isinstance(item, dict):
                    for name, amount in item.items():
                        if not QUANTITY.fullmatch(str(amount)):
                            yield f"{path}.{key}.{name}: {amount!r} is no quantity"
                yield from _values(item, f"{path}.{key}")


def quantity(text: str | int) -> float:
    """In units: CPUs, bytes, GPUs."""
    if (found := QUANTITY.fullmatch(str(text))) is None:
        raise ValueError(f"{text!r} is no quantity")
    number, suffix = found.groups()
    return float(number) * SCALE[suffix]


def cluster_spec(document: dict[str, Any]) -> dict[str, Any]:
    """Of a RayCluster or of a RayJob."""
    spec = document["spec"]
    return spec if document["kind"] == "RayCluster" else spec["rayClusterSpec"]


def pods(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Pod templates by name."""
    if document["kind"] not in ("RayCluster", "RayJob"):
        return {}
    spec = cluster_spec(document)
    found = {"head": spec["headGroupSpec"]["template"]}
    for group in spec["workerGroupSpecs"]:
        found[group["groupName"]] = group["template"]
    if "submitterPodTemplate" in document["spec"]:
        found["submitter"] = document["spec"]["submitterPodTemplate"]
    return found


def _pods(document: dict[str, Any]) -> Iterator[str]:
    for name, pod in pods(document).items():
        inside = pod["spec"]
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if inside.get(field):
                yield f"{name}: {field}"
        given = {volume["name"] for volume in inside.get("volumes", ())}
        for volume in inside.get("volumes", ()):
            if "hostPath" in volume:
                yield f"{name}: mounts a folder of its host"
        for container in (*inside["containers"], *inside.get("initContainers", ())):
            where = f"{name}/{container['name']}"
            yield from (f"{where}: {fault}" for fault in _open(container.get("securityContext")))
            image = container.get("image", "")
            if not re.fullmatch(r"[a-z0-9./-]+(:\d+/[a-z0-9./-]+)?:[\w.-]+", image):
                yield f"{where}: image {image!r} has no tag"
            elif image.endswith(":latest"):
                yield f"{where}: image {image} is another one tomorrow"
            for variable in container.get("env", ()):
                if re.search("TOKEN|SECRET|PASSWORD|KEY", variable["name"]) and variable.get(
                    "value"
                ):
                    yield f"{where}: {variable['name']} in the open"
            for mount in container.get("volumeMounts", ()):
                if mount["name"] not in given:
                    yield f"{where}: mounts {mount['name']}, which the pod hasn't"
            yield from (f"{where}: {fault}" for fault in _amounts(container.get("resources", {})))


def _open(context: dict[str, Any] | None) -> Iterator[str]:
    """What the Pod Security Standard `restricted` would refuse."""
    context = context or {}
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 1000) == 0:
        yield "may run as root"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {
        "NET_BIND_SERVICE"
    }:
        yield "keeps capabilities"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"


def _amounts(resources: dict[str, Any]) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name in ("cpu", "memory"):
        if name not in requests or name not in limits:
            yield f"says not how much {name} it takes"
    for name, limit in limits.items():
        if name in requests and quantity(requests[name]) > quantity(limit):
            yield f"asks for more {name} than it may have"
        if name.endswith("/gpu") and requests.get(name, limit) != limit:
            yield f"{name} can't be requested in part"


def _ray(document: dict[str, Any]) -> Iterator[str]:
    if document["kind"] not in ("RayCluster", "RayJob"):
        return
    spec = cluster_spec(document)
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "anyone who reaches the dashboard may run code: no token"
    if not spec.get("enableInTreeAutoscaling"):
        yield "doesn't scale"
    options = spec.get("autoscalerOptions", {})
    yield from (f"autoscaler: {fault}" for fault in _open(options.get("securityContext")))
    if spec["headGroupSpec"].get("rayStartParams", {}).get("num-cpus") != "0":
        yield "head: takes work"
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    if len(set(names)) < len(names):
        yield "two groups of one name"
    for group in spec["workerGroupSpecs"]:
        if not group["minReplicas"] <= group.get("replicas", 0) <= group["maxReplicas"]:
            yield f"{group['groupName']}: replicas outside of minReplicas and maxReplicas"
        if "idleTimeoutSeconds" in group and options.get("version") != "v2":
            yield f"{group['groupName']}: idleTimeoutSeconds needs autoscaler v2"
    if document["kind"] == "RayJob" and not document["spec"].get("shutdownAfterJobFinishes"):
        yield "its cluster would stay when the job is done"


def merged(document: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386), which is what kustomize does to kinds it doesn't know."""
    if not isinstance(patch, dict):
        return patch
    out = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What ``kubectl kustomize`` makes of a folder, as far as these folders use it.

    Raises:
        ValueError: a kustomization says what isn't understood here, or patches nothing.
    """
    (says,) = documents(folder / "kustomization.yaml")
    unknown = set(says) - {"apiVersion", "kind", "resources", "patches"}
    if unknown or (says["apiVersion"], says["kind"]) != (
        "kustomize.config.k8s.io/v1beta1",
        "Kustomization",
    ):
        raise ValueError(f"{folder.name}: not understood: {sorted(unknown) or says['kind']}")
    found: list[dict[str, Any]] = []
    for entry in says["resources"]:
        path = folder / entry
        found += rendered(path) if path.is_dir() else documents(path)
    for patch in says.get("patches", ()):
        (change,) = documents(folder / patch["path"])
        target = patch.get("target") or {
            "kind": change["kind"],
            "name": change["metadata"]["name"],
        }
        hit = [
            place
            for place, document in enumerate(found)
            if (document["kind"], document["metadata"]["name"]) == (target["kind"], target["name"])
        ]
        if not hit:
            raise ValueError(f"{folder.name}: {patch['path']} changes nothing")
        for place in hit:
            document = copy.deepcopy(found[place])
            found[place] = (
                jsonpatch.apply_patch(document, change)
                if isinstance(change, list)
                else merged(document, change)
            )
    return found

"""What stands in ``cluster/`` and elsewhere too can't drift apart."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import kube
import pytest
import readmes
import validate
from strict_yaml import documents

import raybead
from raybead.config import Resources, parse_job

ROOT, CLUSTER = validate.ROOT, validate.CLUSTER
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(re.findall(r"(?m)^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
(STANDING,) = documents(CLUSTER / "kuberay/standing/raycluster.yaml")
(JOB,) = documents(CLUSTER / "kuberay/job/rayjob.yaml")
LAUNCHED = [documents(CLUSTER / "cloud" / name)[0] for name in ("aws.yaml", "gcp.yaml")]
OBJECT_STORE = 0.3  # of a node's memory, which Ray keeps for itself


def containers(document):
    for pod in kube.pods(document).values():
        yield from pod["spec"]["containers"]


def nodes():
    """By group: CPUs, memory and GPUs of a node, and how many there may be."""
    found = {}
    for group in kube.cluster_spec(STANDING)["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
        gpus = int(limits.get("nvidia.com/gpu", 0))
        memory = kube.quantity(limits["memory"])
        found[group["groupName"]] = int(limits["cpu"]), memory, gpus, group["maxReplicas"]
    return found


def test_versions_are_those_that_are_pinned():
    assert kube.cluster_spec(STANDING)["rayVersion"] == PINNED["ray"]
    assert PROJECT["version"] == raybead.__version__
    images = {
        container["image"] for document in (STANDING, JOB) for container in containers(document)
    }
    for config in LAUNCHED:
        images |= {config["docker"]["image"]}
        images |= {
            kind["docker"]["worker_image"]
            for kind in config["available_node_types"].values()
            if "docker" in kind
        }
    assert images == {f"raybead:{PROJECT['version']}-{kind}" for kind in ("cpu", "cuda")}


def test_the_image_is_of_the_python_that_is_tested():
    (python,) = re.findall(r"(?m)^PYTHON \?= python(\S+)$", (ROOT / "Makefile").read_text())
    dockerfile = (CLUSTER / "image/Dockerfile").read_text()
    assert re.findall(r"(?m)^ARG PYTHON=python:([\d.]+)-slim", dockerfile) == [python]
    stages = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", dockerfile))
    readme = (CLUSTER / "image/README.md").read_text()
    assert set(re.findall(r"--target (\w+) --tag raybead:[\d.]+-\1", readme)) == {"cpu", "cuda"}
    assert {"cpu", "cuda"} <= stages


def test_gpus_have_the_image_that_can_use_them():
    for document in (STANDING, JOB):
        for container in containers(document):
            gpu = "nvidia.com/gpu" in container["resources"]["limits"]
            assert container["image"].endswith("cuda") == gpu


def test_a_job_has_the_cluster_that_stands_and_its_file():
    head = kube.cluster_spec(JOB)["headGroupSpec"]["template"]["spec"]
    (volume,) = head.pop("volumes")
    (mount,) = head["containers"][0].pop("volumeMounts")
    assert kube.cluster_spec(JOB) == kube.cluster_spec(STANDING)
    assert volume["name"] == mount["name"]
    (words,) = readmes.commands(JOB["spec"]["entrypoint"])
    assert words == ["run", f"{mount['mountPath']}/job.toml"]
    readme = (CLUSTER / "kuberay/README.md").read_text()
    assert f"create configmap {volume['configMap']['name']} --from-file=job.toml=" in readme


def test_the_launchers_nodes_are_those_of_kuberay():
    for config in LAUNCHED:
        workers = {
            name: (kind["resources"]["CPU"], kind["resources"].get("GPU", 0), kind["max_workers"])
            for name, kind in config["available_node_types"].items()
            if name != config["head_node_type"]
        }
        assert workers == {name: (cpus, gpus, n) for name, (cpus, _, gpus, n) in nodes().items()}


def test_the_quota_is_what_the_manifests_ask_for():
    asked = {}
    spec = kube.cluster_spec(JOB)
    counts = {group["groupName"]: group["maxReplicas"] for group in spec["workerGroupSpecs"]}
    takes = [(spec["autoscalerOptions"]["resources"]["requests"], 1)]
    for name, pod in kube.pods(JOB).items():
        (container,) = pod["spec"]["containers"]
        takes.append((container["resources"]["requests"], counts.get(name, 1)))
    for requests, times in takes:
        for name, amount in requests.items():
            asked[name] = asked.get(name, 0) + kube.quantity(amount) * times
    _, queue, local = documents(CLUSTER / "kuberay/queues.yaml")
    (group,) = queue["spec"]["resourceGroups"]
    (flavor,) = group["flavors"]
    quota = {each["name"]: kube.quantity(each["nominalQuota"]) for each in flavor["resources"]}
    assert set(group["coveredResources"]) == set(quota) == set(asked)
    for name, amount in asked.items():
        assert amount <= quota[name] <= 1.05 * amount, name
    (patch,) = documents(CLUSTER / "kuberay/job-in-queue/queue.yaml")
    assert patch["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["metadata"]["name"]
    assert local["spec"]["clusterQueue"] == queue["metadata"]["name"]


def fits(ask, cpus, gpus=0):
    """Groups with room for one such process; ``cpus`` and ``gpus`` where the job says none."""
    cpus = cpus if ask.cpus is None else ask.cpus
    return {
        name
        for name, (has, memory, has_gpus, _) in nodes().items()
        if cpus <= has and gpus <= has_gpus and (ask.memory or 0) <= memory * (1 - OBJECT_STORE)
    }


def told():
    """The job that the README's table tells what to ask for."""
    text = (CLUSTER / "README.md").read_text()
    (toml,) = re.findall(r"(?ms)^```toml\n(.*?)^```$", text)
    data = 'name = "x"\n[data.background]\nsource = "lhco"\npath = "x"\n'
    return parse_job(f"{data}{data.partition(chr(10))[2].replace('background', 'search')}{toml}")


@pytest.mark.parametrize("resources", [Resources(), told().resources], ids=["default", "README"])
def test_every_stage_fits_a_node(resources):
    assert {"cpu", "gpu"} <= fits(resources.prepare, 1)
    assert {"cpu", "gpu"} <= fits(resources.hunt, 1)
    assert fits(resources.train, 1, gpus=1) == fits(resources.score, 0.5, gpus=1) == {"gpu"}
    assert "cpu" in fits(resources.train, 1)
    # The head has no CPU to give, and the job itself stays there.
    assert resources.driver.cpus == 0


def test_what_fits_no_node_is_seen():
    asks = [
        Resources.model_validate({"prepare": ask}).prepare
        for ask in ({"cpus": 9}, {"memory": "23GiB"})
    ]
    assert [fits(ask, 1) for ask in asks] == [set(), set()]


def test_the_readmes_job_uses_the_gpus_there_are():
    job = told()
    assert job.train.use_gpu is True
    assert job.train.workers <= nodes()["gpu"][3]


def plain(requirements):
    """Names of packages, without versions and extras."""
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in requirements}


def test_what_is_imported_is_in_the_image():
    """Each package that raybead imports, at whatever depth, is one that the image asks pip for."""
    dockerfile = (CLUSTER / "image/Dockerfile").read_text()
    asked = plain(PROJECT["dependencies"]) | {"pydantic-core"}  # pydantic's own other half
    for extra in re.findall(r'\*extras\["(\w+)"\]', dockerfile):
        asked |= plain(PROJECT["optional-dependencies"][extra])
    offered = packages_distributions()
    missing = set()
    for path in (ROOT / "raybead").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import():
                    tops = {alias.name.partition(".")[0] for alias in node.names}
                case ast.ImportFrom(level=0, module=str(module)):
                    tops = {module.partition(".")[0]}
                case _:
                    continue
            for top in tops - sys.stdlib_module_names - {"raybead"}:
                if not plain(offered.get(top, [top])) & asked:
                    missing.add(f"{path.relative_to(ROOT)}: {top}")
    assert missing == set()

"""Files of ``cluster/`` are valid, and each validator refuses what is wrong."""

import copy
import functools
import operator
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kube
import launcher
import pytest
import readmes
import shells
import strict_yaml
import validate
import yaml

KUBERAY = validate.CLUSTER / "kuberay"
FOLDERS = [path.parent for path in sorted(KUBERAY.rglob("kustomization.yaml"))]
POD = ("spec", "headGroupSpec", "template", "spec")
HEAD = (*POD, "containers", 0)
WORKER = ("spec", "workerGroupSpecs", 1)
GONE = object()


@pytest.mark.parametrize(
    "path", validate.files(), ids=lambda path: str(path.relative_to(validate.CLUSTER))
)
def test_is_valid(path):
    found = list(validate.verdicts(path))
    assert found
    assert [verdict for verdict in found if verdict.faults] == []


def test_a_file_that_nobody_judges_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(validate, "CLUSTER", tmp_path)
    monkeypatch.setattr(validate, "ROOT", tmp_path)
    (tmp_path / "x.conf").touch()
    assert [verdict.validator for verdict in validate.verdicts(tmp_path / "x.conf")] == ["nobody"]


def one(path):
    (document,) = strict_yaml.documents(validate.CLUSTER / path)
    return document


def changed(document, path, value):
    document = copy.deepcopy(document)
    *way, last = path
    inside: Any = functools.reduce(operator.getitem, way, document)
    if value is GONE:
        del inside[last]
    else:
        inside[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("apiVersion",), "ray.io/v1alpha1", "no schema"),
        (("metadata", "label"), {}, "'label' was unexpected"),
        (("spec", "rayVersionn"), "2.60.0", "'rayVersionn' was unexpected"),
        (("spec", "authOptions", "mode"), "tokens", "'tokens' is not one of"),
        (("spec", "authOptions"), GONE, "no token"),
        (("spec", "enableInTreeAutoscaling"), "true", "not of type 'boolean'"),
        (("spec", "enableInTreeAutoscaling"), False, "doesn't scale"),
        (("spec", "autoscalerOptions", "version"), "v3", "not one of"),
        (("spec", "autoscalerOptions", "version"), "v1", "needs autoscaler v2"),
        (("spec", "autoscalerOptions", "securityContext"), GONE, "may run as root"),
        (("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0, "not of type 'string'"),
        (("spec", "headGroupSpec", "rayStartParams", "num-cpus"), GONE, "takes work"),
        ((*POD, "serviceAcountName"), "x", "unexpected"),
        ((*POD, "hostNetwork"), True, "hostNetwork"),
        ((*POD, "volumes"), [{"name": "x", "hostPath": {"path": "/"}}], "folder of its host"),
        ((*POD, "securityContext", "fsGroup"), "1000", "not of type 'integer'"),
        ((*POD, "securityContext", "fsGroupChangePolicy"), "Often", "none of"),
        ((*HEAD, "imag"), "x", "unexpected"),
        ((*HEAD, "name"), GONE, "'name' is a required property"),
        ((*HEAD, "image"), "raybead:latest", "another one tomorrow"),
        ((*HEAD, "image"), "raybead", "no tag"),
        ((*HEAD, "image"), None, "empty"),
        ((*HEAD, "ports", 0, "containerPort"), "6379", "not of type 'integer'"),
        ((*HEAD, "securityContext", "runAsNonRoot"), False, "may run as root"),
        ((*HEAD, "securityContext", "runAsUser"), 0, "may run as root"),
        ((*HEAD, "securityContext", "allowPrivilegeEscalation"), GONE, "may gain privileges"),
        ((*HEAD, "securityContext", "privileged"), True, "may gain privileges"),
        ((*HEAD, "securityContext", "capabilities"), {"drop": ["CHOWN"]}, "keeps capabilities"),
        ((*HEAD, "securityContext", "seccompProfile"), GONE, "seccomp"),
        ((*HEAD, "env"), [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}], "in the open"),
        ((*HEAD, "volumeMounts"), [{"name": "x", "mountPath": "/x"}], "which the pod hasn't"),
        ((*HEAD, "resources", "requests", "memory"), "8GB", "no quantity"),
        ((*HEAD, "resources", "requests", "memory"), "9Gi", "more memory than"),
        ((*HEAD, "resources", "limits"), GONE, "how much cpu"),
        ((*WORKER, "replicas"), 5, "outside of"),
        ((*WORKER, "maxReplicas"), GONE, "'maxReplicas' is a required property"),
        ((*WORKER, "maxReplicas"), -1, "less than the minimum"),
        ((*WORKER, "groupName"), "cpu", "two groups"),
        ((*WORKER, "template", "spec", "tolerations", 0, "effect"), "NoScheduling", "none of"),
    ],
)
def test_what_is_wrong_in_a_cluster_is_refused(path, value, said):
    document = one("kuberay/standing/raycluster.yaml")
    assert kube.faults(document) == []
    assert said in " ".join(kube.faults(changed(document, path, value)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("spec", "entrypoint"), GONE, "'entrypoint' is a required property"),
        (("spec", "backofLimit"), 2, "unexpected"),
        (("spec", "shutdownAfterJobFinishes"), False, "would stay"),
        (("spec", "activeDeadlineSeconds"), 0, "less than the minimum"),
        (("spec", "submissionMode"), "SidecarMode", "none of"),
        (("spec", "submitterPodTemplate", "spec", "containers", 0, "securityContext"), {}, "root"),
        (("spec", "submitterPodTemplate", "spec", "restartPolicy"), "Sometimes", "none of"),
    ],
)
def test_what_is_wrong_in_a_job_is_refused(path, value, said):
    document = one("kuberay/job/rayjob.yaml")
    assert said in " ".join(kube.faults(changed(document, path, value)))


@pytest.mark.parametrize(
    ("file", "place", "path", "value", "said"),
    [
        ("access.yaml", 1, ("spec", "podSelector", "matchLabel"), {}, "unexpected"),
        ("access.yaml", 1, ("spec", "ingress", 1, "ports", 0, "protocol"), "HTTP", "none of"),
        ("queues.yaml", 1, ("spec", "queueingStrategy"), "FIFO", "not one of"),
        ("queues.yaml", 1, ("spec", "cohort"), "x", "unexpected"),
        ("queues.yaml", 2, ("spec", "clusterQueue"), "Raybead", "does not match"),
    ],
)
def test_what_is_wrong_around_it_is_refused(file, place, path, value, said):
    document = strict_yaml.documents(KUBERAY / file)[place]
    assert said in " ".join(kube.faults(changed(document, path, value)))


@pytest.mark.parametrize("file", ["cloud/aws.yaml", "cloud/gcp.yaml"])
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("max_worker",), 3, "unexpected"),
        (("idle_timeout_minutes",), "5", "not of type"),
        (("head_node_type",), "haed", "head_node_type"),
        (("available_node_types", "cpu", "node_config"), GONE, "required"),
        (("available_node_types", "cpu", "max_workers"), 99, "don't fit"),
        (("available_node_types", "cpu", "min_workers"), 1, "nobody needs"),
        (("available_node_types", "head", "resources"), {"CPU": 2}, "takes work"),
        (("available_node_types", "head", "node_config", "scheduling"), {}, "spot"),
        (("available_node_types", "gpu", "docker"), GONE, "no image that can"),
        (("docker", "image"), "raybead:latest", "tomorrow"),
        (("docker", "run_options"), [], "no token"),
        (("file_mounts",), {}, "don't get the token"),
        (("setup_commands",), ["cd $X"], "SC2086"),
        (("head_start_ray_commands",), GONE, "Ray fills in"),
    ],
)
def test_what_is_wrong_in_a_launcher_file_is_refused(file, path, value, said):
    assert said in " ".join(launcher.faults(changed(one(file), path, value)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("RUN python -m venv /opt/raybead", "RUN cd /x; python -m venv $Y", "DL3003"),
        ("RUN python -m venv /opt/raybead", "RUM python -m venv /opt/raybead", "unexpected"),
        ("USER 1000:1000\n", "", "runs as root"),
        ("USER 1000:1000\n", "USER ray\n", "runs as ray"),
        ("install --yes --no-install-recommends openssh", "install --yes gcc openssh", "compiler"),
        ("ARG PIP_INDEX_URL\n", "ARG PIP_INDEX_URL=https://pip.invalid\n", "address"),
        ("slim-trixie\n\n", "slim-trixie\nFROM debian:latest AS x\n", "tomorrow"),
    ],
)
def test_what_is_wrong_in_the_dockerfile_is_refused(old, new, said):
    text = (validate.CLUSTER / "image/Dockerfile").read_text()
    assert old in text
    wrong = text.replace(old, new)
    assert said in " ".join(shells.hadolint(wrong) + shells.image_faults(wrong))


@pytest.mark.parametrize(
    ("old", "said"), [("!raybead\n", "copies raybead"), ("*\n!c", "sends the")]
)
def test_a_build_context_without_its_files_is_refused(old, said):
    dockerfile, ignore = (
        (validate.CLUSTER / "image" / name).read_text()
        for name in ("Dockerfile", "Dockerfile.dockerignore")
    )
    wrong = ignore.replace(old, "!c" if "!c" in old else "")
    assert said in " ".join(shells.context_faults(dockerfile, wrong, validate.ROOT))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("raybead rum mine.toml", "Unknown command"),
        ("ray job submit -- raybead run mine.toml --sett a=1", "Unknown option"),
        ("sbatch cluster/slurm/raybead.sbatch --nodes=1 mine.toml", "Unknown option"),
        ("kubectl apply -f cluster/kuberay/acess.yaml", "isn't there"),
        ('ls $(echo "x")', "SC2046"),
    ],
)
def test_what_is_wrong_in_a_readme_is_refused(command, said):
    assert said in " ".join(readmes.faults(f"# X\n\n```sh\n{command}\n```\n", validate.ROOT))


def test_keys_that_stand_twice_are_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("a: {b: 1}\nb: 2\na: {}\n")
    with pytest.raises(yaml.constructor.ConstructorError, match="'a' stands twice"):
        strict_yaml.documents(tmp_path / "x.yaml")


def test_a_patch_that_changes_nothing_is_refused(tmp_path):
    shutil.copytree(KUBERAY, tmp_path / "kuberay")
    folder = tmp_path / "kuberay/job-in-queue"
    (folder / "queue.yaml").write_text(
        (folder / "queue.yaml").read_text().replace("RayJob", "Ray")
    )
    with pytest.raises(ValueError, match="changes nothing"):
        kube.rendered(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kustomize_makes_the_same(folder: Path):
    """What the tests make of a kustomization is what kubectl does, where there is one."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here")
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    )
    ordered = functools.partial(sorted, key=lambda document: document["kind"])
    assert ordered(yaml.safe_load_all(done.stdout)) == ordered(kube.rendered(folder))

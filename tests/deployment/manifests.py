"""The Kubernetes manifests as data, and what a pod of them would be given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
EXAMPLES = {path.name for path in FILES if path.name.endswith(".example.yaml")}
WORKLOADS = ("worker", "trainer", "sink", "api", "ads", "migrate")
ROLES = WORKLOADS[:-1]


def read(name: str) -> dict[str, Any]:
    """Return the one object of a file."""
    return dict(YAML(typ="safe").load((FOLDER / name).read_text(encoding="utf-8")))


def everything() -> dict[str, dict[str, Any]]:
    """Return every object by its file's name."""
    return {path.name: read(path.name) for path in FILES}


def of_kind(kind: str) -> list[dict[str, Any]]:
    """Return the objects of a kind."""
    return [found for found in everything().values() if found["kind"] == kind]


def pod_of(workload: str) -> dict[str, Any]:
    """Return the pod that a workload makes: its metadata and spec."""
    return dict(read(f"{workload}.yaml")["spec"]["template"])


def container_of(workload: str) -> dict[str, Any]:
    """Return a pod's one container."""
    (container,) = pod_of(workload)["spec"]["containers"]
    return dict(container)


def mounts_of(workload: str) -> dict[str, dict[str, Any]]:
    """Return what is mounted in a workload's container, by path: the volume, or the claim that stands for it."""
    spec = read(f"{workload}.yaml")["spec"]
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    claims = {claim["metadata"]["name"]: {"claim": claim} for claim in spec.get("volumeClaimTemplates", [])}
    return {mount["mountPath"]: (volumes | claims)[mount["name"]] for mount in container_of(workload)["volumeMounts"]}


def environment_of(workload: str, pod_name: str) -> dict[str, str]:
    """Return the variables that a workload's container gets in a pod of that name."""
    configs = {found["metadata"]["name"]: found["data"] for found in of_kind("ConfigMap")}
    container = container_of(workload)
    environment: dict[str, str] = {}
    for source in container["envFrom"]:
        environment |= configs[source["configMapRef"]["name"]]
    for variable in container["env"]:
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
        else:
            assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
            environment[variable["name"]] = pod_name
    return environment


def write_secrets(workload: str, folder: Path) -> dict[str, Path]:
    """Write what the examples of Secrets hold, and return each file by the path that it has in a workload's pod."""
    secrets = {found["metadata"]["name"]: found["stringData"] for found in of_kind("Secret")}
    written: dict[str, Path] = {}
    for path, volume in mounts_of(workload).items():
        for key, text in secrets[volume["secret"]["secretName"]].items() if "secret" in volume else ():
            written[f"{path}/{key}"] = folder / f"{volume['name']}-{key}"
            written[f"{path}/{key}"].write_text(text, encoding="utf-8")
    return written

"""The manifests follow Kubernetes' own schemas, and the kustomization names them all."""

from __future__ import annotations

import copy
import tomllib
from typing import TYPE_CHECKING

import kubernetes_validate
import pytest
from kubernetes_validate.utils import resources_from_file

from tests.conftest import ROOT
from tests.deployment import manifests

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("1.29", kubernetes_validate.latest_version())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", manifests.FILES, ids=lambda path: path.name)
def test_a_manifest_follows_the_schema(path: Path, version: str) -> None:
    """The schemas of the oldest and the newest version that we say we run on accept it, without unknown fields."""
    used = kubernetes_validate.validate(manifests.read(path.name), version, strict=True)

    assert version.startswith(used)


def test_a_planted_mistake_is_noticed() -> None:
    """The check above does see a misspelt field, a wrong type and an unknown kind."""
    misspelt, wrong, unknown = (copy.deepcopy(manifests.read("sink.yaml")) for _ in range(3))
    misspelt["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    wrong["spec"]["replicas"] = "two"
    unknown["apiVersion"] = "extensions/v1beta1"

    for manifest in (misspelt, wrong):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(unknown, VERSIONS[0], strict=True)


@pytest.mark.parametrize("path", manifests.FILES, ids=lambda path: path.name)
def test_a_manifest_means_the_same_in_both_versions_of_yaml(path: Path) -> None:
    """Kubernetes reads YAML 1.1, where 0440 and `no` are no longer what they look like."""
    assert [manifests.read(path.name)] == resources_from_file(str(path))


def test_the_kustomization_names_every_manifest_but_the_secrets() -> None:
    """What is forgotten there is never applied; an example of a Secret must not replace the real one."""
    kustomization = manifests.read("kustomization.yaml")

    assert sorted(kustomization["resources"]) == sorted({path.name for path in manifests.FILES} - manifests.EXAMPLES)
    assert {kustomization["namespace"]} == {found["metadata"]["name"] for found in manifests.of_kind("Namespace")}


def test_every_container_is_this_builds_image() -> None:
    """Roles alone, no broker and no database, all of the version that is built from this tree."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    kustomization = manifests.read("kustomization.yaml")

    assert {manifests.container_of(name)["image"] for name in manifests.WORKLOADS} == {f"clv-scorer:{version}"}
    assert kustomization["images"] == [{"name": "clv-scorer", "newTag": version}]
    kinds = {found["kind"] for found in manifests.everything().values() if "template" in found.get("spec", {})}
    assert kinds == {"StatefulSet", "Deployment", "Job"}

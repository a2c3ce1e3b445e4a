"""The pods of the manifests start commands that exist, with settings that the product understands."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from clv.settings import Settings
from storage.api_keys import create_key
from storage.engine import Database
from storage.schema import upgrade
from tests.conftest import ROOT
from tests.deployment import manifests
from tests.docs.test_readme import unknown_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UNITS = {"Mi": 2**20, "Gi": 2**30, "m": 0.001, "": 1}


def _settings(workload: str, folder: Path) -> Settings:
    files = manifests.write_secrets(workload, folder)
    environment = manifests.environment_of(workload, f"clv-{workload}-0")
    return Settings.from_env({name: str(files.get(text, text)) for name, text in environment.items()})


def _amount(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(\D*)", text).groups()  # type: ignore[union-attr]  # None fails the test
    return float(number) * UNITS[unit]


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_a_pod_gets_settings_that_it_understands(workload: str, tmp_path: Path) -> None:
    """Variables and mounted files of the Secrets make settings: Kafka and PostgreSQL of others, a name of its own."""
    settings = _settings(workload, tmp_path)

    assert settings.worker_id == f"clv-{workload}-0"
    assert (settings.broker != "", settings.sql_url.startswith("postgresql+psycopg://clv:REPLACE-ME@")) == (True, True)
    assert settings.replication == 3


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_no_secret_is_in_a_pods_variables(workload: str) -> None:
    """Whatever is secret comes as a file; only the ads role has what the ad platforms need."""
    secrets = {f"CLV_{field.name.upper()}" for field in fields(Settings) if field.metadata["secret"]}
    given = manifests.environment_of(workload, "pod")
    mounted = {
        volume["secret"]["secretName"] for volume in manifests.mounts_of(workload).values() if "secret" in volume
    }

    assert secrets & set(given) == set()
    assert mounted == ({"clv", "clv-ads"} if workload == "ads" else {"clv"})


def test_the_examples_of_secrets_hold_none() -> None:
    """Each value says that it has to be replaced."""
    values = [text for secret in manifests.of_kind("Secret") for text in secret["stringData"].values()]

    assert len(values) == 2
    assert [text for text in values if "REPLACE-ME" not in text] == []


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_a_pod_starts_a_command_that_exists(workload: str) -> None:
    """The image's entry point is `clv`; the arguments name one of its commands, the workload's own."""
    container = manifests.container_of(workload)

    assert 'ENTRYPOINT ["clv"]' in DOCKERFILE
    assert "command" not in container
    assert container["args"] == [workload]
    assert unknown_words(("clv", *container["args"])) == []


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_what_a_pod_writes_to_is_mounted(workload: str, tmp_path: Path) -> None:
    """The root is read-only: the data directory, the image's own, and /tmp are volumes; secrets cannot be written."""
    mounts = manifests.mounts_of(workload)
    kinds = {path: next(kind for kind in volume if kind != "name") for path, volume in mounts.items()}
    data = str(_settings(workload, tmp_path).data_dir)
    read_only = {m["mountPath"] for m in manifests.container_of(workload)["volumeMounts"] if m.get("readOnly")}

    assert f"CLV_DATA_DIR={data} " in DOCKERFILE
    assert kinds[data] == {"worker": "claim", "ads": "persistentVolumeClaim"}.get(workload, "emptyDir")
    assert kinds["/tmp"] == "emptyDir"
    assert read_only == {path for path, kind in kinds.items() if kind == "secret"}
    assert [
        mounts[path]["secret"]["defaultMode"] for path in read_only if mounts[path]["secret"]["defaultMode"] != 0o440
    ] == []


def test_a_workers_store_is_on_its_own_claim(tmp_path: Path) -> None:
    """RocksDB, in the directory that the StatefulSet claims for each pod; a claim that the ads role names exists."""
    settings = _settings("worker", tmp_path)
    claim = manifests.mounts_of("worker")[str(settings.data_dir)]["claim"]
    claimed = manifests.mounts_of("ads")["/var/lib/clv"]["persistentVolumeClaim"]["claimName"]

    assert (settings.store, claim["spec"]["accessModes"]) == ("rocksdb", ["ReadWriteOnce"])
    assert [found["metadata"]["name"] for found in manifests.of_kind("PersistentVolumeClaim")] == [claimed]


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_a_pod_is_restricted(workload: str) -> None:
    """What the namespace enforces and more: the image's user, no privileges, capability or token, a read-only root."""
    spec = manifests.pod_of(workload)["spec"]
    (user,) = re.findall(r"useradd --uid (\d+)", DOCKERFILE)

    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(user),
        "fsGroup": int(user),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert manifests.container_of(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_a_pod_asks_for_what_it_needs_and_is_bounded(workload: str) -> None:
    """Requests and limits of processor and memory, the former no larger."""
    resources = manifests.container_of(workload)["resources"]

    for name in ("cpu", "memory"):
        assert 0 < _amount(resources["requests"][name]) <= _amount(resources["limits"][name])


@pytest.mark.parametrize("role", sorted(set(manifests.ROLES) - {"api"}))
def test_a_role_without_a_server_is_asked_by_a_command(role: str) -> None:
    """The doctor, with time for its answers; not for liveness, which would restart all for a broker's outage."""
    container = manifests.container_of(role)
    probe = container["readinessProbe"]

    assert unknown_words(tuple(probe["exec"]["command"])) == []
    assert probe["exec"]["command"][0] == "clv"
    assert probe["timeoutSeconds"] >= 30
    assert {name for name in container if name.endswith("Probe")} == {"readinessProbe"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Database]:
    """A database with a key, as the API needs it before it listens beyond its own machine."""
    url = f"sqlite:///{tmp_path / 'clv.db'}"
    upgrade(url)
    opened = Database(url)
    create_key(opened, "shop", ["read"])
    yield opened
    opened.close()


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_the_apis_probes_ask_what_it_answers(probe: str, guarded: Database) -> None:
    """Each path answers 200 to the very request that the kubelet makes, at the port where the API listens."""
    container = manifests.container_of("api")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    environment = manifests.environment_of("api", "pod")

    assert str(ports[container[probe]["httpGet"]["port"]]) == environment["CLV_API_PORT"]
    assert environment["CLV_API_HOST"] == "0.0.0.0"
    assert _ask(container[probe], guarded) == 200


def test_an_api_whose_database_is_away_lives_and_is_not_ready(guarded: Database) -> None:
    """Not even one that has just started is restarted for it: no key was looked for yet."""
    container = manifests.container_of("api")
    assert guarded.file is not None
    guarded.file.rename(guarded.file.with_suffix(".away"))

    answers = {name: _ask(probe, guarded) for name, probe in container.items() if name.endswith("Probe")}
    assert answers == {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503}


def _ask(probe: dict[str, Any], database: Database) -> int:
    get = probe["httpGet"]
    headers = {"Host": "10.1.2.3:8000"} | {header["name"]: header["value"] for header in get.get("httpHeaders", [])}
    # Not entered as a context: leaving that would close the fixture's database.
    return (
        TestClient(create_app(Settings(), database), base_url="http://10.1.2.3:8000")
        .get(get["path"], headers=headers)
        .status_code
    )

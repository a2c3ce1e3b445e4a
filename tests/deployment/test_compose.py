"""docker-compose.yml is valid for Compose's own parser and says what the settings understand."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clv.settings import Settings
from tests.conftest import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yml"
# check-jsonschema 0.38 subscripts click.ParamType, which the click that Faust allows (below 8.4) cannot do.
_CHECK_JSONSCHEMA = """
import click
if not hasattr(click.ParamType, "__class_getitem__"):
    click.ParamType.__class_getitem__ = classmethod(lambda cls, _: cls)
from check_jsonschema import main
main()
"""
ROLES = ("worker-1", "worker-2", "trainer", "sink", "api", "ads")


def _compose(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # The package's own entry point answers 0 whatever happens: call the program inside it.
    spec = importlib.util.find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).with_name("docker-compose")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("CLV_")}
    return subprocess.run(
        [str(program), "--file", str(COMPOSE_FILE), "config", "--format", "json"],
        env={**environment, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    """Return the deployment as Compose understands it, all references resolved."""
    done = _compose({"CLV_POSTGRES_PASSWORD": "test"})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_file_follows_the_compose_specification() -> None:
    """The published schema accepts the file."""
    command = [sys.executable, "-c", _CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_password_is_refused() -> None:
    """No password is shipped: without one nothing starts, and the message says what to set."""
    done = _compose({})

    assert done.returncode != 0
    assert "set a password for PostgreSQL" in done.stderr


def test_every_role_is_there(deployment: dict[str, Any]) -> None:
    """Kafka, PostgreSQL, two workers, the trainer, the sink, the API and the ads role, each started by its command."""
    assert sorted(deployment["services"]) == sorted(("kafka", "postgres", *ROLES))
    assert [deployment["services"][role]["command"] for role in ROLES] == [
        ["worker"],
        ["worker"],
        ["trainer"],
        ["sink"],
        ["api"],
        ["ads"],
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_settings_that_it_understands(deployment: dict[str, Any], role: str) -> None:
    """Each role's environment makes settings that reach the Kafka and the PostgreSQL beside it."""
    settings = Settings.from_env(deployment["services"][role]["environment"])

    assert settings.broker == "kafka:9092"
    assert settings.sql_url == "postgresql+psycopg://clv:test@postgres:5432/clv"
    assert settings.worker_id == role


@pytest.mark.parametrize("role", ROLES)
def test_a_role_waits_for_healthy_servers_and_keeps_its_data(deployment: dict[str, Any], role: str) -> None:
    """A role starts after both servers are healthy, on a read-only system, with a volume of its own."""
    service = deployment["services"][role]

    conditions = {name: needed["condition"] for name, needed in service["depends_on"].items()}
    assert conditions == {"kafka": "service_healthy", "postgres": "service_healthy"}
    assert service["read_only"] is True
    assert [(mount["source"], mount["target"]) for mount in service["volumes"]] == [(f"{role}-data", "/var/lib/clv")]


@pytest.mark.parametrize("server", ["kafka", "postgres", "api"])
def test_a_server_has_a_health_check_and_listens_on_loopback(deployment: dict[str, Any], server: str) -> None:
    """What the roles wait for is checked, and nothing is open to the network."""
    service = deployment["services"][server]

    assert service["healthcheck"]["test"]
    assert [port["host_ip"] for port in service["ports"]] == ["127.0.0.1"]


def test_the_image_runs_as_an_unprivileged_user_and_checks_its_health() -> None:
    """The Dockerfile's last stage drops root, and has a health check and an entry point."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    instructions = [line.partition(" ")[0] for line in last_stage.splitlines() if line[:1].isupper()]

    assert "USER clv" in last_stage
    assert {"HEALTHCHECK", "ENTRYPOINT"} <= set(instructions)
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")

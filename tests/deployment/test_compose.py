"""docker-compose.yml is valid for Compose's own parser and says what the settings understand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from api.routes import overview
from clv.settings import Settings
from tests.conftest import ROOT
from tests.deployment.compose import COMPOSE_FILE, read_compose
from tests.docs import pages
from tests.docs.test_readme import unknown_words

# check-jsonschema 0.38 subscripts click.ParamType, which the click that Faust allows (below 8.4) cannot do.
_CHECK_JSONSCHEMA = """
import click
if not hasattr(click.ParamType, "__class_getitem__"):
    click.ParamType.__class_getitem__ = classmethod(lambda cls, _: cls)
from check_jsonschema import main
main()
"""
ROLES = ("worker-1", "worker-2", "trainer", "sink", "api", "ads")


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    """Return the deployment as Compose understands it, all references resolved."""
    return read_compose()


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """Return the deployment with its monitoring."""
    return read_compose("--profile", "monitoring")


def test_the_file_follows_the_compose_specification() -> None:
    """The published schema accepts the file."""
    command = [sys.executable, "-c", _CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_password_is_shipped_or_in_an_environment(deployment: dict[str, Any]) -> None:
    """Secrets are files of ./secrets alone, which neither git nor the image takes; no value of a variable holds one."""
    files = {name: secret["file"] for name, secret in deployment["secrets"].items()}
    assert files == {name: str(ROOT / "secrets" / name) for name in ("database-url", "postgres-password")}
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "secrets" in (ROOT / ".dockerignore").read_text().splitlines()

    names = {name for service in deployment["services"].values() for name in service["environment"]}
    assert [name for name in names if "PASSWORD" in name or "DATABASE_URL" in name] == [
        name for name in names if name in {"POSTGRES_PASSWORD_FILE", "CLV_DATABASE_URL_FILE"}
    ]


@pytest.mark.parametrize(
    ("service", "variable"),
    [("postgres", "POSTGRES_PASSWORD_FILE"), *((role, "CLV_DATABASE_URL_FILE") for role in ROLES)],
)
def test_a_secret_is_mounted_where_its_variable_says(deployment: dict[str, Any], service: str, variable: str) -> None:
    """Compose mounts a secret under its name in /run/secrets; each service has the one that it needs, and no other."""
    given = deployment["services"][service]

    assert [f"/run/secrets/{secret['source']}" for secret in given["secrets"]] == [given["environment"][variable]]


def test_the_page_makes_the_secrets(tmp_path: Path) -> None:
    """The page's lines make both files: one password, readable in a container, behind a closed folder."""
    (lines,) = [block for block in pages.shell_blocks("docs/deployment.md") if "postgres-password" in block]
    subprocess.run(["sh", "-euc", f"umask 077\n{lines}"], cwd=tmp_path, check=True)
    folder = tmp_path / "secrets"

    settings = Settings.from_env({"CLV_DATABASE_URL_FILE": str(folder / "database-url")})
    password = (folder / "postgres-password").read_text().strip()
    assert len(password) == 48
    assert settings.sql_url == f"postgresql+psycopg://clv:{password}@postgres:5432/clv"
    assert (folder.stat().st_mode & 0o777, (folder / "database-url").stat().st_mode & 0o777) == (0o700, 0o644)


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
def test_a_role_gets_settings_that_it_understands(deployment: dict[str, Any], role: str, tmp_path: Path) -> None:
    """Each role's environment makes settings that reach the Kafka and the PostgreSQL beside it."""
    (tmp_path / "url").write_text("postgresql+psycopg://clv:test@postgres:5432/clv\n")
    environment = {**deployment["services"][role]["environment"], "CLV_DATABASE_URL_FILE": str(tmp_path / "url")}
    settings = Settings.from_env(environment)

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


@pytest.mark.parametrize("service", ["kafka", "postgres", *ROLES])
def test_a_service_has_a_health_check_and_limits(deployment: dict[str, Any], service: str) -> None:
    """Each service is looked at, and none can take the machine: processor, memory and processes are bounded."""
    given = deployment["services"][service]
    limits = given["deploy"]["resources"]["limits"]

    assert given["healthcheck"]["test"][0] == "CMD"
    assert (float(limits["cpus"]) > 0, int(limits["memory"]) >= 2**30, int(limits["pids"]) > 0) == (True, True, True)


@pytest.mark.parametrize("role", ROLES)
def test_a_health_check_asks_what_there_is(deployment: dict[str, Any], role: str) -> None:
    """A role is asked by a command that exists, the API by its own address and a path that it has."""
    _, *command = deployment["services"][role]["healthcheck"]["test"]

    if role == "api":
        assert re.findall(r"http://127\.0\.0\.1:8000(/\w+)'", command[-1]) == ["/readyz"]
        assert "/readyz" in {getattr(route, "path", "") for route in overview.router.routes}
    else:
        assert unknown_words(tuple(command)) == []


@pytest.mark.parametrize("server", ["kafka", "postgres", "api"])
def test_a_server_listens_on_loopback(deployment: dict[str, Any], server: str) -> None:
    """Nothing is open to the network."""
    assert [port["host_ip"] for port in deployment["services"][server]["ports"]] == ["127.0.0.1"]


def test_the_image_runs_as_an_unprivileged_user_and_checks_its_health() -> None:
    """The Dockerfile's last stage drops root, and has a health check and an entry point."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    instructions = [line.partition(" ")[0] for line in last_stage.splitlines() if line[:1].isupper()]

    assert "USER clv" in last_stage
    assert {"HEALTHCHECK", "ENTRYPOINT"} <= set(instructions)
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")


def test_prometheus_scrapes_every_role_where_it_serves(watched: dict[str, Any]) -> None:
    """Each role but the API is a target at its metrics port, the API at its own; the key is where the file says."""
    scraping = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraping}
    ports = {role: watched["services"][role]["environment"]["CLV_METRICS_PORT"] for role in ROLES}

    assert sorted(targets["clv"]) == sorted(f"{role}:{port}" for role, port in ports.items() if role != "api")
    assert targets["clv-api"] == ["api:8000"]
    (key,) = watched["services"]["prometheus"]["secrets"]
    (api_job,) = [job for job in scraping if job["job_name"] == "clv-api"]
    assert api_job["authorization"]["credentials_file"] == f"/run/secrets/{key['source']}"


def test_monitoring_is_asked_for_and_bounded(deployment: dict[str, Any], watched: dict[str, Any]) -> None:
    """Only its profile brings it; then it listens on loopback, is looked at and cannot take the machine."""
    assert set(watched["services"]) - set(deployment["services"]) == {"prometheus", "grafana"}
    assert set(deployment["secrets"]) == set(watched["secrets"]) - {"metrics-key", "grafana-password"}
    for name in ("prometheus", "grafana"):
        service = watched["services"][name]
        assert [port["host_ip"] for port in service["ports"]] == ["127.0.0.1"]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        sources = [Path(mount["source"]) for mount in service["volumes"] if mount["type"] == "bind"]
        assert [path for path in sources if not path.exists()] == []
        assert all(mount.get("read_only") for mount in service["volumes"] if mount["type"] == "bind")

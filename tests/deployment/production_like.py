"""docker-compose.yml without containers: its roles as processes of this machine, on Apache Kafka and PostgreSQL.

``make production-like`` runs it; the tests kill its roles. Commands, environment, secrets' files, restarts and health
checks are the file's own. Users, read-only roots, limits and the network between containers are not in it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli import logs
from cli.demo import MAX_LEAD_DAYS
from cli.following import Follower
from cli.sending import Sending
from cli.topology import Role, Topology
from clv.errors import InputError
from clv.settings import Settings
from producers.orderlog import LogOptions, read_order_log
from producers.replay import ReplayOptions
from storage.api_keys import create_key
from streams.kafka_server import KafkaServer, free_ports
from tests import postgres_server
from tests.conftest import ROOT
from tests.deployment.compose import read_compose

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "clv-scorer:"
VOLUME = "/var/lib/clv"
SECRETS = "/run/secrets"
_PLACE_OF_ITS_OWN = ("LISTENER", "QUORUM", "LOG_DIRS", "NODE_ID", "PROCESS_ROLES")
_CDNOW = ROOT / "data" / "cdnow_orders.csv.gz"


class ProductionLike(Topology):
    """The roles of docker-compose.yml, running while the block is open.

    Parameters
    ----------
    folder
        Where secrets, logs, and what would be volumes lie.
    broker, database_url
        The servers in the place of the file's own.
    """

    def __init__(self, folder: Path, *, broker: str, database_url: str) -> None:
        services = read_compose()["services"]
        self._services = {name: each for name, each in services.items() if each.get("image", "").startswith(IMAGE)}
        self._folder = folder
        self._broker_address = broker
        self._metrics_ports = dict(zip(self._services, free_ports(len(self._services)), strict=True))
        self.key = ""
        path = folder / "secrets" / "database-url"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{database_url}\n", encoding="utf-8")
        (published,) = services["api"]["ports"]
        self._api = {"CLV_API_HOST": published["host_ip"], "CLV_API_PORT": published["published"]}
        super().__init__(Settings.from_env(self.environment("sink") | self._api))

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's own variables, with the places of this machine in them."""
        service = self._services[name]
        found = {
            variable: text.replace(SECRETS, str(self._folder / "secrets"))
            for variable, text in service["environment"].items()
        }
        found |= {"CLV_BROKER": self._broker_address, "CLV_DATA_DIR": str(self._volume(service))}
        found |= {"CLV_METRICS_HOST": "127.0.0.1", "CLV_METRICS_PORT": str(self._metrics_ports[name])}
        return found | self._api if name == "api" else found

    def is_healthy(self, name: str) -> bool:
        """Ask a service what its health check asks."""
        check = self._services[name]["healthcheck"]
        _, program, *words = check["test"]
        command = [
            str(Path(sys.executable).with_name(program)),
            *(word.replace("127.0.0.1:8000", f"127.0.0.1:{self.settings.api_port}") for word in words),
        ]
        run = partial(subprocess.run, env=self._outside() | self.environment(name), capture_output=True, check=False)
        return run(command, timeout=float(check["timeout"].removesuffix("s"))).returncode == 0

    async def _prepare(self) -> None:
        """Make the key without which the API does not start."""
        await super()._prepare()
        self.key = create_key(self.database, "team", ["read"])

    def _make_roles(self) -> list[Role]:
        self._api["CLV_API_PORT"] = str(self.settings.api_port)
        folder = self._folder / "logs"
        return [
            Role(name, service["command"], self._outside() | self.environment(name), folder / f"{name}.log")
            for name, service in self._services.items()
        ]

    def _outside(self) -> dict[str, str]:
        return {name: text for name, text in os.environ.items() if not name.startswith("CLV_")}

    def _volume(self, service: dict[str, Any]) -> Path:
        (source,) = [mount["source"] for mount in service["volumes"] if mount["target"] == VOLUME]
        return self._folder / str(source)


def kafka_properties() -> dict[str, str]:
    """Return what the file says of the broker but for where it listens and lies."""
    given = read_compose()["services"]["kafka"]["environment"]
    names = [name for name in given if not any(word in name for word in _PLACE_OF_ITS_OWN)]
    return {name.removeprefix("KAFKA_").lower().replace("_", "."): given[name] for name in names}


def _database(stack: ExitStack) -> str:
    """Start a PostgreSQL that asks for a password, and return the URL of a database as the file would make it."""
    binaries = postgres_server.find_binaries()
    if binaries is None:
        raise InputError("PostgreSQL has no server here", "apt-get install postgresql")
    # A folder of its own: the server runs as another user, who may not enter ours.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clv-postgres-", ignore_cleanup_errors=True)))
    serving: Iterator[str] = postgres_server.serve(binaries, folder, password=secrets.token_hex(24))
    stack.callback(next, serving, "")
    return postgres_server.create_database(next(serving), "clv")


def main(
    *,
    csv: Annotated[Path, typer.Option(help="Order log to replay.")] = _CDNOW,
    limit: Annotated[int | None, typer.Option(min=1, help="Orders to replay at most.")] = None,
    is_ending: Annotated[bool, typer.Option("--exit-when-done", help="Stop when everyone has caught up.")] = False,
) -> None:
    """Run docker-compose.yml's roles on this machine and replay a log through them, until Ctrl-C."""
    logs.configure(Settings(log_level="warning"))
    console = Console(stderr=True)
    log = read_order_log(csv, LogOptions(currency="USD"))
    total = min(len(log), limit or len(log))
    options = ReplayOptions(limit=limit)
    sending = Sending(log=log, currency=log.currency, options=options, total=total, max_lead_days=MAX_LEAD_DAYS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clv-production-like-")))
        libs = ROOT / ".kafka" / "libs"
        kafka = stack.enter_context(KafkaServer(folder / "kafka", libs, properties=kafka_properties()))
        deployment = ProductionLike(folder, broker=kafka.bootstrap, database_url=_database(stack))
        topology = stack.enter_context(deployment)
        console.print(f"logs: {folder / 'logs'}  Kafka: {kafka.bootstrap}  PostgreSQL: {topology.database.location}")
        console.print(f"API key of scope read: {topology.key}")
        follower = Follower(topology, sending)
        follower.run(is_ending=is_ending)
        table = Table("service", "running", "restarts", "healthy")
        for role in topology.roles:
            is_running = role.process is not None and role.process.is_running
            healthy = "yes" if topology.is_healthy(role.name) else "no"
            table.add_row(role.name, "yes" if is_running else "no", str(role.restarts), healthy)
        console.print(table)
        follower.report(is_json=False)


if __name__ == "__main__":
    typer.run(main)

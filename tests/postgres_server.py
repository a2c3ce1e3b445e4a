"""A private PostgreSQL server for tests, from the binaries that the system has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import tenacity

from streams.child_process import ChildProcess
from streams.kafka_server import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNPRIVILEGED = "postgres"
_START_TIMEOUT_SECONDS = 30.0


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL server on this machine, if there is one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def serve(binaries: Path, folder: Path, *, password: str = "", key_file: Path | None = None) -> Iterator[str]:
    """Run a server with its data in ``folder``; yield the URL of its ``postgres`` database, stop it afterwards.

    It listens on loopback, trusts everyone unless there is a password, and does not wait for the disk. As root it runs
    as the user that the system's package made, because PostgreSQL refuses to run as root. With ``key_file`` (PEM: key
    and certificate) it takes no connection without TLS.
    """
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    data = folder / "data"
    if user:
        shutil.chown(folder, user)
    auth = ["--auth=trust"]
    if password:
        (folder / "password").write_text(f"{password}\n")
        auth = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    subprocess.run(
        [binaries / "initdb", "--pgdata", data, "--username=clv", *auth, "--encoding=UTF8", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        user=user,
    )
    more = _with_tls(folder, data, key_file, user) if key_file else []
    (port,) = free_ports(1)
    options = [
        *("-D", str(data), "-p", str(port), "-k", str(folder)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"),
        *more,
    ]
    server = ChildProcess([str(binaries / "postgres"), *options], folder / "postgres.log", user=user)
    try:
        user_info = f"clv:{password}" if password else "clv"
        url = f"postgresql+psycopg://{user_info}@127.0.0.1:{port}/postgres"
        _wait_until_it_answers(url)
        yield url
    finally:
        server.stop(signal_number=signal.SIGINT)


def _with_tls(folder: Path, data: Path, key_file: Path, user: str | None) -> list[str]:
    """Have the server ask everybody for TLS; return its options."""
    own = folder / "server.pem"
    own.write_bytes(key_file.read_bytes())
    own.chmod(0o600)
    if user:
        shutil.chown(own, user)
    # As root, since the folder is another user's: writing to a file keeps whose it is.
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    return ["-c", "ssl=on", "-c", f"ssl_cert_file={own}", "-c", f"ssl_key_file={own}"]


def create_database(url: str, name: str) -> str:
    """Create a database on the server of ``url`` and return its own URL."""
    _execute(url, f'CREATE DATABASE "{name}"')
    return f"{url.rpartition('/')[0]}/{name}"


def drop_database(url: str, name: str) -> None:
    """Drop a database, whoever is still connected."""
    _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        connection.execute(statement.encode())


@tenacity.retry(
    stop=tenacity.stop_after_delay(_START_TIMEOUT_SECONDS),
    wait=tenacity.wait_fixed(0.05),
    retry=tenacity.retry_if_exception_type(psycopg.OperationalError),
    reraise=True,
)
def _wait_until_it_answers(url: str) -> None:
    psycopg.connect(_plain(url)).close()


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)

"""Kafka and PostgreSQL that ask for TLS and a password: everything runs, and whoever is refused is told why."""

from __future__ import annotations

import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from cli.topology import Topology
from clv.settings import Settings
from streams.kafka_server import KafkaServer, Secured
from tests import postgres_server
from tests.acceptance.processes import UNPACED, is_caught_up, run, running, wait_until
from tests.acceptance.totals import csv_totals, stored_totals, write_sample
from tests.certificates import Certificates, make_certificates
from tests.conftest import do_without
from tests.docs.pages import table_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
KAFKA_PASSWORD, DATABASE_PASSWORD = "kafka-said-nothing", "postgres-said-nothing"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of this module's servers."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(
    kafka_libs: Path, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaServer]:
    """A broker whose user ``clv`` may do what the page on security says, and ``nobody`` nothing."""
    secured = Secured(certificates.server, {"clv": KAFKA_PASSWORD, "nobody": KAFKA_PASSWORD})
    with KafkaServer(tmp_path_factory.mktemp("secured"), kafka_libs, secured=secured) as server:
        _allow(server.bootstrap, "clv")
        yield server


@pytest.fixture(scope="module")
def database_url(certificates: Certificates) -> Iterator[str]:
    """A PostgreSQL without a way around TLS; the URL checks its certificate."""
    binaries = postgres_server.find_binaries()
    if binaries is None:
        do_without("PostgreSQL has no server here: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="clv-postgres-", ignore_cleanup_errors=True) as folder:
        for url in postgres_server.serve(
            binaries, Path(folder), password=DATABASE_PASSWORD, key_file=certificates.server
        ):
            checked = f"?sslmode=verify-full&sslrootcert={certificates.authority}"
            yield f"{postgres_server.create_database(url, 'clv')}{checked}"


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, certificates: Certificates, tmp_path: Path) -> Settings:
    """Settings with which everybody is let in."""
    return Settings(
        broker=kafka.secured_bootstrap,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="clv",
        kafka_password=KAFKA_PASSWORD,
        kafka_ca_file=str(certificates.authority),
        database_url=database_url,
        data_dir=tmp_path,
        log_level="debug",
    )


def test_every_role_runs_on_secured_servers(settings: Settings, tmp_path: Path) -> None:
    """With the rights of the page alone: real orders end in SQL as they must, and no log has a password."""
    log = write_sample(tmp_path / "log.csv", ending="77")
    with Topology(settings, workers=2) as topology:
        run(settings, "replay", str(log), *UNPACED, seconds=120)
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
        assert stored_totals(topology.database) == csv_totals(log)
        assert {role.restarts for role in topology.roles} == {0}
        said = run(settings, "doctor", seconds=60)
        assert "WRONG" not in said
    logs = [path.read_text(errors="replace") for path in tmp_path.rglob("*.log")]
    assert len(logs) > 6
    assert [text for text in logs if KAFKA_PASSWORD in text or DATABASE_PASSWORD in text] == []


@pytest.mark.parametrize("command", ["worker", "sink", "topics"])
def test_who_is_refused_is_told_in_one_line(settings: Settings, command: str) -> None:
    """A wrong password: no traceback, no waiting, what and where to look, and a status that is not 0."""
    error, hint = _refused(replace(settings, kafka_password="guessed"), command)
    assert error.startswith(f"error: {settings.broker} does not let 'clv' in: [Error 58] SaslAuthenticationFailed: ")
    assert hint == "hint: are CLV_KAFKA_USERNAME, CLV_KAFKA_PASSWORD and CLV_KAFKA_SASL_MECHANISM right?"


def test_a_stranger_at_the_other_end_gets_no_password(settings: Settings, certificates: Certificates) -> None:
    """The broker's certificate is of an authority that we do not trust, or for another host."""
    error, hint = _refused(replace(settings, kafka_ca_file=str(certificates.stranger)), "topics")
    assert error.startswith(f"error: the certificate of {settings.broker} is not trusted: ")
    assert "CLV_KAFKA_CA_FILE" in hint


def test_without_tls_the_setting_is_named(settings: Settings) -> None:
    """A client that speaks plainly to a TLS listener."""
    error, hint = _refused(replace(settings, kafka_security_protocol="PLAINTEXT"), "topics")
    assert error == f"error: {settings.broker} does not answer as a Kafka without TLS"
    assert "CLV_KAFKA_SECURITY_PROTOCOL" in hint


def test_a_user_without_rights_is_told_which_are_missing(settings: Settings) -> None:
    """Let in, and allowed nothing."""
    error, _ = _refused(replace(settings, kafka_username="nobody"), "worker")
    assert "cannot be created: Authorization failed" in error


def test_a_database_that_is_not_trusted_gets_no_password(settings: Settings, certificates: Certificates) -> None:
    """sslmode=verify-full with another authority: refused in one line, without the password."""
    url = settings.database_url.replace(str(certificates.authority), str(certificates.stranger))
    error, _ = _refused(replace(settings, database_url=url), "migrate")
    assert "certificate verify failed" in error


def _refused(settings: Settings, command: str) -> tuple[str, str]:
    """Return the error and the hint with which a command ends."""
    with running(replace(settings, log_level="error"), command) as refused:
        wait_until(lambda: not refused.process.is_running, seconds=60, what=f"clv {command} gives up")
        assert refused.end(signal.SIGTERM) == 1
        lines = refused.output.splitlines()
    assert DATABASE_PASSWORD not in refused.output
    assert [line for line in lines if line.startswith("Traceback")] == []
    (error,) = [line for line in lines if line.startswith("error: ")]
    return error, next((line for line in lines if line.startswith("hint: ")), "")


def _allow(bootstrap: str, user: str) -> None:
    """Give a user the rights that the page lists."""
    rules = [
        ACL(
            principal=f"User:{user}",
            host="*",
            operation=ACLOperation[operation.strip().upper()],
            permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(
                ResourceType[kind.upper()], name.strip("`"), ACLResourcePatternType.PREFIXED
            ),
        )
        for kind, name, operations, _ in table_rows("docs/security.md", "Resource")
        for operation in operations.split(",")
    ]
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        done = admin.create_acls(rules)
    finally:
        admin.close()
    assert len(done["succeeded"]) == len(rules)

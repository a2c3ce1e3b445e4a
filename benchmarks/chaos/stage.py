"""Where a campaign plays: a Kafka behind a proxy, three workers, sink, trainer, a database, and who feeds them."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog
from aiokafka.errors import KafkaError

from benchmarks.chaos.background import Background
from benchmarks.chaos.feeder import Feeder
from benchmarks.chaos.observer import Observer
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.roles import Role
from benchmarks.chaos.shop import Shop
from clv.errors import BrokerError, ScorerError
from clv.settings import Settings
from clv.topics import ORDERS
from storage.batch import Position
from storage.engine import Database
from storage.schema import upgrade
from storage.sinking import load_positions
from streams.kafka_server import KafkaServer
from streams.lag import measure_lag
from streams.sink_batches import OUTPUT_TOPICS
from streams.topics import ensure_topics, orders_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aiokafka import TopicPartition

    from storage.batch import Place

log = structlog.get_logger(__name__)
WORKERS = ("w1", "w2", "w3")
_DISK_BYTES = "1g"


class Plan(NamedTuple):
    """How a campaign is run; ``outage_seconds`` is how long the broker cannot be reached."""

    libs: Path
    customers: int = 1_500
    rate: int = 400
    outage_seconds: float = 30.0
    database_url: str = ""


class Stage:
    """A running deployment, made by ``staged``."""

    def __init__(self, settings: Settings, direct: Settings, server: KafkaServer, proxy: Proxy) -> None:
        self.settings = settings
        self.direct = direct
        self.server = server
        self.proxy = proxy
        self.disk: Path | None = None
        self.outage_seconds = 30.0
        self.database = Database(settings.sql_url)
        self.background = Background()
        self.roles: dict[str, Role] = {}

    def prepare(self, plan: Plan, *, seed: int) -> None:
        """Create topics and tables, start the roles, and begin to feed."""
        upgrade(self.settings.sql_url)
        self.ids = self.background.run(ensure_topics(self.direct))
        self.outage_seconds = plan.outage_seconds
        self.observer = Observer(self.direct, orders_group(self.direct, self.ids[ORDERS]))
        self.shop = Shop(plan.customers, seed)
        self.feeder = Feeder(self.direct, self.shop, rate=plan.rate)
        for name in WORKERS:
            self.roles[name] = Role(name, "worker", replace(self.settings, worker_id=name))
        for name in ("sink", "trainer"):
            self.roles[name] = Role(name, name, self.settings)
        for role in self.roles.values():
            role.start()
        self.background.start(self.feeder.run())
        self.background.start(self.observer.watch())

    def look_after(self) -> None:
        """Start again what has ended."""
        for role in self.roles.values():
            role.look_after()

    def wait(self, seconds: float) -> None:
        """Let time pass, looking after the roles."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look_after()
            time.sleep(0.1)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> float | None:
        """Look after the roles until the condition holds; return how long that took, None if it never did."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self.look_after()
            with contextlib.suppress(KafkaError, ScorerError, TimeoutError, OSError):
                if condition():
                    return time.monotonic() - began
            time.sleep(0.2)
        return None

    def lag(self) -> int:
        """Return how many orders have not been committed."""
        ends = self.background.run(self.observer.ends())
        done = self.background.run(self.observer.committed())
        return sum(end - done.get(place.partition, 0) for place, end in ends.items() if place.topic == ORDERS)

    def has_passed(self) -> Callable[[], bool]:
        """Return a question: whether all that lies on the topics now is processed, committed and stored."""
        ends: dict[TopicPartition, int] = {}

        def ask() -> bool:
            if not ends:
                ends.update(self.background.run(self.observer.ends()))
            done = self.background.run(self.observer.committed())
            stored = load_positions(self.database, OUTPUT_TOPICS)
            for (topic, number), end in ends.items():
                if topic == ORDERS and done.get(number, 0) < end:
                    return False
                if topic in OUTPUT_TOPICS and end and _next(stored, topic, number) < end:
                    return False
            return True

        return ask

    def is_caught_up(self) -> bool:
        """Tell whether everyone, the trainer too, has come to the end of all that was sent."""
        return self.lag() == 0 and self.background.run(measure_lag(self.direct, self.database)).is_none

    def close(self) -> None:
        """End everything that was started."""
        for role in self.roles.values():
            role.end()
        self.background.close()
        self.database.close()


def _next(stored: Mapping[Place, Position], topic: str, number: int) -> int:
    return stored.get((topic, number), Position()).next_offset


@contextlib.contextmanager
def staged(folder: Path, plan: Plan, *, seed: int) -> Iterator[Stage]:
    """Run a deployment in a folder while the block is open.

    Raises
    ------
    BrokerError
        When Kafka does not start.
    """
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy())
        server = stack.enter_context(KafkaServer(folder / "kafka", plan.libs, proxied=proxy.address))
        proxy.target = ("127.0.0.1", server.behind_proxy)
        disk = stack.enter_context(_small_disk(folder / "disk"))
        settings = Settings(
            data_dir=folder,
            broker=proxy.address,
            database_url=plan.database_url or f"sqlite:///{(disk or folder).absolute() / 'clv.db'}",
            store="rocksdb",
            horizon_days=7,
            refit_days=7,
            log_level="info",
        )
        stage = Stage(settings, replace(settings, broker=server.bootstrap), server, proxy)
        stack.callback(stage.close)
        stage.disk = None if plan.database_url else disk
        stage.prepare(plan, seed=seed)
        if stage.wait_until(stage.has_passed(), seconds=90) is None:
            raise BrokerError("the deployment does not begin to work", f"its logs: {folder / 'logs'}")
        yield stage


def can_mount() -> bool:
    """Tell whether this process may mount a small disk to fill."""
    with tempfile.TemporaryDirectory() as folder, _small_disk(Path(folder) / "disk") as disk:
        return disk is not None


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a file system in memory that can be filled; gives None where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)

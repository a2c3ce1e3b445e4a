"""Private names of Faust and aiokafka that the driver and the store lean on: where one moves, this says what to do."""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any

import aiokafka
import faust
import mode
import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.stores import base
from faust.tables import recovery
from faust.tables.base import Collection
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from mode.utils.futures import notify

from streams.store import MemoryStore, RocksStore
from streams.transport import Consumer, PartitionBatchThread, Transport

FETCHING = "streams/transport.py replaces Faust's fetch loop: compare Consumer._drain_messages with the new Faust's"
ACKING = (
    "streams/transport.py replaces Faust's acknowledgements: compare Consumer.ack and _new_offset with the new Faust's"
)
RECOVERING = "streams/store.py answers Faust's recovery: compare faust/tables/recovery.py and faust/stores/base.py"
MAKING = "streams/transport.py makes the Kafka client: compare AIOKafkaConsumerThread._create_worker_consumer"
SENDING = "streams/delivery.py sends whole batches: compare create_batch and send_batch of aiokafka's producer"
LIVING = "streams/app.py and streams/watch.py follow the worker's life: compare faust/app/base.py"


def parameters(function: Any) -> list[str]:
    """Names of a function's parameters but for ``self``."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize(
    ("owner", "name", "expected", "advice"),
    [
        (driver.Consumer, "_drain_messages", ["fetcher"], FETCHING),
        (driver.Consumer, "_wait_next_records", ["timeout"], FETCHING),
        (driver.Consumer, "_to_message", ["tp", "record"], FETCHING),
        (driver.Consumer, "_is_changelog_tp", ["tp"], FETCHING),
        (driver.Consumer, "perform_seek", [], FETCHING),
        (driver.Consumer, "stop_flow", [], FETCHING),
        (driver.Consumer, "highwater", ["tp"], FETCHING),
        (driver.Consumer, "highwaters", ["partitions"], RECOVERING),
        (driver.Consumer, "seek", ["partition", "offset"], FETCHING),
        (driver.Consumer, "position", ["tp"], LIVING),
        (driver.Consumer, "assignment", [], LIVING),
        (driver.Consumer, "on_partitions_revoked", ["revoked"], FETCHING),
        (driver.Consumer, "commit", ["topics", "start_new_transaction"], ACKING),
        (driver.Consumer, "ack", ["message"], ACKING),
        (driver.Consumer, "_new_offset", ["tp"], ACKING),
        (driver.Consumer, "_filter_tps_with_pending_acks", ["topics"], ACKING),
        (driver.Consumer, "_new_consumer_thread", [], MAKING),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["transport"], MAKING),
        (driver.Consumer, "_seek", ["partition", "offset"], FETCHING),
        (mode.Service, "wait_first", ["coros", "timeout"], FETCHING),
        (mode.Service, "set_shutdown", [], FETCHING),
        (mode.Service, "__post_init__", [], RECOVERING),
        (base.Store, "persisted_offset", ["tp"], RECOVERING),
        (base.Store, "on_rebalance", ["assigned", "revoked", "newly_assigned", "generation_id"], RECOVERING),
        (Collection, "apply_changelog_batch", ["batch"], RECOVERING),
        (Collection, "on_changelog_event", ["event"], RECOVERING),
        (driver.Consumer, "seek_wait", ["partitions"], FETCHING),
        (driver.Consumer, "_getmany", ["active_partitions", "timeout"], FETCHING),
        (Collection, "reset_state", [], RECOVERING),
        (faust.App, "on_first_start", [], LIVING),
        (faust.App, "on_stop", [], LIVING),
        (faust.App, "_on_partitions_revoked", ["revoked"], LIVING),
        (faust.Stream, "noack", [], LIVING),
        (faust.Stream, "events", [], LIVING),
        (driver.Consumer, "on_partitions_assigned", ["assigned", "generation_id"], LIVING),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer", [], LIVING),
        (GroupCoordinator, "_do_heartbeat", [], LIVING),
        (aiokafka.AIOKafkaProducer, "create_batch", [], SENDING),
        (aiokafka.AIOKafkaProducer, "send_batch", ["batch", "topic", "partition"], SENDING),
        (BatchBuilder, "append", ["timestamp", "key", "value", "headers"], SENDING),
    ],
)
def test_a_method_is_where_it_was(owner: type, name: str, expected: list[str], advice: str) -> None:
    """A method that we override or call has the parameters that we know."""
    assert hasattr(owner, name), f"{owner.__name__}.{name} is gone. {advice}"
    assert parameters(getattr(owner, name)) == expected, f"{owner.__name__}.{name} takes other parameters. {advice}"


@pytest.mark.parametrize(
    ("module", "text", "advice"),
    [
        (consumer, "self._unacked_messages = ", ACKING),
        (consumer, "self._waiting_for_ack = ", ACKING),
        (consumer, "self._n_acked = ", ACKING),
        (consumer, "self._acked = ", ACKING),
        (consumer, "for tp in self._acked\n", ACKING),
        (consumer, "self._committed_offset = ", ACKING),
        (consumer, "self._read_offset = ", FETCHING),
        (consumer, "self._buffered_partitions = ", FETCHING),
        (consumer, "self.flow_active = ", FETCHING),
        (consumer, "self.suspend_flow = ", FETCHING),
        (consumer, "self.callback = callback", FETCHING),
        (consumer, "consumer_stopped_errors: ", FETCHING),
        (consumer, "consumer._drain_messages(self)", FETCHING),
        (consumer, "committed = self._committed_offset[tp]", ACKING),
        (recovery, "await table.on_changelog_event(event)\n", RECOVERING),
        (recovery, "offsets = active_offsets\n", RECOVERING),
        (recovery, "offsets = standby_offsets\n", RECOVERING),
        (recovery, "table.persisted_offset(tp)", RECOVERING),
        (recovery, "if seen_offset is None or offset > seen_offset:", RECOVERING),
        (driver, "self._assignor", MAKING),
    ],
)
def test_a_name_inside_is_still_used(module: Any, text: str, advice: str) -> None:
    """State that we read or write, and the calls that reach us, are still in Faust's source."""
    assert text in inspect.getsource(module), f"{module.__name__} no longer has {text!r}. {advice}"


@pytest.mark.parametrize("name", ["in_recovery", "rebalancing", "consumer_generation_id", "on_partitions_revoked"])
def test_an_app_tells_its_life(name: str) -> None:
    """What the runner and the watchdog ask of the application is there."""
    app = faust.App("contract", broker="clv://localhost:1", autodiscover=False)
    assert hasattr(app, name), f"App.{name} is gone. {LIVING}"


@pytest.mark.parametrize(
    "name",
    [
        "broker_client_id",
        "broker_max_poll_records",
        "broker_max_poll_interval",
        "consumer_max_fetch_size",
        "broker_request_timeout",
        "broker_session_timeout",
        "broker_rebalance_timeout",
        "broker_heartbeat_interval",
        "broker_commit_interval",
        "stream_wait_empty",
        "stream_buffer_maxsize",
        "tabledir",
    ],
)
def test_a_setting_is_still_a_setting(name: str) -> None:
    """Settings that we pass on, or set, exist."""
    app = faust.App("contract", broker="clv://localhost:1", autodiscover=False)
    assert hasattr(app.conf, name), f"conf.{name} is gone. {MAKING}"


def test_the_client_takes_our_settings() -> None:
    """Each keyword given to the Kafka client is one of its parameters."""
    ours = inspect.getsource(PartitionBatchThread._create_worker_consumer)
    known = parameters(aiokafka.AIOKafkaConsumer.__init__)
    given = [line.split("=")[0].strip() for line in ours.splitlines() if line.startswith(" " * 12) and "=" in line]
    assert len(given) >= 10
    assert [name for name in given if name not in known] == [], MAKING


def test_faust_finds_driver_and_stores_by_scheme() -> None:
    """The entry points lead to our classes, under Faust's own group names."""
    found = {
        entry.name: entry.load()
        for group in ("faust.transports", "faust.stores")
        for entry in importlib.metadata.entry_points(group=group)
        if entry.name.startswith("clv")
    }
    assert found == {"clv": Transport, "clv-memory": MemoryStore, "clv-rocksdb": RocksStore}


OURS = (
    "acked_to",
    "_hand_over",
    "_hand_over_batch",
    "_is_undisturbed",
    "_fetch_again",
    "_moving",
    "sought_to",
    "member",
)


def test_overrides_really_override() -> None:
    """Each private method that the driver defines is one that Faust's consumer has: a renamed one would never run."""
    ours = [name for name in vars(Consumer) if not name.startswith("__") and callable(getattr(Consumer, name))]
    strangers = [name for name in ours if not hasattr(driver.Consumer, name) and name not in OURS]
    assert strangers == [], f"{FETCHING}; {ACKING}"


def test_waiting_tells_whether_it_was_stopped() -> None:
    """``wait_first`` says what ended the wait, and ``notify`` takes no future at all."""
    notify(None)
    assert hasattr(mode.services.WaitResult(None, False), "stopped"), FETCHING


def test_versions_are_those_that_were_read() -> None:
    """Everything above was read in these versions; a new one is a reason to read again."""
    assert importlib.metadata.version("faust-streaming").startswith("0.15."), f"{FETCHING}; {ACKING}; {RECOVERING}"
    assert importlib.metadata.version("aiokafka").startswith("0.14."), SENDING

"""A Faust transport that hands a partition's fetched records over whole, and commits what has been acknowledged.

Faust finds it by the URL scheme ``clv://``. Faust keeps membership, assignment, recovery and the CLI; this driver
replaces how records reach a stream (one message a partition batch instead of one a record) and how acknowledgements
become offsets (acks come strictly in order a partition, so the last one says it all; offsets may have holes).
Private names of Faust that it leans on are pinned by ``tests/contract/test_faust.py``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import aiokafka
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.futures import notify

from clv.brokers import security_options
from clv.topics import ORDERS
from streams.broker import capabilities
from streams.clients import aiokafka_settings
from streams.ends import end_offsets
from streams.fencing import Member
from streams.topics import orders_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FETCH_MAX_WAIT_MS = 100
"""How long a fetch may wait for records: bounds what an idle partition costs the busy ones on the same broker."""
POLL_SECONDS = 0.5


class PartitionBatchThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with our client's settings."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        del transport  # the address comes from the settings, as for every client
        conf = self.app.conf
        self._assignor = self.app.assignor
        return Member(
            client_id=conf.broker_client_id,
            group_id=orders_group(self.app.settings, self.app.topic_ids[ORDERS]),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            **aiokafka_settings(self.app.settings),
        )


class PartitionBatch(NamedTuple):
    """Consecutive records of one partition, and from which offset on they were fetched.

    ``from_offset`` is where the batch before ended or reading was set to, so that a batch lost on the way shows.
    """

    from_offset: int
    records: list[Any]


class Consumer(driver.Consumer):
    """Delivers partition batches: one message a batch, its value a ``PartitionBatch``, its offset the last record's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._acked_to: dict[TP, int] = {}
        self._begun_at: dict[TP, int] = {}
        self._sought: dict[TP, int] = {}
        self._moves = 0
        self._moves_at_fetch = 0

    def _new_consumer_thread(self) -> PartitionBatchThread:
        return PartitionBatchThread(self, loop=self.loop, beacon=self.beacon)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        """Return where partitions really end: recovery must not stop before the last rows."""
        if capabilities(self.app.settings).has_true_ends:
            found: dict[TP, int] = await super().highwaters(*partitions)
            return found
        ends = await end_offsets(self.app.settings, [aiokafka.TopicPartition(*tp) for tp in partitions])
        return {TP(*place): end for place, end in ends.items()}

    def ack(self, message: Any) -> bool:
        """Note that everything up to this message is durable; called in order for each partition."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        if self.app.topics.acks_enabled_for(message.topic):
            tp = message.tp
            self._acked_to[tp] = max(self._acked_to.get(tp, 0), message.offset + 1)
            self._acked.setdefault(tp, [])
            self._n_acked += 1
        notify(self._waiting_for_ack)
        return True

    def _new_offset(self, tp: TP) -> int | None:
        return self._acked_to.get(tp)

    def acked_to(self, tp: TP) -> int:
        """Return up to where a partition's records are durable: the next offset to come."""
        return max(self._acked_to.get(tp) or self._committed_offset[tp] or 0, 0)

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, handing nothing over until Faust resumes the flow.

        Faust clears its queues when it resumes: what was handed over between seek and resume would be lost. aiokafka
        leaves a partition without a committed offset where it has been read to: such a one goes to where it began.
        """
        self.stop_flow()
        with self._moving():
            await super().perform_seek()
        for tp, first in self._begun_at.items():
            if not self._committed_offset.get(tp) and not self._is_changelog_tp(tp):
                # One that is taken away meanwhile has no place any more; whoever gets it begins at its beginning.
                with contextlib.suppress(IllegalStateError):
                    await self._seek(tp, first)

    async def seek(self, partition: TP, offset: int) -> None:
        """Read a partition from an offset on."""
        with self._moving():
            await super().seek(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Read partitions from these offsets on, and wait until it is so."""
        self._sought.update(partitions)
        with self._moving():
            await super().seek_wait(partitions)

    def sought_to(self, tp: TP) -> int:
        """Return from which offset on a partition was last told to be read: of a changelog, where recovery begins."""
        return self._sought.get(tp, 0)

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Count a change of where partitions are read; what is fetched meanwhile may come from before it."""
        self._moves += 1
        try:
            yield
        finally:
            self._moves += 1

    @property
    def member(self) -> Member:
        """The consumer that is a member of the group."""
        found: Member = self._thread._ensure_consumer()  # noqa: SLF001 - Faust's own consumer does
        return found

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note that the group knows us."""
        self.member.note_assignment()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait, by way of Faust, until in-flight batches are acknowledged and committed; then forget the partitions."""
        await self.commit()
        with self._moving():
            await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._acked_to.pop(tp, None)
            self._begun_at.pop(tp, None)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        self._moves_at_fetch = self._moves
        return await super()._getmany(active_partitions=active_partitions, timeout=timeout)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 - Faust's own loop does
                await self.sleep(0)
                records, active = await self._wait_next_records(POLL_SECONDS)
                for place, fetched in (records or {}).items():
                    if fetched:
                        self._begun_at.setdefault(TP(place.topic, place.partition), fetched[0].offset)
                if not self.flow_active:
                    # Taken away meanwhile: the rebalance that took it seeks again once it is through.
                    with contextlib.suppress(IllegalStateError):
                        await self.perform_seek()
                for tp in await self._hand_over(records or {}, active):
                    if not fetcher._stopped.is_set():  # noqa: SLF001 - as above
                        await self._fetch_again(tp)
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        finally:
            fetcher.set_shutdown()

    async def _hand_over(self, records: dict[Any, list[Any]], active: set[TP] | None) -> list[TP]:
        """Hand records over; return the partitions of which some, or all, may not be any more, or not yet."""
        missed = []
        generation = self.app.consumer_generation_id
        for raw_tp, batch in records.items():
            tp = TP(raw_tp.topic, raw_tp.partition)
            is_paused = active is not None and tp not in active and tp not in self._buffered_partitions
            may_pass = self._is_undisturbed and generation == self.app.consumer_generation_id and not is_paused
            if not (may_pass and await self._hand_over_batch(tp, batch)):
                missed.append(tp)
        return missed

    @property
    def _is_undisturbed(self) -> bool:
        """Whether what was fetched is still what comes next: neither suspended nor sought elsewhere since."""
        return self.flow_active and self._moves == self._moves_at_fetch

    async def _hand_over_batch(self, tp: TP, batch: list[Any]) -> bool:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        due_offset = self._read_offset[tp] or 0
        fresh = [record for record in batch if record.offset >= due_offset]
        is_batched = tp.topic == ORDERS or self._is_changelog_tp(tp)
        groups = ([fresh] if fresh else []) if is_batched else [[record] for record in fresh]
        for group in groups:
            message = self._to_message(tp, group[-1])
            if is_batched:
                message.value = PartitionBatch(due_offset, group)
            handed = await self.wait_first(self.callback(message), self.suspend_flow.wait())
            if handed.stopped or not self._is_undisturbed:
                return False
            due_offset = self._read_offset[tp] = group[-1].offset + 1
        return True

    async def _fetch_again(self, tp: TP) -> None:
        """Read on where the last record handed over ended: the client is further on.

        Else the next records would claim to follow that one, and what was dropped between them be missed.
        """
        with contextlib.suppress(IllegalStateError):  # taken away meanwhile: whoever has it reads it
            await super().seek_wait({tp: self._read_offset[tp] or 0})


class Producer(driver.Producer):
    """Faust's producer, which proves itself as every client of ours does."""

    def _settings_auth(self) -> dict[str, Any]:
        return security_options(self.app.settings)


class Transport(driver.Transport):
    """Faust's aiokafka transport with consumer and producer above."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer

"""Published models as the worker sees them: announced on ``clv.models.v1``, loaded from SQL, digest-checked.

What was the newest at a sequence number can be had again, so that records repeated after a crash are scored by the
very models that scored them first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer

from clv.outcomes import UNREADABLE, ModelAnnounced
from clv.published import LAST_SEQUENCE, POLICY_NAME, SCORER_NAME, sequence_of
from clv.topics import MODELS
from models.loading import Loader
from storage.artifacts import StoredArtifacts
from streams.clients import aiokafka_settings
from streams.store_retry import retry_store

if TYPE_CHECKING:
    from clv.settings import Settings
    from clv.verdicts import Judgement
    from storage.engine import Database

log = structlog.get_logger(__name__)
_KEPT_JUDGEMENTS = 4


class PublishedModels:
    """Loads what the trainer publishes; satisfies ``streams.partitions.Models``.

    Parameters
    ----------
    settings
        The deployment's settings.
    database
        Where the artifacts lie.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._loader = Loader(settings, StoredArtifacts(database))
        self._latest = 0
        self._never = asyncio.Event()
        self._loading = asyncio.Lock()
        self._judgements: OrderedDict[int, Judgement] = OrderedDict()

    def latest_sequence(self) -> int:
        """Return the newest sequence that is loaded."""
        return self._latest

    async def judgement(self, sequence: int) -> Judgement:
        """Return models and policies as they were when ``sequence`` was the newest."""
        async with self._loading:
            known = self._judgements.get(sequence)
            if known is None:
                known = await retry_store(self._never, self._load, sequence)
                self._judgements[sequence] = known
                while len(self._judgements) > _KEPT_JUDGEMENTS:
                    self._judgements.popitem(last=False)
            return known

    async def follow(self) -> None:
        """Follow the announcements until cancelled; a new version counts once it is loaded."""
        consumer = AIOKafkaConsumer(
            MODELS, auto_offset_reset="earliest", enable_auto_commit=False, **aiokafka_settings(self._settings)
        )
        await consumer.start()
        try:
            while True:
                announced = await consumer.getmany(timeout_ms=1000)
                values = [record.value for records in announced.values() for record in records]
                await self._take(values)
        finally:
            await consumer.stop()

    async def _take(self, values: list[bytes | None]) -> None:
        newest = self._latest
        for value in values:
            newest = max(newest, _announced_sequence(value))
        if newest > self._latest:
            await self.judgement(newest)
            self._latest = newest
            log.debug("models loaded", sequence=newest)

    def _load(self, sequence: int) -> Judgement:
        loaded = self._loader.load(sequence)
        if loaded.newest_sequence < sequence:
            # A row older than what storage.pruning keeps asks for it, or one of before the database was lost or
            # restored: then what was learned again is numbered higher, and better than what is older still.
            log.warning("the store no longer holds these models, repeated outputs may differ", sequence=sequence)
            loaded = self._loader.load(LAST_SEQUENCE)
        return loaded.judgement


def _announced_sequence(value: bytes | None) -> int:
    """Return the sequence that a record announces; 0 for one that announces nothing for a worker, or is broken."""
    if value is None:
        return 0
    try:
        announcement = msgspec.json.decode(value, type=ModelAnnounced)
        return sequence_of(announcement.version) if announcement.name in (SCORER_NAME, POLICY_NAME) else 0
    except UNREADABLE as problem:
        log.warning("announcement cannot be read", problem=type(problem).__name__)
        return 0

"""The role ``ads``: follows scores and segment changes, and synchronises audiences once a window.

One process a deployment is enough; of several, one at a time synchronises. Offsets are committed after their rows are
in SQL: a record may be read twice, which changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

import structlog
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from tenacity import retry, retry_if_exception_type, wait_random_exponential

from ads.budgets import READ_SECONDS, read_budgets
from ads.conversions import WINDOW_MS, send_conversions
from ads.following import TOPICS, read_records
from ads.platforms import Platform, now_ms, open_platform
from ads.sync import Options
from ads.wishes import fulfil_wishes
from clv.brokers import security_options
from clv.errors import BrokerError, ScorerError, StoreUnavailable
from observability.ads import AdsMetrics, Told
from observability.serving import make_registry, served
from storage.audiences import apply_scores, refresh_scores
from storage.engine import Database
from storage.heartbeats import INTERVAL_SECONDS, beat
from storage.schema import upgrade

if TYPE_CHECKING:
    from threading import Event

    from clv.settings import Settings

log = structlog.get_logger(__name__)
POLL_MS = 500
BATCH_RECORDS = 5_000
_NEVER_MS = 2**31 - 1


def run_ads(settings: Settings, stop: Event) -> None:
    """Follow the topics and synchronise until ``stop`` is set; waits out an unavailable database or platform.

    Raises
    ------
    BrokerError
        When the broker refuses for good.
    StoreError
        When the database does.
    ConfigError
        When the platform's settings are wrong.
    """
    database = Database(settings.sql_url)
    metrics = AdsMetrics(settings.ads_platform, make_registry("ads"))
    try:
        with served(settings, metrics.registry):
            upgrade(settings.sql_url)
            with contextlib.closing(open_platform(settings, database)) as platform:
                consumer = _consumer(settings)
                try:
                    _Role(settings, database, platform, consumer, metrics).run(stop)
                finally:
                    consumer.close(autocommit=False)
    except KafkaError as problem:
        raise BrokerError(f"the broker refuses the ads role: {type(problem).__name__}: {problem}") from problem
    finally:
        database.close()


def _consumer(settings: Settings) -> KafkaConsumer:
    return KafkaConsumer(
        *TOPICS,
        bootstrap_servers=settings.broker.split(","),
        group_id=f"{settings.group}-ads",
        client_id=f"{settings.group}-ads",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_poll_interval_ms=_NEVER_MS,  # a synchronisation of a large audience takes as long as it takes
        max_poll_records=BATCH_RECORDS,
        **security_options(settings),
    )


class _Role:
    def __init__(
        self, settings: Settings, database: Database, platform: Platform, consumer: KafkaConsumer, metrics: AdsMetrics
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._database = database
        self._platform = platform
        self._consumer = consumer
        self._started_ms = now_ms()
        self._beat_at = self._due_at = self._budgets_due_at = 0.0
        self._figures: dict[str, int | str] = {}

    def run(self, stop: Event) -> None:
        refresh_scores(self._database)
        log.info("ads started", platform=self._platform.name)
        while not stop.is_set():
            # Until all that lay there is read, an old score may be the latest that is known.
            is_caught_up = self._follow(stop) < BATCH_RECORDS
            self._beat()
            self._see_to_budgets()
            if is_caught_up and time.monotonic() >= self._due_at:
                self._synchronise()
                self._due_at = time.monotonic() + max(self._settings.ads_window_ms / 1_000, 1.0)

    def _see_to_budgets(self) -> None:
        """Carry out what was approved; read how budgets stand, at once after a change."""
        has_changed = fulfil_wishes(self._database, self._platform, self._settings)
        if has_changed or time.monotonic() >= self._budgets_due_at:
            read_budgets(self._database, self._platform.budgets, now_ms=now_ms())
            self._budgets_due_at = time.monotonic() + READ_SECONDS

    def _follow(self, stop: Event) -> int:
        """Store what the next records say; return how many there were."""
        fetched = self._consumer.poll(timeout_ms=POLL_MS)
        records = [record for of_partition in fetched.values() for record in of_partition]
        if not records:
            return 0
        from_ms = now_ms() - WINDOW_MS if self._platform.conversions else None
        read = read_records(records, key=self._platform.key, conversions_from_ms=from_ms)

        @retry(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(0.1, max=5),
            stop=lambda _: stop.is_set(),
            reraise=True,
        )
        def store() -> None:
            apply_scores(
                self._database,
                list(read.scored.values()),
                list(read.changed.values()),
                read.erased,
                conversions=list(read.conversions.values()),
            )

        store()
        self._consumer.commit()
        self._metrics.followed.inc(len(records))
        return len(records)

    def _synchronise(self) -> None:
        options = Options(most_moved_share=self._settings.ads_most_moved_share)
        try:
            with self._metrics.seconds.time():
                reports = self._platform.synchroniser().run(options)
            told = [Told(each.status, each.added, each.updated, each.removed) for each in reports]
            self._metrics.note_done(told)
            if sender := self._platform.conversions:
                sent = send_conversions(self._database, sender, self._platform.people, now_ms=now_ms())
                self._metrics.conversions.inc(sent)
        except ScorerError as problem:
            self._metrics.note_failed(problem.reason)
            log.warning("audiences not synchronised", platform=self._platform.name, problem=str(problem))
            self._figures["problem"] = str(problem)[:200]
            return
        for report in reports:
            if report.added or report.removed or report.status != "ready":
                figures = {"added": report.added, "removed": report.removed, "present": report.present}
                log.info("audience", name=report.name, status=report.status, detail=report.detail, **figures)
        self._figures = {
            "platform": self._platform.name,
            "present": sum(report.present for report in reports),
            "rejected": sum(sum(report.rejected.values()) for report in reports),
            "audiences_not_ready": sum(report.status != "ready" for report in reports),
        }

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at < INTERVAL_SECONDS:
            return
        self._beat_at = now
        with contextlib.suppress(ScorerError):
            name = f"{socket.gethostname()}-{os.getpid()}"
            beat(self._database, "ads", name, started_ms=self._started_ms, figures=self._figures)

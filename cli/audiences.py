"""Bringing audiences up to date once, for the commands; and how many are in each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from ads.connector import Busy
from ads.platforms import open_platform
from ads.sync import Options
from clv.errors import ScorerError
from storage.audiences import refresh_scores

if TYPE_CHECKING:
    from ads.sync import AudienceReport
    from clv.settings import Settings
    from storage.engine import Database

log = structlog.get_logger(__name__)
_PATIENCE_SECONDS = 60.0


def synchronise(settings: Settings, database: Database, options: Options) -> list[AudienceReport]:
    """Take over the scores that SQL has, and synchronise the platform, after the role if that is at it.

    Raises
    ------
    ConfigError, InputError, Busy, StoreUnavailable
        As ``ads.platforms.open_platform`` and ``ads.sync.Synchroniser.run`` do.
    """
    patient = Retrying(
        retry=retry_if_exception_type(Busy),
        wait=wait_fixed(0.5),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        reraise=True,
    )
    with contextlib.closing(open_platform(settings, database)) as platform:
        refresh_scores(database)
        return patient(platform.synchroniser().run, options)


def audience_figures(database: Database, settings: Settings) -> dict[str, int]:
    """Bring audiences up to date a last time, and return how many members each has; none where that fails."""
    options = Options(most_moved_share=settings.ads_most_moved_share)
    try:
        return {report.name: report.present for report in synchronise(settings, database, options)}
    except ScorerError as problem:
        log.warning("audiences not synchronised", problem=str(problem))
        return {}

"""Old rows deleted from SQL, again and again, beside the sink."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from clv.errors import StoreUnavailable
from storage.retention import delete_expired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.engine import Database

log = structlog.get_logger(__name__)
LOOK_SECONDS = 3_600.0


async def expire_rows(database: Database, retention_ms: Mapping[str, int]) -> None:
    """Delete the rows that their tables keep no longer, at once and then every hour, until cancelled."""
    while True:
        try:
            counts = await asyncio.to_thread(delete_expired, database, retention_ms, round(time.time() * 1000))
            if counts:
                log.info("old rows deleted", **counts)
        except StoreUnavailable as problem:
            log.warning("old rows stay for now", problem=str(problem))
        await asyncio.sleep(LOOK_SECONDS)

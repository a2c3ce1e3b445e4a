"""Changelog batches on their way into the store: each must begin where the one before it ended.

Around a rebalance Faust empties its queues, may let a batch of before it through, and swallows what goes wrong while a
batch is applied. Each would leave a hole in the rows that nothing fills any more: the place up to which the changelog
counts as applied would lie behind it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import IllegalStateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faust.types import TP

    from streams.store import MemoryStore

log = structlog.get_logger(__name__)


async def take_batch(app: Any, store: MemoryStore, event: Any, on_failure: Callable[[BaseException], None]) -> None:
    """Apply a batch that Faust's recovery has read, or go back when one before it is missing.

    Faust calls this before it looks whether all has been read.

    Parameters
    ----------
    app
        Faust's application.
    store
        The table's.
    event
        Carries a ``PartitionBatch`` of a changelog partition, active or standby.
    on_failure
        Called with what goes wrong; the process has to end, or Faust would pass the batch over.
    """
    tp, batch = event.message.tp, event.message.value
    read_to = _read_to(app.tables.recovery, tp)
    if read_to is None:
        log.info("a changelog batch of a partition that was given away is dropped", partition=tp.partition)
        return
    try:
        due = store.next_changelog_offset(tp.partition)
        if due is None:
            due = app.consumer.sought_to(tp)
        if batch.from_offset <= due:
            store.apply(tp.partition, batch.records)
            return
        log.warning(
            "a changelog batch was lost on the way, going back", partition=tp.partition, at=batch.from_offset, to=due
        )
        read_to[tp] = due - 1
        with contextlib.suppress(IllegalStateError):  # given away meanwhile: the next recovery begins by itself
            await app.consumer.seek_wait({tp: due})
    except Exception as problem:
        on_failure(problem)
        raise


def _read_to(recovery: Any, tp: TP) -> Any:
    """Return Faust's note of what has been read, active or standby; None for a partition that is neither."""
    if tp in recovery.active_tps:
        return recovery.active_offsets
    return recovery.standby_offsets if tp in recovery.standby_tps else None

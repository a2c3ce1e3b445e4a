"""Stock Faust programs, one for each trap of ``test_stock_traps``; arguments are the trap and the broker."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import Any

import faust

SOURCE, OUTPUT = "traps.{}.in", "traps.{}.out"
RECORDS = 20
POISON = 7
"""The record that is not taken, counted from 0."""


def make_app(trap: str, broker: str) -> faust.App:
    """Return the program of a trap; nothing is connected yet."""
    app = faust.App(
        f"traps-{trap}",
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        topic_partitions=1,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=30.0 if trap == "I" else 0.3,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        stream_wait_empty=False,
    )
    source = app.topic(SOURCE.format(trap), value_type=bytes, value_serializer="json" if trap in "DE" else "raw")
    output = app.topic(OUTPUT.format(trap), value_type=bytes, value_serializer="raw")
    table = app.Table("counts", default=int, partitions=1) if trap in "CI" else None
    app.agent(source, name="take", concurrency=2 if trap == "F" else 1)(_AGENTS[trap](output, table))
    return app


def _number(value: Any) -> int:
    return int(value["number"] if isinstance(value, dict) else value)


def _raises(output: Any, _: Any) -> Any:
    """A: an exception in the loop."""

    async def take(stream: Any) -> None:
        async for value in stream:
            if _number(value) == POISON:
                raise RuntimeError("cannot be applied")
            await output.send(value=value)

    return take


def _raises_in_take(output: Any, _: Any) -> Any:
    """B: an exception while records are taken in batches."""

    async def take(stream: Any) -> None:
        async for values in stream.take(RECORDS // 2, within=0.5):
            if POISON in map(_number, values):
                raise RuntimeError("cannot be applied")
            for value in values:
                await output.send(value=value)

    return take


def _writes_in_take(output: Any, table: Any) -> Any:
    """C: a table written while records are taken in batches."""

    async def take(stream: Any) -> None:
        async for values in stream.take(RECORDS // 2, within=0.5):
            for value in values:
                table["all"] += 1
                await output.send(value=value)

    return take


def _decodes(output: Any, _: Any) -> Any:
    """E: Faust decodes."""

    async def take(stream: Any) -> None:
        async for value in stream:
            await output.send(value=str(_number(value)).encode())

    return take


def _decodes_in_take(output: Any, _: Any) -> Any:
    """D: Faust decodes, and records are taken in batches."""

    async def take(stream: Any) -> None:
        async for values in stream.take(RECORDS // 2, within=0.5):
            for value in values:
                await output.send(value=str(_number(value)).encode())

    return take


def _overtakes(output: Any, _: Any) -> Any:
    """F: two at once, and the first record takes longest; the process dies meanwhile."""

    async def take(stream: Any) -> None:
        async for value in stream:
            if _number(value) == POISON:
                await asyncio.sleep(3.0)
                os._exit(1)
            await output.send(value=value)

    return take


def _counts(output: Any, table: Any) -> Any:
    """I: a count in a table; the process dies before its offset is committed."""

    async def take(stream: Any) -> None:
        async for _ in stream:
            table["all"] += 1
            await output.send(value=str(table["all"]).encode())
            if table["all"] == RECORDS:
                await asyncio.sleep(0.1)  # the changelog is sent meanwhile
                os._exit(1)

    return take


_AGENTS = {
    "A": _raises,
    "B": _raises_in_take,
    "C": _writes_in_take,
    "D": _decodes_in_take,
    "E": _decodes,
    "F": _overtakes,
    "I": _counts,
}

if __name__ == "__main__":
    _trap, _broker = sys.argv[1:3]
    sys.argv = [sys.argv[0], "worker", "--without-web", "-l", "error"]
    make_app(_trap, _broker).main()

"""Generated events in files, and back."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import pytest

from clv.errors import InputError
from clv.events import EmailEngaged, OrderPlaced, OrderRefunded, decode_event
from clv.settings import DAY_MS
from producers.customers import read_customers
from producers.encode import key_of
from producers.files import write_customers, write_events, write_order_log
from producers.generator import Shop
from producers.orderlog import LogOptions, read_order_log

if TYPE_CHECKING:
    from pathlib import Path

SHOP = Shop(seed=3, customers=60, start_ms=19_723 * DAY_MS, days=120, refund_rate=0.2)


def test_an_order_log_reads_back_as_the_same_events(tmp_path: Path) -> None:
    """Ids, times, money, categories, acquisition and refunds survive; mails have no place in an order log."""
    path = tmp_path / "log.csv.gz"
    lines = write_order_log(path, SHOP, currency="USD", digits=2)
    log = read_order_log(path, LogOptions())
    assert list(log) == [event for event in SHOP if not isinstance(event, EmailEngaged)]
    assert lines == log.counts.rows


def test_json_lines_are_events_of_the_contract(tmp_path: Path) -> None:
    """Each line decodes to the event."""
    path = tmp_path / "events.jsonl.gz"
    count = write_events(path, SHOP, currency="USD", digits=2)
    events = list(SHOP)
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert count == len(lines) == len(events)
    assert [
        decode_event(line, key_of(event), currency="USD", digits=2) for line, event in zip(lines, events, strict=True)
    ] == events


def test_aggregated_customers_have_the_totals_of_their_events(tmp_path: Path) -> None:
    """The file's rows sum to the shop's revenue, and the import accepts every one."""
    path = tmp_path / "customers.csv"
    assert write_customers(path, SHOP.histories(), digits=2) == 60
    with path.open() as file:
        spent = sum(round(float(row["total_spent"]) * 100) for row in csv.DictReader(file))
    assert spent == sum(event.total_minor for event in SHOP if isinstance(event, OrderPlaced))
    log = read_customers(path, currency="USD")
    assert (log.rows, log.rejected) == (60, 0)
    imported = list(log)
    assert sum(event.total_minor for event in imported if isinstance(event, OrderPlaced)) == spent
    assert any(isinstance(event, OrderRefunded) for event in imported)


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    """The path is in the message."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_events(tmp_path / "file" / "events.jsonl", [], currency="USD", digits=2)

"""What rows of an order log mean."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from clv.errors import InputError
from clv.events import OrderPlaced, OrderRefunded
from producers.orderlog import LogOptions, OrderLog, read_order_log

CDNOW = Path(__file__).parents[3] / "data" / "cdnow_orders.csv.gz"


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _log(tmp_path: Path, text: str, **options: str) -> OrderLog:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    given = dict(part.split("=") for part in options.pop("given", "").split() if part)
    return read_order_log(path, LogOptions(given=given, rejects_path=tmp_path / "rejects.csv", **options))


def _orders(log: OrderLog) -> list[tuple[str, int]]:
    return [(event.order_id, event.total_minor) for event in log if isinstance(event, OrderPlaced)]


def _refunds(log: OrderLog) -> list[tuple[str, str, int]]:
    return [(event.refund_id, event.order_id, event.amount_minor) for event in log if isinstance(event, OrderRefunded)]


def test_cdnow_equals_a_plain_recomputation() -> None:
    """Orders, revenue and customers of the shipped log equal what pandas finds, to the cent, for every customer."""
    log = read_order_log(CDNOW, LogOptions())
    plain = pd.read_csv(CDNOW, dtype=str)
    cents = (plain["amount"].astype(float) * 100).round().astype(int)
    totals: Counter[str] = Counter()
    ids = set()
    for event in log:
        assert isinstance(event, OrderPlaced)
        totals[event.customer_id] += event.total_minor
        ids.add(event.order_id)
    assert (log.counts.rows, log.counts.orders, log.counts.customers) == (69_659, 69_659, 23_570)
    assert (log.counts.refunds, log.counts.rejected, log.counts.skipped_no_customer) == (0, 0, 0)
    assert log.counts.revenue_minor == cents.sum()
    assert dict(totals) == cents.groupby(plain["customer_id"]).sum().to_dict()
    assert len(ids) == 69_659
    assert int(plain.duplicated().sum()) == 255
    times = [event.occurred_ms for event in log]
    assert times == sorted(times)
    assert (log.first_ms, log.last_ms) == (_ms("1997-01-01"), _ms("1998-06-30"))


def test_lines_of_an_order_are_its_net_at_its_earliest_line(tmp_path: Path) -> None:
    """Lines need not be adjacent, and a discount on the same day is part of the order."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount\n"
        "1,A,2024-01-01T10:00:05Z,10.00\n2,B,2024-01-01T09:00:00Z,5.00\n"
        "1,A,2024-01-01T10:00:00Z,2.50\n1,A,2024-01-01T11:00:00Z,-1.25\n",
    )
    assert _orders(log) == [("B", 500), ("A", 1125)]
    assert [event.occurred_ms for event in log] == [_ms("2024-01-01T09:00:00"), _ms("2024-01-01T10:00:00")]


def test_two_customers_with_one_order_id_have_an_order_each(tmp_path: Path) -> None:
    """An order id counts within its customer."""
    log = _log(tmp_path, "customer_id,order_id,date,amount\n1,A,2024-01-01,1\n2,A,2024-01-01,2\n")
    assert _orders(log) == [("A", 100), ("A", 200)]
    assert len({event.event_id for event in log}) == 2


def test_a_wholly_negative_order_is_a_refund_of_the_customer(tmp_path: Path) -> None:
    """A cancellation invoice with an id of its own names no order."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount\n1,536379,2024-01-01,10\n1,C536379,2024-01-02,-4\n1,C536379,2024-01-02,-1\n",
    )
    assert _orders(log) == [("536379", 1000)]
    assert _refunds(log) == [("C536379", "", 500)]
    assert (log.counts.refunds, log.counts.refunded_minor) == (1, 500)


def test_a_refund_names_its_order_where_a_column_does(tmp_path: Path) -> None:
    """A column for the refunded order is used."""
    log = _log(tmp_path, "customer_id,order_id,date,amount,refund_of\n1,A,2024-01-01,10,\n1,R,2024-01-02,-4,A\n")
    assert _refunds(log) == [("R", "A", 400)]


def test_a_negative_line_on_a_later_day_is_a_refund_of_its_order(tmp_path: Path) -> None:
    """What happens later does not change what the order was on its day."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount\n1,A,2024-01-01,10\n1,A,2024-01-05,-3\n1,A,2024-01-05,-1\n1,A,2024-01-07,-1\n",
    )
    assert _orders(log) == [("A", 1000)]
    refunds = _refunds(log)
    assert [(order, amount) for _, order, amount in refunds] == [("A", 400), ("A", 100)]
    assert len({refund for refund, _, _ in refunds}) == 2


def test_a_positive_line_on_a_later_day_is_an_order_of_its_own(tmp_path: Path) -> None:
    """The order on its day stays what it was; a refund after both takes all of its amount, as it names neither."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount\n"
        "1,A,2024-01-01,10\n1,A,2024-01-03,-4\n1,A,2024-01-05,80\n1,A,2024-01-05,10\n1,A,2024-01-07,-96\n",
    )
    (first, amount), (later, more) = _orders(log)
    assert (first, amount, more) == ("A", 1000, 9000)
    assert later != "A"
    assert [(order, amount) for _, order, amount in _refunds(log)] == [("A", 400), ("", 9600)]
    assert len({event.event_id for event in log}) == 4


def test_an_id_that_begins_with_a_refund_names_no_order(tmp_path: Path) -> None:
    """Neither what comes later under it nor what is given back again can change the first day's refund."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount\n1,C,2024-01-01,-5\n1,C,2024-01-02,-1\n1,C,2024-01-04,7\n1,C,2024-01-05,-2\n",
    )
    assert [(order, amount) for _, order, amount in _refunds(log)] == [("", 500), ("", 100), ("", 200)]
    assert [amount for _, amount in _orders(log)] == [700]


def test_without_an_order_column_equal_rows_are_separate_orders(tmp_path: Path) -> None:
    """Repeated rows get ids of their own, the same each time and whatever else is in the file."""
    rows = "1,2024-01-01,5\n1,2024-01-01,5\n1,2024-01-01,6\n1,2024-01-02,-2\n"
    first = list(_log(tmp_path, f"customer_id,date,amount\n{rows}"))
    again = list(_log(tmp_path, f"customer_id,date,amount\n0,2023-01-01,1\n{rows}"))
    assert again[1:] == first
    assert len({event.event_id for event in first}) == 4
    assert [type(event) for event in first] == [OrderPlaced, OrderPlaced, OrderPlaced, OrderRefunded]


def test_a_row_with_an_empty_order_id_is_an_order_of_its_own(tmp_path: Path) -> None:
    """Rows without an id are not thrown together."""
    log = _log(tmp_path, "customer_id,order_id,date,amount\n1,,2024-01-01,1\n1,,2024-01-01,1\n1,A,2024-01-01,1\n")
    assert log.counts.orders == 3


def test_what_the_log_says_later_changes_nothing_before(tmp_path: Path) -> None:
    """The events of a log cut after a day are the whole log's events of those days."""
    head = "customer_id,order_id,date,amount\n1,A,2024-01-01,10\n2,B,2024-01-03,4\n1,A,2024-01-03,-2\n"
    cut = list(_log(tmp_path, head))
    later = (
        "1,A,2024-01-09,-3\n2,C,2024-01-04,1\n3,D,2024-01-05,1\n2,B,2024-01-08,6\n1,A,2024-01-12,5\n1,A,2024-01-13,-9\n"
    )
    whole = list(_log(tmp_path, head + later))
    assert whole[: len(cut)] == cut
    assert len(whole) == len(cut) + 6


def test_ids_are_text_and_times_without_an_offset_are_utc(tmp_path: Path) -> None:
    """Leading zeros stay; a bare date is UTC midnight; an offset counts."""
    log = _log(
        tmp_path,
        "customer_id,date,amount\n007,2024-01-01,1\n7,2024-01-01 12:00:00,1\n07,2024-01-02T01:00:00+02:00,1\n",
    )
    assert [(event.customer_id, event.occurred_ms) for event in log] == [
        ("007", _ms("2024-01-01")),
        ("7", _ms("2024-01-01T12:00:00")),
        ("07", _ms("2024-01-01T23:00:00")),
    ]


def test_a_date_format_of_ones_own(tmp_path: Path) -> None:
    """Times as spreadsheets write them are read when their format is given."""
    log = _log(tmp_path, "customer_id,date,amount\n1,12/1/2010 8:26,1\n", date_format="%m/%d/%Y %H:%M")
    assert log.first_ms == _ms("2010-12-01T08:26:00")


def test_bad_rows_are_reported_with_their_lines_and_the_rest_is_read(tmp_path: Path) -> None:
    """Every kind of bad row ends in the rejects file; none stops the run."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount,currency\n"
        f"1,A,2024-01-01,1,USD\n1,B,yesterday,1,USD\n1,C,2024-01-01,1.005,USD\n1,D,2024-01-01,nan,\n"
        f"1,E,2024-01-01,1,EUR\n{'x' * 300},F,2024-01-01,1,\n1,G,1969-12-31,1,\n1,H\n1,I,2024-01-01,1e15,\n"
        "1,J,2024-01-02,0.00,\n",
    )
    assert _orders(log) == [("A", 100), ("J", 0)]
    rejected = pd.read_csv(tmp_path / "rejects.csv")
    assert list(zip(rejected["line"], rejected["reason"], strict=True)) == [
        (9, "bad_shape"),
        (3, "bad_time"),
        (4, "bad_amount"),
        (5, "bad_amount"),
        (6, "foreign_currency"),
        (7, "bad_id"),
        (8, "bad_time"),
        (10, "bad_amount"),
    ]
    assert (log.counts.rows, log.counts.rejected) == (10, 8)


@pytest.mark.parametrize("blank", ["", " ", "nan", "NULL"])
def test_rows_without_a_customer_are_counted_and_skipped(tmp_path: Path, blank: str) -> None:
    """They are no rejects: such lines are usual."""
    log = _log(tmp_path, f"customer_id,date,amount\n{blank},2024-01-01,1\n1,2024-01-01,1\n")
    assert (log.counts.skipped_no_customer, log.counts.rejected, log.counts.orders) == (1, 0, 1)


def test_quantity_times_price_is_exact_and_rounded_only_where_it_must(tmp_path: Path) -> None:
    """Prices of a tenth of a cent round half to even, and such lines are counted."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,quantity,unit_price\n1,A,2024-01-01,6,2.55\n1,B,2024-01-01,3,0.335\n"
        "1,C,2024-01-01,-2,1.5\n",
    )
    assert _orders(log) == [("A", 1530), ("B", 100)]
    assert _refunds(log) == [("C", "", 300)]
    assert log.counts.rounded == 1


def test_the_noise_of_printed_floats_is_no_third_decimal(tmp_path: Path) -> None:
    """What a float64 cannot carry is not money."""
    log = _log(tmp_path, "customer_id,date,amount\n1,2024-01-01,29.330000000000002\n1,2024-01-01,0.30000000000000004\n")
    assert [total for _, total in _orders(log)] == [2933, 30]


def test_categories_and_acquisition_reach_the_order_and_mail_addresses_do_not(tmp_path: Path) -> None:
    """Distinct categories in the order of the lines; the first known acquisition; e-mail is only counted."""
    log = _log(
        tmp_path,
        "customer_id,order_id,date,amount,category,source,campaign,cac,email\n"
        "1,A,2024-01-01,1,toys,,,,x@y.example\n1,A,2024-01-01,2,books,search,brand,3.50,\n1,A,2024-01-01,2,toys,,,,\n"
        "2,B,2024-01-02,1,,,,,\n",
    )
    first, second = log
    assert isinstance(first, OrderPlaced)
    assert (first.categories, first.source, first.campaign_type) == (("toys", "books"), "search", "brand")
    assert first.acquisition_cost_minor == 350
    assert isinstance(second, OrderPlaced)
    assert (second.categories, second.source, second.acquisition_cost_minor) == ((), "", -1)
    assert log.counts.emails_dropped == 1
    assert "y.example" not in repr(list(log))


def test_a_log_without_one_usable_row_is_refused(tmp_path: Path) -> None:
    """The first reason is in the message."""
    with pytest.raises(InputError, match="line 2: the time is not ISO 8601"):
        _log(tmp_path, "customer_id,date,amount\n1,1/2/2024,1\n")


def test_parquet_and_csv_of_one_log_give_the_same_events(tmp_path: Path) -> None:
    """The format of the file is not part of the meaning."""
    text = "customer_id,order_id,date,amount\n01,A,2024-01-01T10:00:00Z,10.10\n01,R,2024-01-02T10:00:00Z,-0.30\n"
    from_csv = list(_log(tmp_path, text))
    frame = pd.read_csv(tmp_path / "log.csv", dtype={"customer_id": str}, parse_dates=["date"])
    frame.to_parquet(tmp_path / "log.parquet")
    assert list(read_order_log(tmp_path / "log.parquet", LogOptions())) == from_csv


def test_the_key_tells_logs_and_ways_of_reading_apart(tmp_path: Path) -> None:
    """The same bytes read alike have one key, anything else another."""
    text = "customer_id,date,amount,value\n1,2024-01-01,1,2\n"
    keys = [
        _log(tmp_path, text).key,
        _log(tmp_path, text).key,
        _log(tmp_path, text, given="amount=value").key,
        _log(tmp_path, text, currency="EUR").key,
        _log(tmp_path, text + "1,2024-01-02,1,2\n").key,
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4

"""Order logs in files as events: open one, look at what it holds, iterate over its events in event-time order.

The meaning of rows is in ``producers.lines`` (checks) and ``producers.fold`` (what makes an order).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from clv.errors import InputError
from clv.events import OrderPlaced, OrderRefunded
from clv.money import minor_digits
from clv.outcomes import event_id
from producers.fold import Folded, fold
from producers.lines import Lines
from producers.mapping import recognise
from producers.rejects import Rejects
from producers.rows import file_digest, read_header, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """How to read an order log.

    Parameters
    ----------
    given
        Field → column, for columns that names don't tell.
    currency
        Currency of the log; rows that name another are rejected.
    date_format
        ``strptime`` format of the times; empty: ISO 8601.
    rejects_path
        Where bad rows go; None: they are only counted.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"
    date_format: str = ""
    encoding: str = "utf-8-sig"
    rejects_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCounts:
    """What a log holds; ``revenue_minor`` is the gross of the orders, ``rejected`` counts rows by no means used.

    ``rounded`` counts lines whose quantity × unit price had more decimals than the currency (rounded half to even).
    """

    rows: int
    orders: int
    refunds: int
    customers: int
    skipped_no_customer: int
    rejected: int
    rounded: int
    emails_dropped: int
    revenue_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLog:
    """An order log, read, checked and sorted; iterate over it for its events, as often as needed.

    Parameters
    ----------
    columns
        Field → column of the file, as it was used.
    key
        Identifies the file's bytes and how they were read: the same log gives the same events.
    first_ms, last_ms
        Event time of the first and last event.
    rejects_path
        Where the bad rows are; None where there are none or they were only counted.
    """

    path: Path
    columns: dict[str, str]
    currency: str
    digits: int
    key: str
    counts: LogCounts
    first_ms: int
    last_ms: int
    rejects_path: Path | None
    _folded: Folded = field(repr=False)
    _lines: Lines = field(repr=False)

    def __len__(self) -> int:
        return len(self._folded.table)

    def __iter__(self) -> Iterator[OrderPlaced | OrderRefunded]:
        start = self._folded.start
        category = self._folded.category
        names = self._lines.categories.known
        for position, row in enumerate(self._folded.table.itertuples(index=False)):
            labels = tuple(names[code] for code in category[start[position] : start[position + 1]].tolist())
            yield _event(row, self._lines, labels)


def read_order_log(path: Path, options: LogOptions) -> OrderLog:
    """Read a CSV (plain or gzip) or Parquet order log.

    Raises
    ------
    InputError
        When the file or its columns cannot be used, or not one row can.

    Notes
    -----
    The file is read in chunks, but sorting by event time needs the whole log: about 450 bytes of memory a line at the
    peak (measured with a million lines), 10 µs of time a line. A log beyond the machine's memory must be cut by date
    and replayed piece by piece, in order. An order whose lines are fine but whose net is absurdly large is emitted as
    it is: the scorer makes a dead letter of it.

    Examples
    --------
    >>> log = read_order_log(Path("data/cdnow_orders.csv.gz"), LogOptions())  # doctest: +SKIP
    >>> log.counts.orders  # doctest: +SKIP
    69659
    """
    digits = minor_digits(options.currency)
    columns = recognise(read_header(path, encoding=options.encoding), options.given)
    with Rejects(options.rejects_path) as rejects:
        lines = Lines(options.currency, digits, rejects, options.date_format)
        for chunk in read_rows(path, columns, rejects=rejects, encoding=options.encoding):
            lines.add(chunk)
        folded = fold(lines.frame())
    if not len(folded.table):
        raise InputError(
            f"{path} has no usable row; {rejects.first or 'it has no rows with a customer'}",
            "check --map and --date-format",
        )
    counts = _count(folded.table, lines, rejects)
    log.info("order_log_read", path=str(path), columns=columns, orders=counts.orders, rejected=counts.rejected)
    return OrderLog(
        path=path,
        columns=columns,
        currency=options.currency,
        digits=digits,
        key=event_id(
            *("order-log", file_digest(path), *map(str, sorted(columns.items()))),
            *(options.currency, options.date_format, options.encoding),
        ),
        counts=counts,
        first_ms=int(folded.table["at"].iloc[0]),
        last_ms=int(folded.table["at"].iloc[-1]),
        rejects_path=options.rejects_path if rejects.count else None,
        _folded=folded,
        _lines=lines,
    )


def _count(table: pd.DataFrame, lines: Lines, rejects: Rejects) -> LogCounts:
    is_refund = table["amount"] < 0
    return LogCounts(
        rows=lines.rows + rejects.by_reason["bad_shape"],
        orders=int((~is_refund).sum()),
        refunds=int(is_refund.sum()),
        customers=int(table["customer"].nunique()),
        skipped_no_customer=lines.skipped_no_customer,
        rejected=rejects.count,
        rounded=lines.rounded,
        emails_dropped=lines.emails_dropped,
        revenue_minor=int(table.loc[~is_refund, "amount"].sum()),
        refunded_minor=-int(table.loc[is_refund, "amount"].sum()),
    )


def _event(row: Any, lines: Lines, categories: tuple[str, ...]) -> OrderPlaced | OrderRefunded:
    customer = lines.customers.known[row.customer]
    order_id = lines.orders.known[row.order] if row.order >= 0 else ""
    if row.amount < 0:
        return _refund(row, customer, order_id, lines)
    if row.part:
        order_id = event_id("later-order", customer, order_id, row.part)
    order_id = order_id or event_id("row", customer, row.at, row.amount, row.ordinal)
    source, campaign, cost_minor = "", "", -1
    if row.acquisition >= 0:
        source, campaign, cost_minor = lines.acquisitions.known[row.acquisition] or ("", "", -1)
    return OrderPlaced(
        event_id("order", customer, order_id),
        customer,
        row.at,
        order_id,
        row.amount,
        categories,
        source,
        campaign,
        cost_minor,
    )


def _refund(row: Any, customer: str, order_id: str, lines: Lines) -> OrderRefunded:
    refunded = lines.orders.known[row.refunded] if row.refunded >= 0 else ""
    if row.part:
        refund_id = event_id("later-refund", customer, order_id, row.part)
        refunded = refunded or (order_id if row.names_order else "")
    else:
        refund_id = order_id or event_id("row", customer, row.at, row.amount, row.ordinal)
    return OrderRefunded(event_id("refund", customer, refund_id), customer, row.at, refund_id, -row.amount, refunded)

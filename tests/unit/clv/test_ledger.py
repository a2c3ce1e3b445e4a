"""The ledger: its bytes, and what refunds take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from clv import ledger
from clv.ledger import CLICKED, NO_REF, ORDER, REFUND, Effect, Entry, effect_of_last, effects, fingerprint, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

entries_of_few_orders = st.builds(
    Entry,
    at_ms=st.integers(0, 2**41),
    kind=st.sampled_from([ORDER, ORDER, REFUND, REFUND, CLICKED]),
    id=st.integers(1_000, 2**64 - 1),
    ref=st.sampled_from([NO_REF, 1, 2, 3]),
    amount_minor=st.integers(0, 1_000),
)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Entry]:
    """Draw sorted entries at distinct times: orders 1 to 3 once each, refunds of them, of nothing, and of no order."""
    drawn = draw(st.lists(entries_of_few_orders, max_size=12, unique_by=(lambda e: e.at_ms, lambda e: e.id)))
    orders = iter((1, 2, 3))
    result = []
    for entry in sorted(drawn):
        if entry.kind == ORDER:
            order = next(orders, None)
            if order is None:
                continue
            result.append(entry._replace(id=order, ref=entry.id))
        elif entry.kind == REFUND:
            result.append(entry)
        else:
            result.append(entry._replace(ref=NO_REF, amount_minor=0))
    return result


def refund(at_ms: int, amount_minor: int, order: int, *, number: int = 90) -> Entry:
    """Make a refund's entry."""
    return Entry(at_ms, REFUND, number, order, amount_minor)


def order(at_ms: int, amount_minor: int, number: int) -> Entry:
    """Make an order's entry."""
    return Entry(at_ms, ORDER, number, 1_000 + number, amount_minor)


@given(ledgers())
def test_unpack_inverts_pack(entries: list[Entry]) -> None:
    """An entry's 32 bytes hold all of it."""
    packed = pack(entries)
    assert len(packed) == ledger.ENTRY_BYTES * len(entries)
    assert entries == unpack(packed)


@settings(max_examples=1_000)
@given(ledgers())
def test_the_short_way_agrees_with_the_long_one(entries: list[Entry]) -> None:
    """The effect of an entry appended is what the whole ledger says of it, for every prefix."""
    for count in range(1, len(entries) + 1):
        prefix = entries[:count]
        assert effects(prefix)[-1] == effect_of_last(pack(prefix[:-1]), prefix[-1])


@given(ledgers())
def test_refunds_of_an_order_never_exceed_it(entries: list[Entry]) -> None:
    """Net value and refunded value of all entries add up to what was ordered."""
    total = [sum(column) for column in zip(*effects(entries), strict=True)] or [0, 0]
    assert sum(total) == sum(e.amount_minor for e in entries if e.kind == ORDER)
    free = sum(e.amount_minor for e in entries if e.kind == REFUND and e.ref == NO_REF)
    assert 0 <= total[1] - free <= sum(e.amount_minor for e in entries if e.kind == ORDER)


def check(entries: Sequence[Entry], expected: list[tuple[int, int]]) -> None:
    """Compare (net, refunded) of each entry."""
    assert [Effect(*pair) for pair in expected] == effects(sorted(entries))


def test_refunds_are_capped_in_event_time() -> None:
    """The earlier refund takes first; the later one takes what is left."""
    check([order(10, 100, 1), refund(20, 70, 1), refund(30, 70, 1, number=91)], [(100, 0), (-70, 70), (-30, 30)])


def test_a_refund_dated_before_its_order_waits_for_it() -> None:
    """It takes effect with the order, and counts against what later refunds may take."""
    entries = [refund(5, 40, 1), order(10, 100, 1), refund(30, 70, 1, number=91)]
    check(entries, [(0, 0), (60, 40), (-60, 60)])


def test_a_refund_of_an_unknown_order_takes_nothing_and_one_of_no_order_takes_all() -> None:
    """A refund that names no order is the customer's, and has no cap."""
    check([order(10, 100, 1), refund(20, 50, 2), refund(30, 500, NO_REF, number=91)], [(100, 0), (0, 0), (-500, 500)])


@given(ledgers(), st.integers(1, 3))
def test_ids_are_found_only_where_they_are_ids(entries: list[Entry], number: int) -> None:
    """A fingerprint that happens to stand in another column is not taken for an id."""
    packed = pack(entries)
    assert any(e.id == number for e in entries) is ledger.has_id(packed, number)
    assert any(e.ref == number for e in entries) is ledger.has_ref(packed, number)


def test_bytes_of_neighbouring_columns_are_no_id() -> None:
    """Eight bytes that straddle two columns, or are another column's, do not count."""
    straddling = Entry(0x0102030405060708, ORDER, 0x1112131415161718, 0x2122232425262728, 5)
    packed = pack([straddling])
    for start in range(len(packed) - 7):
        word = int.from_bytes(packed[start : start + 8], "little")
        assert ledger.has_id(packed, word) is (start == 8)
        assert ledger.has_ref(packed, word) is (start == 16)


def test_fingerprints_keep_kinds_apart() -> None:
    """Equal texts of different kinds differ, and text of any script has a fingerprint."""
    assert len({fingerprint(domain, "1") for domain in ("order", "refund", "event", "email", "category")}) == 5
    assert 0 <= fingerprint("order", "\U0001f600") < 2**64


@given(ledgers(), entries_of_few_orders)
def test_an_entry_is_inserted_at_its_place(entries: list[Entry], entry: Entry) -> None:
    """Insertion into bytes is insertion into the sorted list; the last entry is the last of the list."""
    whole = ledger.inserted(pack(entries), entry)
    assert unpack(whole) == ledger.with_entry(entries, entry)
    assert ledger.last(whole) == unpack(whole)[-1]

"""What is told of a record: every verdict, from a rig that has really taken the records."""

from __future__ import annotations

import pytest

from clv.hindsight import Kept, tell
from clv.rules import Rules
from clv.testing import PartitionRig, email, erasure, order, refund, rescoring, tick

DAY = 86_400
START = 1_000
RULES = Rules()
Sent = tuple[bytes | None, bytes | None]
ORDER = order("c", "1", START * DAY, "50.00")
REFUND = refund("c", "r", (START + 1) * DAY, "5.00", order_id="1")
OPENED = email("c", "m", (START + 1) * DAY)


def kept(rig: PartitionRig, customer: str = "c", **changes: object) -> Kept:
    """What is kept after a rig's records, all acknowledged."""
    try:
        state = rig.state(customer)
    except AssertionError:
        state = None
    default = Kept(
        is_read=True, reason="", detail="", state=state, has_score=False, front_ms=rig.partition.state.front_ms
    )
    return default._replace(**changes)  # type: ignore[arg-type]  # fields by name


def shop(*more: Sent) -> PartitionRig:
    """A customer with an order, a refund and an e-mail."""
    rig = PartitionRig()
    rig.feed([ORDER, REFUND, OPENED, *more])
    return rig


@pytest.mark.parametrize("sent", [ORDER, REFUND, OPENED])
def test_what_the_ledger_has_was_applied(sent: Sent) -> None:
    """Orders, refunds and e-mails are found by their ids."""
    assert tell(*sent, kept(shop()), RULES).verdict == "applied"
    assert tell(*sent, kept(PartitionRig()), RULES).verdict == "unknown"


def test_an_order_of_another_event_is_a_duplicate() -> None:
    """The order counts once, whatever the event that brought it."""
    again = order("c", "1", START * DAY, "50.00", event_id="another")
    assert tell(*again, kept(shop(again)), RULES).verdict == "duplicate"


def test_what_was_erased_counts_no_more() -> None:
    """The erasure was applied, the order before it is erased."""
    gone = erasure("c", "e", (START + 2) * DAY)
    rig = shop(gone)
    assert tell(*gone, kept(rig), RULES).verdict == "applied"
    assert tell(*ORDER, kept(rig), RULES) == (
        "erased",
        "the customer was erased up to 1972-09-29T00:00:00Z, it counts no more",
    )


def test_what_nobody_has_acknowledged_waits() -> None:
    """Whatever the state says: it may be another partition's past."""
    assert tell(*ORDER, kept(shop(), is_read=False), RULES).verdict == "waiting"


def test_a_time_far_ahead_waits_for_others() -> None:
    """It is held back by the worker, and in nobody's ledger."""
    ahead = order("c", "2", (START + 300) * DAY, "1.00")
    told = tell(*ahead, kept(shop(ahead)), RULES)
    assert (told.verdict, "far ahead" in told.because) == ("waiting", True)


def test_a_dead_letter_is_believed() -> None:
    """It says the reason; where it is gone, the bytes say it again."""
    rubbish = (b"c", b"{")
    assert tell(*rubbish, kept(shop(), reason="undecodable", detail="no JSON"), RULES).because.endswith("no JSON")
    told = tell(*rubbish, kept(shop()), RULES)
    assert (told.verdict, told.because.partition(":")[0]) == ("refused", "undecodable")


def test_a_rescoring_shows_in_its_score() -> None:
    """With a score it is done, without one the customer had nothing to score."""
    asked = rescoring("c", "ask")
    assert tell(*asked, kept(shop(asked), has_score=True), RULES).verdict == "rescored"
    assert tell(*asked, kept(PartitionRig()), RULES).verdict == "ignored"


def test_a_tick_told_the_time() -> None:
    """It has no customer."""
    assert tell(*tick(START * DAY), kept(PartitionRig()), RULES) == (
        "time",
        "told its partition that time has come to 1972-09-27T00:00:00Z",
    )


def test_a_score_is_enough_when_the_ledger_has_forgotten() -> None:
    """Entries older than the duplicate window are folded away."""
    assert tell(*ORDER, kept(PartitionRig(), has_score=True), RULES).verdict == "applied"

"""What every documented error of Meta's means: how long to wait, whether to ask again, or what a person must do."""

from __future__ import annotations

import json

import pytest

from ads.connector import NotDone, Refused, SessionLost, Throttled
from ads.connectors.meta_errors import MetaError, is_passing, meaning, parse_error, rest_until_ms

NOW_MS = 1_900_000_000_000
MINUTE = 60_000
BUSINESS = {
    "x-business-use-case-usage": json.dumps({"1": [{"type": "custom_audience", "estimated_time_to_regain_access": 11}]})
}
ACCOUNT = {"x-ad-account-usage": json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 240})}


@pytest.mark.parametrize(
    ("code", "subcode", "headers", "wait_ms"),
    [
        (80003, 0, BUSINESS, 11 * MINUTE),
        (80004, 0, BUSINESS, 11 * MINUTE),
        (80000, 0, {}, MINUTE),
        (17, 2446079, ACCOUNT, 240_000),
        (613, 1487742, ACCOUNT, 240_000),
        (613, 1487742, {}, 60_000),
        (613, 1487632, {}, 60 * MINUTE),
        (17, 1885172, {}, 24 * 60 * MINUTE),
        (17, 0, {}, 5 * MINUTE),
    ],
)
def test_throttling_says_until_when(code: int, subcode: int, headers: dict[str, str], wait_ms: int) -> None:
    """In the unit of its header: minutes for a business use case, seconds for an ad account."""
    found = meaning(MetaError(code, subcode, "", is_transient=False), headers, now_ms=NOW_MS)
    assert isinstance(found, Throttled)
    assert found.until_ms - NOW_MS == wait_ms


@pytest.mark.parametrize(
    ("code", "subcode", "is_transient"), [(4, 0, False), (1, 0, False), (613, 5044001, False), (999, 0, True)]
)
def test_what_passes_is_asked_again(code: int, subcode: int, is_transient: bool) -> None:  # noqa: FBT001  # a case
    """Within the call, a few times."""
    error = MetaError(code, subcode, "", is_transient)
    assert is_passing(error)
    assert isinstance(meaning(error, {}, now_ms=NOW_MS), NotDone)


@pytest.mark.parametrize(
    ("code", "subcode", "says"),
    [
        (100, 0, "a parameter is not accepted"),
        (105, 0, "too many parameters"),
        (190, 0, "CLV_META_ACCESS_TOKEN"),
        (194, 0, "the business must be verified"),
        (200, 0, "may not manage this ad account"),
        (294, 0, "ads_management"),
        (368, 0, "blocked for a while"),
        (2635, 0, "CLV_META_API_VERSION"),
        (2650, 0, "cannot be updated"),
        (200, 1870034, "accept the custom audience terms"),
        (200, 1870090, "accept the custom audience terms"),
        (200, 1870047, "more than 100 members"),
        (100, 1713230, "flagged for what its name suggests"),
        (100, 1713232, "flagged for what its name suggests"),
        (12345, 0, "Meta 12345"),
    ],
)
def test_what_a_person_must_mend_is_said(code: int, subcode: int, says: str) -> None:
    """It is not tried again within the call."""
    error = MetaError(code, subcode, "title", is_transient=False)
    found = meaning(error, {}, now_ms=NOW_MS)
    assert isinstance(found, Refused)
    assert says in str(found)
    assert not is_passing(error)


@pytest.mark.parametrize("subcode", [1870145, 1870158, 1870147, 1870159, 1870148, 1870144])
def test_a_session_that_is_lost_waits_for_its_end(subcode: int) -> None:
    """Ninety minutes at most."""
    found = meaning(MetaError(2650, subcode, "", is_transient=False), {}, now_ms=NOW_MS)
    assert isinstance(found, SessionLost)
    assert found.until_ms - NOW_MS == 90 * MINUTE


@pytest.mark.parametrize(
    ("headers", "rest_ms"),
    [
        ({}, None),
        ({"x-business-use-case-usage": json.dumps({"1": [{"call_count": 94}]})}, None),
        ({"x-business-use-case-usage": json.dumps({"1": [{"call_count": 95}]})}, 5 * MINUTE),
        ({"x-ad-account-usage": json.dumps({"acc_id_util_pct": 96.5, "reset_time_duration": 30})}, 30_000),
        ({"x-business-use-case-usage": "nonsense", "x-ad-account-usage": "[]"}, None),
    ],
    ids=["nothing", "below", "calls", "account", "nonsense"],
)
def test_a_quota_nearly_used_up_is_rested(headers: dict[str, str], rest_ms: int | None) -> None:
    """Before Meta refuses; and nonsense in a header is no reason to stop."""
    found = rest_until_ms(headers, now_ms=NOW_MS)
    assert found == (-1 if rest_ms is None else NOW_MS + rest_ms)


def test_what_is_no_error_is_none() -> None:
    """Whatever shape it has."""
    answers: tuple[object, ...] = ({}, [], None, {"error": "text"}, {"data": []})
    assert [parse_error(answer) for answer in answers] == [None] * 5

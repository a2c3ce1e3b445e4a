"""What Meta's errors mean: which are waited out, which are tried again, which a person must mend.

Source: Meta Marketing API v26, error codes, rate limits, custom audience users and usersreplace. What the subcodes of
2650 mean one by one is not verified: each counts as a lost session.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from ads.connector import AudienceError, NotDone, Refused, SessionLost, Throttled

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
REPLACE_SECONDS = 5_400
"""A replacement closes so long after its first batch."""
_NEARLY_PERCENT = 95
_REST_MS = 5 * MINUTE_MS
"""Rest taken when a quota is nearly used up and the platform does not say for how long."""
_BUSINESS_CODES = frozenset({80000, 80003, 80004})
_PASSING_CODES = frozenset({1, 2, 4})
_SESSION_SUBCODES = frozenset({1870145, 1870158, 1870147, 1870159, 1870148, 1870144})
TOO_SMALL = 1870047
_TERMS = ("accept the custom audience terms of the ad account", "in Meta's Audience Manager")
_STOPPED = ("flagged for what its name suggests", "appeal in Audience Manager, or rename it")
_BY_SUBCODE = {
    1870034: _TERMS,
    1870090: _TERMS,
    TOO_SMALL: ("Meta keeps more than 100 members", "it is tried again at the next synchronisation"),
    1713228: _STOPPED,
    1713230: _STOPPED,
    1713231: _STOPPED,
    1713232: _STOPPED,
}
_ADVICE = {
    10: "the token lacks a permission",
    100: "a parameter is not accepted",
    105: "too many parameters",
    190: "the access token is invalid or has expired: set CLV_META_ACCESS_TOKEN",
    194: "the business must be verified",
    200: "the token may not manage this ad account",
    294: "the token lacks ads_management",
    368: "the account is blocked for a while by policy",
    2635: "this API version is no longer served: set CLV_META_API_VERSION",
    2650: "the audience cannot be updated",
}


class MetaError(msgspec.Struct, frozen=True):
    """An error as Meta answers it; ``subcode`` is 0 where there is none."""

    code: int
    subcode: int
    message: str
    is_transient: bool


def parse_error(answer: object) -> MetaError | None:
    """Return the error in an answer, None where it has not the shape of one."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return None
    return MetaError(
        _whole(error.get("code")),
        _whole(error.get("error_subcode")),
        str(error.get("error_user_title") or error.get("message") or "")[:200],
        error.get("is_transient") is True,
    )


def is_passing(error: MetaError) -> bool:
    """Tell whether the same call may succeed within seconds."""
    return error.is_transient or error.code in _PASSING_CODES or (error.code, error.subcode) == (613, 5044001)


def meaning(error: MetaError, headers: Mapping[str, str], *, now_ms: int) -> AudienceError:
    """Return our error for Meta's.

    Parameters
    ----------
    headers
        Of the answer; they say how long to wait.
    now_ms
        The clock, epoch milliseconds.
    """
    place = f"{error.code}/{error.subcode}" if error.subcode else str(error.code)
    says = f"Meta {place}: {error.message}"
    if error.subcode in _SESSION_SUBCODES:
        return SessionLost(says, now_ms + REPLACE_SECONDS * 1_000)
    wait = _wait(error, headers)
    if wait is not None:
        return Throttled(f"{says}{wait[1]}", now_ms + wait[0])
    if is_passing(error):
        return NotDone(says)
    what, hint = _BY_SUBCODE.get(error.subcode, (_ADVICE.get(error.code, ""), ""))
    return Refused(f"{says}: {what}" if what else says, hint)


def _wait(error: MetaError, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Return the milliseconds after which to come back, and why in words; None where waiting does not help."""
    if error.code in _BUSINESS_CODES:
        return max(business_wait_minutes(headers), 1) * MINUTE_MS, ""
    if (error.code, error.subcode) in {(17, 2446079), (613, 1487742)}:
        return max(account_wait_seconds(headers), 60) * 1_000, ""
    if (error.code, error.subcode) == (613, 1487632):
        return HOUR_MS, ": an ad set's budget may change four times an hour"
    if (error.code, error.subcode) == (17, 1885172):
        return 24 * HOUR_MS, ": the spend cap may change ten times a day"
    return (_REST_MS, "") if error.code in {17, 32, 613} and not is_passing(error) else None


def business_wait_minutes(headers: Mapping[str, str]) -> int:
    """Return the minutes after which the business use case is open again; 0 where nothing is said."""
    waits = [_whole(each.get("estimated_time_to_regain_access")) for each in _business_usage(headers)]
    return max(waits, default=0)


def account_wait_seconds(headers: Mapping[str, str]) -> int:
    """Return the seconds after which the ad account's score is reset; 0 where nothing is said."""
    return _whole(_decoded(headers.get("x-ad-account-usage")).get("reset_time_duration"))


def rest_until_ms(headers: Mapping[str, str], *, now_ms: int) -> int:
    """Return until when to rest, before a limit is hit, epoch milliseconds; -1 where there is no need."""
    nearly: list[int] = []
    for each in _business_usage(headers):
        used = max(_whole(each.get(name)) for name in ("call_count", "total_cputime", "total_time"))
        if used >= _NEARLY_PERCENT:
            minutes = _whole(each.get("estimated_time_to_regain_access"))
            nearly.append(now_ms + (minutes * MINUTE_MS or _REST_MS))
    account = _decoded(headers.get("x-ad-account-usage"))
    if _whole(account.get("acc_id_util_pct")) >= _NEARLY_PERCENT:
        nearly.append(now_ms + (account_wait_seconds(headers) * 1_000 or _REST_MS))
    return max(nearly, default=-1)


def _business_usage(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    usage = _decoded(headers.get("x-business-use-case-usage"))
    return [each for of_one in usage.values() if isinstance(of_one, list) for each in of_one if isinstance(each, dict)]


def _decoded(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0

"""What the sending commands show and report."""

from __future__ import annotations

import json

import pytest

from cli.sending import INTERRUPTED, report
from clv.settings import DAY_MS
from producers.replay import ReplayResult

AT = 19_723 * DAY_MS  # 2024-01-01
RESULT = ReplayResult(events=3, orders=2, refunds=1, ticks=4, revenue_minor=1234, last_ms=AT, seconds=2.0)


def test_figures_are_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Money is decimal text, moments RFC 3339, empty where there is none."""
    report(RESULT, currency="USD", digits=2, more={"rejected": 5}, is_json=True, is_resumable=True)
    figures = json.loads(capsys.readouterr().out)
    assert figures == {
        "events_sent": 3,
        "orders": 2,
        "refunds": 1,
        "ticks": 4,
        "revenue": "12.34",
        "refunded": "0.00",
        "currency": "USD",
        "rejected": 5,
        "last_event_at": "2024-01-01T00:00:00Z",
        "resumed_from": "",
        "interrupted": False,
        "seconds": 2.0,
        "events_per_second": 1.5,
    }


def test_an_interrupted_sending_says_so_and_exits(capsys: pytest.CaptureFixture[str]) -> None:
    """What was sent until then is reported first."""
    result = ReplayResult(events=3, is_interrupted=True)
    with pytest.raises(SystemExit) as caught:
        report(result, currency="USD", digits=2, more={}, is_json=False, is_resumable=True)
    assert caught.value.code == INTERRUPTED
    said = capsys.readouterr()
    assert "events sent  3" in said.out
    assert "goes on from here" in said.err

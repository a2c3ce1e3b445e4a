"""The bar over a log's events."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.progress import progress
from clv.settings import DAY_MS

AT = 19_723 * DAY_MS  # 2024-01-01


@pytest.mark.parametrize("total", [100, None])
def test_progress_shows_count_rate_and_event_date(total: int | None) -> None:
    """On a terminal, from the first moment on, whether or not the end is known."""
    shown = io.StringIO()
    with progress("log.csv", total, Console(file=shown, force_terminal=True, width=120)) as observe:
        observe(0, AT)
        observe(50, AT + DAY_MS)
    assert "log.csv" in shown.getvalue()
    assert "2024-01-02" in shown.getvalue()
    assert "/s" in shown.getvalue()

"""How segments' budgets stand at the platform, read now and then, so that a recommendation knows what holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ads.connector import Refused
from clv.errors import ScorerError
from storage.segment_budgets import SegmentBudgetRow, put_budgets

if TYPE_CHECKING:
    from ads.applying import BudgetGateway
    from storage.engine import Database

log = structlog.get_logger(__name__)
READ_SECONDS = 900.0
"""Between two readings: a learning phase takes days."""


def read_budgets(database: Database, gateway: BudgetGateway, *, now_ms: int) -> None:
    """Store what segments may spend a day, what the platform asks for at least, and which are learning.

    A platform that does not answer is logged and asked again the next time; one whose budgets are not changed from
    here has none.
    """
    try:
        found = gateway.present()
        rows = [
            SegmentBudgetRow(segment, budget.daily_minor, budget.minimum_minor, budget.is_learning)
            for segment, budget in found.items()
        ]
        put_budgets(database, gateway.platform, rows, read_ms=now_ms)
    except Refused as problem:
        log.debug("no budgets", platform=gateway.platform, problem=str(problem))
    except ScorerError as problem:
        log.warning("budgets not read", platform=gateway.platform, problem=str(problem))

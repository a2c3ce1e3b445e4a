"""Platforms whose budgets are not changed from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ads.connector import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ads.applying import SegmentBudget


class NoBudgets:
    """Refuses, with the platform's name."""

    def __init__(self, platform: str) -> None:
        self.platform = platform

    def present(self) -> Mapping[str, SegmentBudget]:
        """Refuse."""
        raise Refused(f"budgets at {self.platform} are not changed from here", "change them there")

    def change(self, segment: str, daily_minor: int) -> None:
        """Refuse."""
        del segment, daily_minor
        self.present()

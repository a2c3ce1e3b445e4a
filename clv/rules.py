"""The deployment's rules as the core uses them: plain numbers, taken from the settings once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clv.money import minor_digits

if TYPE_CHECKING:
    from clv.settings import Settings

DAY_MS = 86_400_000
SILENCE_DAYS = (30, 60, 90, 180, 270, 365, 545, 730, 1095)
"""Days after a customer's last order at which silence alone re-scores it."""
SNAPSHOT_SPACING_MS = 30 * DAY_MS
MAX_PENDING = 4
AGREEING_CUSTOMERS = 5
"""Other customers who must agree to a jump of time."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds; ``window_ms`` is both the duplicate memory and how late an event may come."""

    currency: str = "USD"
    digits: int = 2
    horizon_ms: int = 90 * DAY_MS
    lateness_ms: int = DAY_MS
    window_ms: int = 800 * DAY_MS
    far_ahead_ms: int = 7 * DAY_MS
    erasure_key: bytes = b""
    """Hides whom the remains of erased customers stand for."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """Take the rules out of the settings."""
        return cls(
            currency=settings.currency,
            digits=minor_digits(settings.currency),
            horizon_ms=settings.horizon_ms,
            lateness_ms=settings.allowed_lateness_ms,
            window_ms=settings.duplicate_window_days * DAY_MS,
            far_ahead_ms=settings.far_ahead_days * DAY_MS,
            erasure_key=settings.suppression_key.encode(),
        )

    @property
    def horizon_days(self) -> int:
        """The horizon in days."""
        return self.horizon_ms // DAY_MS

"""Minor units and moments as the API writes them: numbers in the currency's major unit, RFC 3339 in UTC."""

from __future__ import annotations

from typing import NamedTuple

from api.problems import ApiProblem
from clv.errors import InvalidEvent
from clv.events import parse_time_ms
from clv.money import to_major, to_minor


class Currency(NamedTuple):
    """The reporting currency; ``digits`` is how many decimals it has."""

    code: str
    digits: int

    def major(self, amount_minor: int) -> float:
        """Return an amount in major units, the float nearest to its exact decimals.

        Examples
        --------
        >>> Currency("USD", 2).major(26_775)
        267.75
        """
        return float(to_major(amount_minor, self.digits))

    def minor(self, amount: float | None, field: str) -> int | None:
        """Return an amount that a caller gave in minor units; refuse one that is none."""
        if amount is None:
            return None
        try:
            return to_minor(amount, self.digits)
        except InvalidEvent as problem:
            raise ApiProblem("invalid-input", f"{field}: {problem}", [(field, str(problem))]) from problem


def moment_ms(text: str | None, field: str) -> int | None:
    """Return a moment that a caller gave as epoch milliseconds; refuse one that is none."""
    if text is None:
        return None
    try:
        return parse_time_ms(text)
    except InvalidEvent as problem:
        why = "is not a moment with an offset, for example 2024-05-01T00:00:00Z"
        raise ApiProblem("invalid-input", f"{field}: {why}", [(field, why)]) from problem

"""What a fitted regression leaves over, and how certain it is that something else explains it.

Rows of one customer share their future, so uncertainty is added up by customers, never by rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from clv.ports import Floats, Ints


class Evidence(NamedTuple):
    """Rows' evidence for a further effect, (n,) each.

    A step of ``sum(slope) / sum(information)`` is one of Newton's towards the effect that fits best.
    """

    slope: Floats
    information: Floats


class Fitted(NamedTuple):
    """Rows that a Tweedie regression of power 1.5 was fitted to, (n,) each.

    ``expected`` is its mean of ``ratio``; ``weight`` is the row's, ``customer`` the same number for the rows of one.
    """

    expected: Floats
    ratio: Floats
    weight: Floats
    customer: Ints

    def of(self, rows: Ints) -> Fitted:
        """Return these rows, in this order."""
        return Fitted(self.expected[rows], self.ratio[rows], self.weight[rows], self.customer[rows])

    def times(self, log_factor: Floats) -> Fitted:
        """Return the rows with what is expected multiplied by ``exp(log_factor)``."""
        return self._replace(expected=self.expected * np.exp(log_factor))

    def evidence(self, direction: Floats) -> Evidence:
        """Return each row's evidence for a factor ``exp(effect × direction)`` on what is expected.

        The quasi-score of a log link and a variance of μ^1.5 (McCullagh & Nelder 1989, chapter 9).
        """
        root = np.sqrt(self.expected)
        weighted = self.weight * direction
        return Evidence(weighted * (self.ratio - self.expected) / root, weighted * direction * root)

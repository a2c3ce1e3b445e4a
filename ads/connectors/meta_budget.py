"""Ad sets' daily budgets at Meta: read, and changed as their rules allow."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ads.applying import SegmentBudget
from ads.connector import Refused
from clv.budget import split_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ads.connectors.meta_client import MetaClient

_FIELDS = "id,name,daily_budget,learning_stage_info"
_MINIMUM = "min_daily_budget_low_freq"
"""The largest of the minima: of ad sets that pay for what happens seldom, as purchases are."""


class MetaBudgets:
    """Budgets of the ad sets that belong to segments.

    Parameters
    ----------
    ad_sets
        Ids of each segment's ad sets; a segment's budget is their sum, and is changed in proportion.
    currency
        The account's, ISO 4217.
    """

    platform = "meta"

    def __init__(self, client: MetaClient, ad_sets: Mapping[str, tuple[str, ...]], *, currency: str) -> None:
        self._client = client
        self._currency = currency
        self._ad_sets = ad_sets

    def present(self) -> Mapping[str, SegmentBudget]:
        """Return the sums of daily budgets by segment."""
        found, minimum = self._budgets(), self._minimum()
        return {
            segment: SegmentBudget(
                sum(found[each][0] for each in ids), any(found[each][1] for each in ids), minimum * len(ids)
            )
            for segment, ids in self._ad_sets.items()
        }

    def change(self, segment: str, daily_minor: int) -> None:
        """Set a segment's budget, each ad set's part as it is now; an ad set that has its amount is not edited."""
        ids = self._ad_sets[segment]
        found = self._budgets()
        before = {each: found[each][0] for each in ids}
        total = sum(before.values())
        shares = {each: Fraction(amount, total) if total else Fraction(1, len(ids)) for each, amount in before.items()}
        for ad_set, amount in _split(daily_minor, shares).items():
            if amount != before[ad_set]:
                self._client.post(ad_set, {"daily_budget": amount})

    def _minimum(self) -> int:
        """Return the least that an ad set may spend a day; 0 where Meta does not say."""
        path = f"{self._client.config.account}/minimum_budgets"
        named = list(self._client.pages(path, {"fields": f"currency,{_MINIMUM}"}))
        return next((int(each.get(_MINIMUM) or 0) for each in named if each.get("currency") == self._currency), 0)

    def _budgets(self) -> dict[str, tuple[int, bool]]:
        pages = self._client.pages(f"{self._client.config.account}/adsets", {"fields": _FIELDS})
        found = {
            str(each.get("id")): (
                int(each.get("daily_budget") or 0),
                (each.get("learning_stage_info") or {}).get("status") == "LEARNING",
            )
            for each in pages
        }
        missing = sorted({each for ids in self._ad_sets.values() for each in ids} - found.keys())
        if missing:
            raise Refused(f"the ad account has no ad set {', '.join(missing)}", "look at CLV_META_AD_SETS")
        return found


def _split(total_minor: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    parts: dict[str, int] = split_exactly(total_minor, shares)  # type: ignore[arg-type, assignment]  # any names serve
    return parts

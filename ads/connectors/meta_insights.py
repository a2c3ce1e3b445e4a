"""What campaigns cost and brought, from Meta's insights: a row a campaign and day.

Source: Meta Marketing API v26, ad account insights. The same purchases come under several action types; one is taken,
the first of ``PURCHASES`` that a row has. Meta does not say which buyers are new.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ads.connector import Uncertain
from clv.audiences import AUDIENCES
from clv.errors import InvalidEvent
from clv.money import to_minor
from clv.outcomes import SEGMENTS
from storage.campaigns import CampaignDay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ads.connectors.meta_client import MetaClient

PURCHASES = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")
"""Action types of a purchase, the widest first."""
_FIELDS = "campaign_id,campaign_name,spend,impressions,clicks,actions,action_values,account_currency,date_start"


def segment_of(campaign: str) -> str:
    """Return the segment that a campaign's name tells: by its own name or that of its audience; empty for none.

    Examples
    --------
    >>> segment_of("Spring | lookalikes of CLV tier A"), segment_of("low-clv test"), segment_of("brand")
    ('High-CLV', 'Low-CLV', '')
    """
    name = campaign.lower()
    found = [segment for segment in SEGMENTS if segment.lower() in name]
    found += [spec.segment for spec in AUDIENCES if spec.segment and spec.name.lower() in name]
    return found[0] if found else ""


def pull_insights(client: MetaClient, first: date, last: date, *, currency: str) -> Iterator[CampaignDay]:
    """Give each campaign's days of a period, both ends included.

    Raises
    ------
    Uncertain
        When a row makes no sense, or is in another currency.
    Refused, Throttled, NotDone
        As ``ads.connector`` says.
    """
    period = json.dumps({"since": first.isoformat(), "until": last.isoformat()})
    asked: dict[str, str | int] = {"level": "campaign", "time_increment": 1, "time_range": period, "fields": _FIELDS}
    for row in client.pages(f"{client.config.account}/insights", asked):
        if row.get("account_currency", currency) != currency:
            raise Uncertain(f"the ad account is in {row['account_currency']}, the deployment in {currency}")
        try:
            yield _day(row, currency, client.config.digits)
        except (KeyError, ValueError, InvalidEvent) as problem:
            raise Uncertain(f"Meta's figures make no sense: {type(problem).__name__}: {problem}") from problem


def _day(row: dict[str, Any], currency: str, digits: int) -> CampaignDay:
    name = str(row.get("campaign_name") or row["campaign_id"])
    return CampaignDay(
        platform="meta",
        campaign_id=str(row["campaign_id"]),
        day=str(row["date_start"]),
        name=name,
        segment=segment_of(name),
        currency=currency,
        spend_minor=to_minor(str(row.get("spend") or "0"), digits),
        impressions=int(row.get("impressions") or 0),
        clicks=int(row.get("clicks") or 0),
        purchases=int(float(_of(row.get("actions")))),
        new_customers=0,
        value_minor=to_minor(str(_of(row.get("action_values"))), digits),
        source="insights",
    )


def _of(actions: Any) -> str:
    values = {each.get("action_type"): each.get("value") for each in actions or []}
    return next((str(values[name]) for name in PURCHASES if values.get(name) is not None), "0")

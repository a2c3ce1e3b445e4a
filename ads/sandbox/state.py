"""What the sandbox knows: audiences, sessions, ad sets, events; and the rules by which they change.

The rules are those of Meta's Marketing API v26 as far as they are documented. Time is asked of a clock, so that a
session's ninety minutes pass when a test says so.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ROWS = 10_000
SMALLEST = 100
SESSION_MS = 90 * 60_000
HOUR_MS = 3_600_000
MOST_EDITS = 4
_HASH = re.compile(r"[0-9a-f]{64}")
_FLAGGED = re.compile(r"income|credit|wealth|debt|rich|poor|salary", re.IGNORECASE)
Row = tuple[str, ...]


class Refusal(Exception):
    """What Meta answers in place of a result."""

    def __init__(self, status: int, code: int, subcode: int = 0, message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.subcode = subcode
        self.message = message
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}
        self.is_transient = False


@dataclass
class Session:
    """A replacement that is going on."""

    session_id: int
    next_batch: int
    opened_ms: int
    schema: tuple[str, ...]
    rows: dict[Row, float] = field(default_factory=dict)
    received: int = 0


@dataclass
class Audience:
    """An audience: members by their hashes, with a value where it takes values."""

    audience_id: str
    name: str
    is_value_based: bool = False
    origin_id: str = ""
    ratio: float = 0.0
    members: dict[Row, float] = field(default_factory=dict)
    session: Session | None = None
    is_in_use: bool = False


@dataclass
class AdSet:
    """An ad set's daily budget in minor units, and when it was edited."""

    ad_set_id: str
    name: str
    daily_budget: int
    learning: str = "SUCCESS"
    edits_ms: list[int] = field(default_factory=list)


class Account:
    """One ad account; not safe for several threads at once.

    Parameters
    ----------
    clock
        Epoch milliseconds.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.audiences: dict[str, Audience] = {}
        self.ad_sets: dict[str, AdSet] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.insights: list[dict[str, Any]] = []
        self.minimum_budget = 100
        self.smallest = SMALLEST
        self._ids = itertools.count(23_850_000_000_000_001)

    def create(self, body: dict[str, Any]) -> str:
        """Make an audience or a lookalike; return its id."""
        if not body.get("name") or body.get("subtype") not in {"CUSTOM", "LOOKALIKE"}:
            raise Refusal(400, 100, message="name and subtype are required")
        made = Audience(str(next(self._ids)), body["name"], is_value_based=body.get("is_value_based") == 1)
        if body["subtype"] == "LOOKALIKE":
            spec, origin = body.get("lookalike_spec") or {}, self.audience(str(body.get("origin_audience_id")))
            ratio = spec.get("ratio")
            if not isinstance(ratio, float) or not 0.01 <= ratio <= 0.20 or not spec.get("country") or "type" in spec:
                raise Refusal(400, 100, message="lookalike_spec needs a ratio of 0.01-0.20 and a country, and no type")
            if len(origin.members) < self.smallest:
                raise Refusal(400, 100, 1713232 if _FLAGGED.search(origin.name) else 0, "the origin is too small")
            made.origin_id, made.ratio = origin.audience_id, ratio
        elif not body.get("customer_file_source"):
            raise Refusal(400, 100, message="customer_file_source is required")
        self.audiences[made.audience_id] = made
        return made.audience_id

    def audience(self, audience_id: str) -> Audience:
        """Return an audience."""
        if audience_id not in self.audiences:
            raise Refusal(400, 100, 33, "no such object")
        return self.audiences[audience_id]

    def describe(self, audience: Audience) -> dict[str, Any]:
        """Return an audience as the list shows it."""
        status = {"code": 200, "description": "Normal"}
        if _FLAGGED.search(audience.name):
            status = {"code": 471, "description": "The audience suggests information about finances"}
        elif self._open_session(audience):
            status = {"code": 414, "description": "A replacement is going on"}
        return {
            "id": audience.audience_id,
            "name": audience.name,
            "subtype": "LOOKALIKE" if audience.origin_id else "CUSTOM",
            "operation_status": status,
            "approximate_count_lower_bound": len(audience.members) if len(audience.members) >= SMALLEST else -1,
        }

    def add(self, audience: Audience, body: dict[str, Any]) -> dict[str, Any]:
        """Add members."""
        self._check_editable(audience)
        self._check_alone(audience)
        schema, rows = self._rows(audience, body)
        valid, samples = self._valid(schema, rows)
        audience.members |= valid
        return self._answer(audience, body, len(rows), samples)

    def remove(self, audience: Audience, body: dict[str, Any]) -> dict[str, Any]:
        """Remove members, unless too few would be left."""
        self._check_editable(audience)
        self._check_alone(audience)
        schema, rows = self._rows(audience, body)
        valid, samples = self._valid(schema, rows)
        left = {row: value for row, value in audience.members.items() if row not in valid}
        if len(left) < self.smallest and len(left) < len(audience.members):
            raise Refusal(400, 200, 1870047, "the audience would be too small")
        audience.members = left
        return self._answer(audience, body, len(rows), samples)

    def replace(self, audience: Audience, body: dict[str, Any]) -> dict[str, Any]:
        """Take a batch of a replacement; the last one ends it."""
        self._check_editable(audience)
        schema, rows = self._rows(audience, body)
        said = body.get("session") or {}
        session_id, batch = said.get("session_id"), said.get("batch_seq")
        if not isinstance(session_id, int) or not 0 < session_id < 2**63 or not isinstance(batch, int):
            raise Refusal(400, 100, message="session_id and batch_seq are required")
        session = self._open_session(audience)
        if session is None:
            if batch != 1:
                raise Refusal(400, 2650, 1870158, "the session has closed, or never began")
            session = audience.session = Session(session_id, 1, self.clock(), schema)
        elif session.session_id != session_id:
            raise Refusal(400, 2650, 1870145, "another replacement is going on")
        if batch != session.next_batch or schema != session.schema:
            raise Refusal(400, 2650, 1870147, f"batch {session.next_batch} with the same schema was expected")
        valid, samples = self._valid(schema, rows)
        session.rows |= valid
        session.received += len(rows)
        session.next_batch += 1
        if said.get("last_batch_flag"):
            audience.members, audience.session = session.rows, None
        return self._answer(audience, body, session.received, samples)

    def erase(self, body: dict[str, Any]) -> dict[str, Any]:
        """Remove people from every audience."""
        schema, rows = self._rows(None, body)
        valid, samples = self._valid(schema, rows)
        for audience in self.audiences.values():
            audience.members = {row: value for row, value in audience.members.items() if row not in valid}
            if audience.session:
                audience.session.rows = {r: value for r, value in audience.session.rows.items() if r not in valid}
        return self._answer(None, body, len(rows), samples)

    def take_events(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take conversions: one that is too old or not whole spoils all, one that was had before is dropped."""
        events = body.get("data")
        if not isinstance(events, list) or not 0 < len(events) <= 1_000:
            raise Refusal(400, 100, message="1-1000 events are required")
        for event in events:
            age = self.clock() - 1_000 * int(event.get("event_time") or 0)
            if not 0 <= age + 60_000 <= 7 * 24 * HOUR_MS + 60_000:
                raise Refusal(400, 100, 2804003, "event_time is more than seven days ago, or ahead")
            people = event.get("user_data") or {}
            hashes = [each for name in ("em", "ph") for each in people.get(name, [])]
            if not event.get("event_name") or not hashes or not all(_HASH.fullmatch(each) for each in hashes):
                raise Refusal(400, 100, 2804050, "event_name and hashed user_data are required")
        for event in events:
            self.events.setdefault(f"{event['event_name']}/{event.get('event_id')}", event)
        return {"events_received": len(events)}

    def edit_budget(self, ad_set_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change an ad set's daily budget."""
        if ad_set_id not in self.ad_sets:
            raise Refusal(400, 100, 33, "no such object")
        ad_set, wanted = self.ad_sets[ad_set_id], body.get("daily_budget")
        if not isinstance(wanted, int):
            raise Refusal(400, 100, message="daily_budget is required, in minor units")
        if wanted < self.minimum_budget:
            raise Refusal(400, 100, 1885272, "the budget is too low")
        ad_set.edits_ms = [each for each in ad_set.edits_ms if each > self.clock() - HOUR_MS]
        if len(ad_set.edits_ms) >= MOST_EDITS:
            raise Refusal(400, 613, 1487632, "the budget was changed too often")
        ad_set.edits_ms.append(self.clock())
        ad_set.daily_budget = wanted
        return {"success": True}

    def _open_session(self, audience: Audience) -> Session | None:
        if audience.session and self.clock() >= audience.session.opened_ms + SESSION_MS:
            # What it had brought is discarded: it was never whole.
            audience.session = None
        return audience.session

    def _check_alone(self, audience: Audience) -> None:
        if self._open_session(audience):
            raise Refusal(400, 2650, 1870145, "a replacement is going on")

    def _check_editable(self, audience: Audience) -> None:
        if _FLAGGED.search(audience.name):
            raise Refusal(400, 100, 1713230, "Audience Upload Blocked")
        if audience.origin_id:
            raise Refusal(400, 100, message="a lookalike has no members of its own")

    def _rows(self, audience: Audience | None, body: dict[str, Any]) -> tuple[tuple[str, ...], list[list[Any]]]:
        payload = body.get("payload") or {}
        schema, rows = payload.get("schema"), payload.get("data")
        if not isinstance(schema, list) or not isinstance(rows, list) or not all(isinstance(r, list) for r in rows):
            raise Refusal(400, 100, message="payload needs a schema and rows")
        if len(rows) > MOST_ROWS:
            raise Refusal(400, 100, message=f"at most {MOST_ROWS} rows")
        if any(len(row) != len(schema) for row in rows):
            raise Refusal(400, 2650, message="rows do not match the schema")
        has_values = "LOOKALIKE_VALUE" in schema
        if has_values and not (audience and audience.is_value_based):
            raise Refusal(400, 100, message="the audience takes no values")
        return tuple(schema), rows

    def _valid(self, schema: tuple[str, ...], rows: list[list[Any]]) -> tuple[dict[Row, float], dict[str, str]]:
        """Return the members in rows and samples of the invalid ones; an invalid row does not fail the others."""
        valid: dict[Row, float] = {}
        samples: dict[str, str] = {}
        keys = [i for i, name in enumerate(schema) if name in {"EMAIL", "PHONE"}]
        for row in rows:
            hashes = tuple(str(row[i]) for i in keys)
            value = float(row[schema.index("LOOKALIKE_VALUE")]) if "LOOKALIKE_VALUE" in schema else 0.0
            if any(hashes) and all(not each or _HASH.fullmatch(each) for each in hashes) and value >= 0:
                valid[hashes] = value
            elif len(samples) < 100:
                samples[str(len(samples))] = " ".join(hashes)
        return valid, samples

    def _answer(
        self, audience: Audience | None, body: dict[str, Any], received: int, samples: dict[str, str]
    ) -> dict[str, Any]:
        return {
            "audience_id": audience.audience_id if audience else "",
            "session_id": str((body.get("session") or {}).get("session_id", "")),
            "num_received": received,
            "num_invalid_entries": len(samples),
            "invalid_entry_samples": samples,
        }

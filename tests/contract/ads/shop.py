"""A small shop of scored customers with identities, and a synchroniser of its audiences, on a clock set by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ads.hashing import META, email_hash
from ads.identity import Identity
from ads.people import People
from ads.sync import Options, Synchroniser
from clv.audiences import BY_NAME, Candidate, belongs
from storage.audiences import apply_scores, suppressed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ads.connector import AudienceConnector
    from ads.sync import AudienceReport
    from storage.engine import Database

START_MS = 1_900_000_000_000
KEY = b"k" * 32


class Identities(dict[str, Identity]):
    """Identities in memory."""

    def find(self, customer_ids: Collection[str]) -> Mapping[str, Identity]:
        """Return those that are known."""
        return {each: self[each] for each in customer_ids if each in self}


class Shop:
    """Scores and identities, and what the audiences should hold by them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = START_MS
        self.identities = Identities()
        self.scored: dict[str, Candidate] = {}

    def clock(self) -> int:
        """Return the time."""
        return self.now_ms

    def score(
        self, customer_id: str, segment: Any, clv_minor: int, *, churn: float = 0.1, reason: str = "order"
    ) -> None:
        """Let a customer be scored."""
        self.scored[customer_id] = Candidate(customer_id, segment, clv_minor, churn, 1, reason)
        self.identities.setdefault(customer_id, Identity(email=f"{customer_id}@example.com"))
        row = {
            "customer_id": customer_id,
            "segment": segment,
            "clv_minor": clv_minor,
            "churn_probability": churn,
            "order_count": 1,
            "as_of_ms": self.now_ms,
            "reason": reason,
        }
        apply_scores(self.database, [row], [{"customer_id": customer_id, "reason": reason}], {})

    def erase(self, customer_id: str) -> None:
        """Let a customer be erased."""
        from clv.erasure import digest_of

        del self.scored[customer_id]
        row = {"digest": digest_of(customer_id, KEY), "cause": "erased", "at_ms": self.now_ms}
        apply_scores(self.database, [], [], {customer_id: row})

    def wanted(self, name: str) -> dict[tuple[str, ...], int]:
        """Return whom an audience should hold, by hash, with the value that each was last told with at the latest."""
        spec = BY_NAME[name]
        return {
            (email_hash(self.identities[each].email, META),): candidate.clv_minor if spec.is_value_based else 0
            for each, candidate in self.scored.items()
            if belongs(candidate, spec) and not self.identities[each].has_opted_out and self.identities[each].email
        }

    def synchronise(self, connector: AudienceConnector, **options: Any) -> dict[str, AudienceReport]:
        """Synchronise once, as a process that has just started; return the reports by audience."""
        people = People(connector, self.identities, key=KEY, suppressed=lambda: suppressed(self.database))
        synchroniser = Synchroniser(self.database, connector, people, clock=self.clock)
        given = {"allows_large": True, **options}
        return {report.name: report for report in synchroniser.run(Options(**given))}

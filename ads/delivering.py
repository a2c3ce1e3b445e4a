"""Sending what was marked: additions, removals, erasures and whole replacements, and what the platform made of them.

Every method may end at any line, by a crash or an error of the platform's: the members' statuses and the stored session
say where to go on.
"""

from __future__ import annotations

import secrets
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from ads.connector import Delivery, Member, NotDone, Refused, Replacement, SessionLost, Throttled, Uncertain
from ads.looking import TOLD_BEFORE
from ads.reconcile import Status
from storage.audiences import (
    Stand,
    count_members,
    forget_everywhere,
    held_by_others,
    log_operation,
    members_with,
    put_members,
    save_stand,
    settle_members,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ads.connector import AudienceConnector
    from clv.audiences import AudienceSpec
    from storage.engine import Database

log = structlog.get_logger(__name__)
Row = dict[str, Any]
MAYBE_THERE = (Status.ADDING, Status.PRESENT)
_MOST_SESSION = 2**62


class Done(msgspec.Struct):
    """What the platform took and refused so far; ``rejected`` counts by reason."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unexplained: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)


class Session(msgspec.Struct, frozen=True):
    """A replacement as it is stored: which batch is next, after whom, and whether one was sent without an answer."""

    session_id: int
    total: int
    started_ms: int
    next_batch: int = 1
    after: str = ""
    is_in_flight: bool = False


class Courier:
    """Sends one audience's changes.

    Parameters
    ----------
    stand
        Where the audience stands, with its id at the platform.
    keep_turn
        Called before every call to the platform; raises when somebody else has the turn.
    clock
        Epoch milliseconds.
    """

    def __init__(
        self,
        database: Database,
        connector: AudienceConnector,
        spec: AudienceSpec,
        stand: Stand,
        *,
        keep_turn: Callable[[], None],
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._connector = connector
        self._spec = spec
        self._stand = stand
        self._keep_turn = keep_turn
        self._clock = clock
        self.done = Done()

    def send(self) -> None:
        """Remove and add those who are marked so, batch by batch."""
        self._remove((Status.REMOVING,))
        after = ""
        while rows := self._members((Status.ADDING,), after=after):
            after = rows[-1]["customer_id"]
            self._keep_turn()
            delivery = self._connector.add(self._stand.remote_id, self._spec, _told(rows))
            self._added(rows, delivery)

    def begin_replacement(self) -> None:
        """Replace the whole audience by those who are marked as there or to be added; send changes where none is."""
        total = count_members(self._database, self._stand.platform, self._spec.name, MAYBE_THERE)
        if not total:
            self.send()
            return
        self._replace(Session(secrets.randbelow(_MOST_SESSION) + 1, total, self._clock()))

    def finish_replacement(self) -> None:
        """Go on with the replacement that is stored.

        Raises
        ------
        SessionLost
            When a batch of it was sent and nobody knows whether it came: it may not be sent twice.
        """
        session = msgspec.json.decode(self._stand.session, type=Session)
        ends_ms = self._ends_ms(session)
        if session.is_in_flight or self._clock() >= ends_ms:
            save_stand(self._database, self._stand._replace(session=""))
            if self._clock() < ends_ms:
                raise SessionLost("a replacement was interrupted, and closes by itself", ends_ms)
            return
        self._replace(session)

    def erase(self) -> None:
        """Take those out who must be in nothing: of everything where the platform can, else of this audience."""
        after = ""
        while self._connector.capabilities.can_erase and (rows := self._members((Status.ERASING,), after=after)):
            after = rows[-1]["customer_id"]
            try:
                self._keep_turn()
                delivery = self._connector.erase(_told(rows))
            except Refused as problem:
                self.note("refused", operation="erase", rows=len(rows), detail=str(problem))
                break
            self.note("done", operation="erase", rows=len(rows), delivery=delivery)
            forget_everywhere(self._database, self._stand.platform, {row["identifiers"] for row in rows})
            self._drop(rows)
        self._remove((Status.ERASING,))

    def note(
        self, outcome: str, *, operation: str, rows: int = 0, delivery: Delivery | None = None, detail: str = ""
    ) -> None:
        """Write down what was done at the platform; who was concerned is not in it."""
        refused = len(delivery.rejected) + delivery.unexplained if delivery else 0
        outcome = "partly" if refused and outcome == "done" else outcome
        log_operation(
            self._database,
            {
                "operation_id": uuid.uuid4().hex,
                "at_ms": self._clock(),
                "platform": self._stand.platform,
                "subject": self._spec.name,
                "operation": operation,
                "row_count": rows,
                "rejected_count": refused,
                "outcome": outcome,
                "detail": detail,
            },
        )
        said = log.debug if outcome == "done" else log.warning
        where = {"platform": self._stand.platform, "audience": self._spec.name}
        said("audience operation", **where, operation=operation, rows=rows, rejected=refused, outcome=outcome)

    def _replace(self, session: Session) -> None:
        """Send the batches that are left; then those to be removed are gone."""
        most = self._connector.capabilities.most_rows
        while True:
            rows = self._members(MAYBE_THERE, after=session.after, limit=most + 1)
            batch, is_last = rows[:most], len(rows) <= most
            self._keep_turn()
            self._deliver_batch(session, batch, is_last=is_last)
            if is_last:
                break
            session = msgspec.structs.replace(
                session, next_batch=session.next_batch + 1, after=batch[-1]["customer_id"], is_in_flight=False
            )
            self._store(session)
        # Until the last batch the platform holds whom it held before.
        where = (self._database, self._stand.platform, self._spec.name)
        added, updated = settle_members(*where, told_before=TOLD_BEFORE)
        self.done.added += added
        self.done.updated += updated
        gone = (Status.REMOVING, Status.ERASING)
        while rows := self._members(gone):
            self._drop(rows)
        self._store(None)

    def _deliver_batch(self, session: Session, batch: Sequence[Row], *, is_last: bool) -> None:
        self._store(msgspec.structs.replace(session, is_in_flight=True))
        said = Replacement(session.session_id, session.next_batch, session.total, is_last)
        try:
            delivery = self._connector.replace(self._stand.remote_id, self._spec, _told(batch), said)
        except (NotDone, Throttled):
            # A session without a batch is none: the next look begins another.
            self._store(session if session.next_batch > 1 else None)
            raise
        except Uncertain as problem:
            self._store(None)
            raise SessionLost(str(problem), self._ends_ms(session)) from problem
        except (Refused, SessionLost):
            self._store(None)
            raise
        refused = dict(delivery.rejected)
        self._put_refused([(batch[i] | _left_out(batch[i], why), why) for i, why in refused.items()])
        self.done.unexplained += delivery.unexplained
        self.note("done", operation="replace", rows=len(batch), delivery=delivery)

    def _ends_ms(self, session: Session) -> int:
        return session.started_ms + self._connector.capabilities.replace_seconds * 1_000

    def _store(self, session: Session | None) -> None:
        text = msgspec.json.encode(session).decode() if session else ""
        status = "replacing" if session else self._stand.status
        save_stand(self._database, self._stand._replace(status=status, session=text))

    def _remove(self, statuses: Sequence[Status]) -> None:
        while rows := self._members(statuses):
            named = {row["identifiers"] for row in rows}
            kept = held_by_others(self._database, self._stand.platform, self._spec.name, named, MAYBE_THERE)
            # Two customers may share an address: it stays while one of them is wanted; an erasure spares nobody.
            leaving = [row for row in rows if row["identifiers"] not in kept or row["status"] == Status.ERASING]
            self._keep_turn()
            if leaving:
                delivery = self._connector.remove(self._stand.remote_id, self._spec, _told(leaving))
                self.note("done", operation="remove", rows=len(leaving), delivery=delivery)
            self._drop(rows)

    def _drop(self, rows: Sequence[Row]) -> None:
        put_members(self._database, [], [(row["platform"], row["audience"], row["customer_id"]) for row in rows])
        self.done.removed += len(rows)

    def _added(self, rows: Sequence[Row], delivery: Delivery) -> None:
        """Store that the platform added rows, and which it refused."""
        refused = dict(delivery.rejected)
        self._put_refused([(rows[i] | {"status": Status.REJECTED, "detail": why}, why) for i, why in refused.items()])
        taken = [row for position, row in enumerate(rows) if position not in refused]
        put_members(self._database, [row | {"status": Status.PRESENT, "detail": ""} for row in taken])
        updated = sum(row["detail"] == TOLD_BEFORE for row in taken)
        self.done.updated += updated
        self.done.added += len(taken) - updated
        self.done.unexplained += delivery.unexplained
        self.note("done", operation="add", rows=len(rows), delivery=delivery)

    def _put_refused(self, rows: Sequence[tuple[Row, str]]) -> None:
        put_members(self._database, [row for row, _ in rows])
        self.done.rejected.update(why for _, why in rows)

    def _members(self, statuses: Sequence[Status], *, after: str = "", limit: int = 0) -> list[Row]:
        most = limit or self._connector.capabilities.most_rows
        return members_with(self._database, self._stand.platform, self._spec.name, statuses, after=after, limit=most)


def _told(rows: Sequence[Row]) -> list[Member]:
    return [
        Member(row["customer_id"], tuple(msgspec.json.decode(row["identifiers"])), row["value_minor"]) for row in rows
    ]


def _left_out(row: Row, why: str) -> Row:
    """Return what becomes of a row that a replacement leaves out: one that was there is, until the replacement ends."""
    return {"status": Status.REJECTED, "detail": why} if row["status"] == Status.ADDING else {"status": Status.REMOVING}

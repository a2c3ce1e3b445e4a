"""One look at an audience: what is wanted against what is known, over all customers, a stretch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ads.reconcile import Action, Known, Person, Status, Tally, decide
from clv.audiences import Candidate
from storage.audiences import Chunk, chunks, put_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ads.people import People
    from clv.audiences import AudienceSpec
    from storage.engine import Database

TOLD_BEFORE = "told before"
"""Detail of a member who is there already and is told of again."""
_identifiers = msgspec.json.Decoder(tuple[str, ...])


class Decided(NamedTuple):
    """What must happen to one customer, and on what grounds."""

    customer_id: str
    action: Action
    candidate: Candidate | None
    person: Person
    known: Known | None


class Audience(NamedTuple):
    """What is looked at: an audience of a platform, and how those who were refused before are treated."""

    database: Database
    platform: str
    spec: AudienceSpec
    people: People
    retries_rejected: bool


def look(audience: Audience) -> Tally:
    """Count what would have to happen; changes nothing.

    Raises
    ------
    InputError
        When the identities cannot be read.
    StoreUnavailable
        When a retry may help.
    """
    tally = Tally()
    for chunk in chunks(audience.database, audience.platform, audience.spec.name):
        for each in _decided(audience, chunk):
            tally.count(each.action, each.candidate, each.person, each.known)
    return tally


def mark(audience: Audience, *, is_replacing: bool, erases_only: bool = False) -> None:
    """Store what is intended with each customer, before any platform hears of it.

    Parameters
    ----------
    is_replacing
        Whether the whole audience will be sent: then who has other hashes now needs no removal first.
    erases_only
        Mark those alone who opted out or were erased: nothing holds that up.

    Raises
    ------
    InputError, StoreUnavailable
        As ``look``; what was stored so far is taken up by the next.
    """
    for chunk in chunks(audience.database, audience.platform, audience.spec.name):
        rows: list[dict[str, Any]] = []
        forgotten: list[tuple[str, str, str]] = []
        for each in _decided(audience, chunk):
            if erases_only and each.action is not Action.ERASE:
                continue
            if each.action is Action.FORGET:
                forgotten.append((audience.platform, audience.spec.name, each.customer_id))
            elif each.action is not Action.KEEP:
                rows.append(_row(audience, each, is_replacing=is_replacing))
        if rows or forgotten:
            put_members(audience.database, rows, forgotten)


def _row(audience: Audience, decided: Decided, *, is_replacing: bool) -> dict[str, Any]:
    action, known, person = decided.action, decided.known, decided.person
    keeps_hashes = action in (Action.REMOVE, Action.ERASE) or (action is Action.RENAME and not is_replacing)
    identifiers = known.identifiers if known is not None and keeps_hashes else person.identifiers
    candidate = decided.candidate
    has_value = candidate is not None and audience.spec.is_value_based
    detail = person.problem if action is Action.REJECT else ""
    if action in (Action.UPDATE, Action.RENAME) and known is not None and known.status is Status.PRESENT:
        detail = TOLD_BEFORE
    return {
        "platform": audience.platform,
        "audience": audience.spec.name,
        "customer_id": decided.customer_id,
        "identifiers": msgspec.json.encode(identifiers).decode(),
        "value_minor": candidate.clv_minor if candidate is not None and has_value else 0,
        "status": _status(action, is_replacing=is_replacing),
        "detail": detail,
    }


def _status(action: Action, *, is_replacing: bool) -> Status:
    if action is Action.RENAME:
        return Status.ADDING if is_replacing else Status.REMOVING
    return {
        Action.ADD: Status.ADDING,
        Action.UPDATE: Status.ADDING,
        Action.REMOVE: Status.REMOVING,
        Action.ERASE: Status.ERASING,
        Action.REJECT: Status.REJECTED,
    }[action]


def _decided(audience: Audience, chunk: Chunk) -> Iterator[Decided]:
    scored = {customer_id: (_candidate(row), row["as_of_ms"]) for customer_id, row in chunk.scored.items()}
    customer_ids = chunk.customer_ids
    people = audience.people.find(customer_ids, scored)
    for customer_id in customer_ids:
        candidate = scored[customer_id][0] if customer_id in scored else None
        known = _known(chunk.known[customer_id]) if customer_id in chunk.known else None
        person = people[customer_id]
        action = decide(audience.spec, candidate, person, known, retries_rejected=audience.retries_rejected)
        yield Decided(customer_id, action, candidate, person, known)


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(
        row["customer_id"],
        row["segment"],
        row["clv_minor"],
        row["churn_probability"],
        row["order_count"],
        row["reason"],
    )


def _known(row: dict[str, Any]) -> Known:
    return Known(
        row["customer_id"],
        _identifiers.decode(row["identifiers"]),
        row["value_minor"],
        Status(row["status"]),
        row["detail"],
    )

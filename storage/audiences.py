"""Audiences in SQL: what decides who belongs, where each audience stands, and whom a platform was told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, true, update

from storage import tables
from storage.dialect import insert_into, insert_missing, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from storage.engine import Database

Row = dict[str, Any]
CHUNK = 5_000
"""Customers that are looked at at a time."""
_scored, _audiences, _members = tables.audience_customers, tables.audiences, tables.audience_members


class Stand(NamedTuple):
    """Where an audience stands at its platform.

    Parameters
    ----------
    waiting_until_ms
        Not to be touched before, epoch milliseconds; -1 for no wait.
    synced_ms
        When it was last as wanted; -1 for never.
    session
        JSON of a replacement that has begun; empty for none.
    counts
        JSON of what the last look found.
    """

    platform: str
    name: str
    remote_id: str = ""
    status: str = ""
    detail: str = ""
    waiting_until_ms: int = -1
    synced_ms: int = -1
    session: str = ""
    counts: str = "{}"


class Chunk(NamedTuple):
    """Customers of a stretch of ids: their scores and what is known of them at a platform, by id."""

    scored: dict[str, Row]
    known: dict[str, Row]

    @property
    def customer_ids(self) -> list[str]:
        """All of them, in order."""
        return sorted(self.scored.keys() | self.known.keys())


def apply_scores(
    database: Database,
    scored: Sequence[Row],
    changed: Sequence[Row],
    erased: Mapping[str, Row],
    *,
    conversions: Sequence[Row] = (),
) -> None:
    """Store what a batch of records says, in one transaction; repeating it changes nothing.

    Parameters
    ----------
    scored
        Rows of ``audience_customers``, at most one a customer; the reason that is stored stays.
    changed
        The reason of each customer's last segment change: ``customer_id`` and ``reason``.
    erased
        Customers to be forgotten, with their row of ``suppressions``; those also in ``scored`` came back later.
    conversions
        First purchases; one that is stored already stays as it is.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    ids = [{"gone": customer_id} for customer_id in erased]
    with database.writing() as connection:
        if ids:
            connection.execute(delete(_scored).where(_scored.c.customer_id == bindparam("gone")), ids)
            gone = tables.conversions.c.customer_id == bindparam("gone")
            connection.execute(delete(tables.conversions).where(gone), ids)
            names = connection.execute(select(_audiences.c.platform, _audiences.c.name)).all()
            keys = [{"at": platform, "in_name": name, **each} for platform, name in names for each in ids]
            if keys:
                is_theirs = (
                    _members.c.platform == bindparam("at"),
                    _members.c.audience == bindparam("in_name"),
                    _members.c.customer_id == bindparam("gone"),
                )
                connection.execute(update(_members).where(*is_theirs).values(status="erasing"), keys)
            upsert(connection, tables.suppressions, list(erased.values()))
        insert_missing(connection, tables.conversions, conversions)
        insert_missing(connection, _scored, scored)
        if scored:
            given: dict[str, Any] = {
                name: bindparam(f"new_{name}") for name in scored[0] if name not in ("customer_id", "reason")
            }
            rows = [{f"new_{name}": value for name, value in row.items() if name != "reason"} for row in scored]
            is_one = _scored.c.customer_id == bindparam("new_customer_id")
            connection.execute(update(_scored).where(is_one).values(given), rows)
        if changed:
            reasons = [{"whose": row["customer_id"], "new_reason": row["reason"]} for row in changed]
            is_one = _scored.c.customer_id == bindparam("whose")
            connection.execute(update(_scored).where(is_one).values(reason=bindparam("new_reason")), reasons)


def refresh_scores(database: Database) -> None:
    """Take over what the sink has stored of customers: who is new or was scored later, and who is no more.

    What was read from the topics and is not in SQL yet stays.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    theirs, names = tables.customers, [column.name for column in _scored.columns]
    query = select(*(theirs.c[name] for name in names)).where(true())
    newest = select(func.max(theirs.c.as_of_ms)).scalar_subquery()
    with database.writing() as connection:
        statement = insert_into(connection, _scored).from_select(names, query)
        changed = {name: statement.excluded[name] for name in names if name != "customer_id"}
        is_later = statement.excluded.as_of_ms >= _scored.c.as_of_ms
        connection.execute(
            statement.on_conflict_do_update(index_elements=["customer_id"], set_=changed, where=is_later)
        )
        is_known = select(theirs.c.customer_id).where(theirs.c.customer_id == _scored.c.customer_id).exists()
        connection.execute(delete(_scored).where(~is_known, _scored.c.as_of_ms <= newest))


def chunks(database: Database, platform: str, audience: str) -> Iterator[Chunk]:
    """Give everybody who has a score or is known at the platform, a stretch of customer ids at a time, in order.

    Each stretch is read when it is asked for; what is written in between shows in the stretches after.
    """
    after = ""
    while True:
        chunk, is_last = _chunk(database, platform, audience, after)
        if chunk.scored or chunk.known:
            yield chunk
        if is_last:
            return
        after = chunk.customer_ids[-1]


def _chunk(database: Database, platform: str, audience: str, after: str) -> tuple[Chunk, bool]:
    is_here = (_members.c.platform == platform, _members.c.audience == audience)
    scores = select(_scored).where(_scored.c.customer_id > after).order_by(_scored.c.customer_id).limit(CHUNK)
    members = select(_members).where(*is_here, _members.c.customer_id > after)
    members = members.order_by(_members.c.customer_id).limit(CHUNK)
    with database.reading() as connection:
        scored = {row["customer_id"]: dict(row) for row in connection.execute(scores).mappings()}
        known = {row["customer_id"]: dict(row) for row in connection.execute(members).mappings()}
    ends = [max(rows) for rows in (scored, known) if len(rows) == CHUNK]
    if not ends:
        return Chunk(scored, known), True
    end = min(ends)
    kept = Chunk(
        {each: row for each, row in scored.items() if each <= end},
        {each: row for each, row in known.items() if each <= end},
    )
    return kept, False


def put_members(database: Database, rows: Sequence[Row], forgotten: Collection[tuple[str, str, str]] = ()) -> None:
    """Store what is known of members, and drop those of the given platform, audience and customer id."""
    keys = [{"at": platform, "in_name": name, "whose": customer_id} for platform, name, customer_id in forgotten]
    with database.writing() as connection:
        upsert(connection, _members, rows)
        if keys:
            is_one = (
                _members.c.platform == bindparam("at"),
                _members.c.audience == bindparam("in_name"),
                _members.c.customer_id == bindparam("whose"),
            )
            connection.execute(delete(_members).where(*is_one), keys)


def forget_members(database: Database, platform: str, audience: str) -> None:
    """Drop everybody who is known in an audience."""
    is_meant = (_members.c.platform == platform, _members.c.audience == audience)
    with database.writing() as connection:
        connection.execute(delete(_members).where(*is_meant))


def forget_everywhere(database: Database, platform: str, identifiers: Collection[str]) -> None:
    """Drop everybody whom a platform knew by these identifiers (JSON), in all audiences."""
    names = select(_audiences.c.name).where(_audiences.c.platform == platform)
    is_theirs = (_members.c.platform == platform, _members.c.audience == bindparam("in_name"))
    with database.writing() as connection:
        rows = [{"in_name": name, "was": each} for name in connection.execute(names).scalars() for each in identifiers]
        if rows:
            connection.execute(delete(_members).where(*is_theirs, _members.c.identifiers == bindparam("was")), rows)


def members_with(
    database: Database, platform: str, audience: str, statuses: Collection[str], *, after: str = "", limit: int = CHUNK
) -> list[Row]:
    """Return members in one of the statuses, by customer id, from behind ``after`` on."""
    query = (
        select(_members)
        .where(
            _members.c.platform == platform,
            _members.c.audience == audience,
            _members.c.status.in_(statuses),
            _members.c.customer_id > after,
        )
        .order_by(_members.c.customer_id)
        .limit(limit)
    )
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def settle_members(database: Database, platform: str, audience: str, *, told_before: str) -> tuple[int, int]:
    """Note that everybody who was to be added is there; return how many are new, and how many had that detail."""
    is_meant = (_members.c.platform == platform, _members.c.audience == audience, _members.c.status == "adding")
    counted = select(_members.c.detail, func.count()).where(*is_meant).group_by(_members.c.detail)
    with database.writing() as connection:
        counts = {row[0]: row[1] for row in connection.execute(counted)}
        connection.execute(update(_members).where(*is_meant).values(status="present", detail=""))
    before = counts.pop(told_before, 0)
    return sum(counts.values()), before


def count_members(database: Database, platform: str, audience: str, statuses: Collection[str]) -> int:
    """Return how many members are in one of the statuses."""
    is_meant = (_members.c.platform == platform, _members.c.audience == audience, _members.c.status.in_(statuses))
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(_members).where(*is_meant)).scalar_one()


def held_by_others(
    database: Database, platform: str, audience: str, identifiers: Collection[str], statuses: Collection[str]
) -> set[str]:
    """Return those of the identifiers (JSON) under which somebody in one of the statuses is known."""
    query = select(_members.c.identifiers).where(
        _members.c.platform == platform,
        _members.c.audience == audience,
        _members.c.identifiers.in_(identifiers),
        _members.c.status.in_(statuses),
    )
    with database.reading() as connection:
        return set(connection.execute(query).scalars())


def load_stand(database: Database, platform: str, name: str) -> Stand:
    """Return where an audience stands; a new one's is empty."""
    is_one = (_audiences.c.platform == platform, _audiences.c.name == name)
    with database.reading() as connection:
        row = connection.execute(select(_audiences).where(*is_one)).mappings().one_or_none()
    return Stand(**row) if row else Stand(platform, name)


def list_stands(database: Database) -> list[Stand]:
    """Return where every audience stands that was ever looked at, by platform and name."""
    query = select(_audiences).where(_audiences.c.name != "").order_by(_audiences.c.platform, _audiences.c.name)
    with database.reading() as connection:
        return [Stand(**row) for row in connection.execute(query).mappings()]


def save_stand(database: Database, stand: Stand) -> None:
    """Store where an audience stands."""
    with database.writing() as connection:
        upsert(connection, _audiences, [stand._asdict()])


def take_turn(database: Database, platform: str, owner: str, *, now_ms: int, until_ms: int) -> bool:
    """Take or keep the right to change a platform's audiences until a moment; return False where another has it.

    One synchronises at a time. The turn of one who has died ends by itself.
    """
    mine = Stand(platform, "", remote_id=owner, status="turn", waiting_until_ms=until_ms)
    is_one = (_audiences.c.platform == platform, _audiences.c.name == "")
    with database.writing() as connection:
        # A row must be there to be locked.
        insert_missing(connection, _audiences, [Stand(platform, "", status="turn")._asdict()])
        query = select(_audiences).where(*is_one)
        row = connection.execute(query if database.is_sqlite else query.with_for_update()).mappings().one()
        if row["remote_id"] not in ("", owner) and row["waiting_until_ms"] > now_ms:
            return False
        upsert(connection, _audiences, [mine._asdict()])
    return True


def end_turn(database: Database, platform: str, owner: str) -> None:
    """Give the turn back."""
    is_mine = (_audiences.c.platform == platform, _audiences.c.name == "", _audiences.c.remote_id == owner)
    with database.writing() as connection:
        connection.execute(update(_audiences).where(*is_mine).values(remote_id="", waiting_until_ms=-1))


def suppressed(database: Database) -> dict[str, int]:
    """Return every suppression: the digest, and when, epoch milliseconds."""
    kept = tables.suppressions
    with database.reading() as connection:
        return {row.digest: row.at_ms for row in connection.execute(select(kept.c.digest, kept.c.at_ms))}


def log_operation(database: Database, row: Row) -> None:
    """Store what was done at a platform."""
    with database.writing() as connection:
        insert_missing(connection, tables.ad_operations, [row])

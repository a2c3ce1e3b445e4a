"""Dead letters: listed and shown masked, sent again by whoever may operate."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from api.context import Shared
from api.cursors import decode_cursor, encode_cursor
from api.problems import ApiProblem, documented
from api.schemas.letters import DeadLetter, DeadLetterContent, DeadLetterPage, Replay
from api.security import require
from api.views import moment
from clv.masking import masked
from clv.topics import ORDERS
from storage.api_keys import ApiKey
from storage.letters import LetterPlace, count_by_reason, get_letter, list_letters, request_replay

router = APIRouter(prefix="/api/dead-letters", tags=["dead letters"])
_SHOWN = 20_000
Topic = Annotated[str, Path(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$", examples=["clv.orders.v1"])]
Partition = Annotated[int, Path(ge=0, lt=2**31)]
Offset = Annotated[int, Path(ge=0, lt=2**63)]


@router.get("", response_model=DeadLetterPage, responses=documented("invalid-input"), dependencies=[require("operate")])
def letters(
    context: Shared,
    reason: Annotated[str, Query(max_length=64, description="One reason alone, for example `too_late`.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1024, description="`next` of the page before.")] = None,
) -> DeadLetterPage:
    """List records that could not be applied, the newest offsets first."""
    after = LetterPlace(*decode_cursor(cursor, tuple[str, str, int, int])) if cursor else None
    rows = list_letters(context.database, reason=_clean(reason), limit=limit + 1, after=_bounded(after), is_whole=False)
    following = encode_cursor(*_place(rows[limit - 1])) if len(rows) > limit else None
    return DeadLetterPage(
        items=[DeadLetter(**_figures(row)) for row in rows[:limit]],
        next=following,
        by_reason=count_by_reason(context.database),
    )


@router.get(
    "/{topic}/{partition}/{offset}",
    response_model=DeadLetterContent,
    responses=documented("not-found"),
    dependencies=[require("operate")],
)
def letter(context: Shared, topic: Topic, partition: Partition, offset: Offset) -> DeadLetterContent:
    """Show a record that could not be applied, masked."""
    row = _known(context, topic, partition, offset)
    return DeadLetterContent(**_figures(row), key=masked(row["key"])[:_SHOWN], value=masked(row["value"])[:_SHOWN])


@router.post(
    "/{topic}/{partition}/{offset}/replay",
    response_model=Replay,
    status_code=202,
    responses=documented("not-found", "conflict"),
)
def replay(
    context: Shared, topic: Topic, partition: Partition, offset: Offset, key: Annotated[ApiKey, require("operate")]
) -> Replay:
    """Ask that a record be sent again to where it lay; the sink does so within seconds. An event counts once anyway."""
    row = _known(context, topic, partition, offset)
    if topic != ORDERS:
        raise ApiProblem("conflict", f"only records of {ORDERS} can be sent again")
    request_replay(context.database, _place(row), key.name)
    return Replay(id=_id(row), replay="requested")


def _known(context: Shared, topic: str, partition: int, offset: int) -> dict[str, Any]:
    row = get_letter(context.database, topic, partition, offset)
    if row is None:
        raise ApiProblem("not-found", "there is no dead letter of this place")
    return row


def _place(row: dict[str, Any]) -> LetterPlace:
    return LetterPlace(*(row[name] for name in LetterPlace._fields))


def _bounded(after: LetterPlace | None) -> LetterPlace | None:
    if after is None:
        return None
    partition, offset = min(max(after.partition, 0), 2**31 - 1), min(max(after.offset, 0), 2**63 - 1)
    return LetterPlace(_clean(after.topic), _clean(after.incarnation), partition, offset)


def _clean(text: str) -> str:
    # PostgreSQL's text has no NUL: what holds one is nowhere.
    return text.replace("\x00", "�")


def _id(row: dict[str, Any]) -> str:
    return f"{row['topic']}/{row['partition']}/{row['offset']}"


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id(row),
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["offset"],
        "reason": row["reason"],
        "detail": row["detail"],
        "bytes": row["value_bytes"],
        "stored_at": moment(row["stored_ms"]),
        "replay": _replay_state(row),
    }


def _replay_state(row: dict[str, Any]) -> str:
    if row["requested_ms"] is None:
        return "none"
    if row["problem"]:
        return str(row["problem"])
    return "sent" if row["sent_ms"] >= 0 else "requested"

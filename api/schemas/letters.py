"""Dead letters: records that could not be applied."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.customers import Moment


class DeadLetter(BaseModel):
    """A record that could not be applied; its content is masked: letters are x, digits 0."""

    id: str = Field(description="TOPIC/PARTITION/OFFSET, where it lay.", examples=["clv.orders.v1/0/17"])
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    bytes: int
    stored_at: Moment | None
    replay: str = Field(description="`none`, `requested`, `sent`, or why it cannot be.")


class DeadLetterPage(BaseModel):
    """A page of dead letters; ``next`` is the cursor of the next one, null after the last."""

    items: list[DeadLetter]
    next: str | None
    by_reason: dict[str, int]


class DeadLetterContent(DeadLetter):
    """A dead letter with what it holds."""

    key: str = Field(description="Masked.")
    value: str = Field(description="Masked, at most 20,000 characters.")


class Replay(BaseModel):
    """That a record will be sent again by the sink, within seconds."""

    id: str
    replay: str

"""Names, keys and policies of every topic; the one place that spells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

ORDERS = "clv.orders.v1"
SCORES = "clv.scores.v1"
SEGMENT_CHANGES = "clv.segment-changes.v1"
BUDGET_SIGNALS = "clv.budget-signals.v1"
TRAINING_EXAMPLES = "clv.training-examples.v1"
MODELS = "clv.models.v1"
DEAD_LETTERS = "clv.dead-letters.v1"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic must look like: ``keyed`` ones have the deployment's partition count, the others one."""

    name: str
    policy: Literal["delete", "compact"]
    is_keyed: bool = True
    retention_ms: int = -1
    max_message_bytes: int = 1_048_576


TOPICS = (
    TopicSpec(ORDERS, "delete"),
    TopicSpec(SCORES, "compact"),
    TopicSpec(SEGMENT_CHANGES, "delete"),
    TopicSpec(TRAINING_EXAMPLES, "delete"),
    TopicSpec(
        DEAD_LETTERS,
        "delete",
        retention_ms=timedelta(days=30) // timedelta(milliseconds=1),
        max_message_bytes=2_097_152,
    ),
    TopicSpec(BUDGET_SIGNALS, "delete", is_keyed=False),
    TopicSpec(MODELS, "compact", is_keyed=False),
)


def changelog_topic(group: str) -> str:
    """Return the name of the customers table's changelog for a consumer group."""
    return f"{group}-customers-changelog"

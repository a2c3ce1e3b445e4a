"""Training on demand: what ``clv train`` does, beside a running trainer or without one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from clv.errors import BrokerError, ConfigError, NotTrained, StoreConflict, StoreUnavailable
from clv.published import SCORER_NAME
from models.batch import MIN_EXAMPLES
from models.custom import installed_models
from models.schedule import NEVER_MS
from storage.examples import count_examples
from streams.clients import aiokafka_settings
from streams.histories import stored_through_ms
from streams.topics import ensure_topics
from streams.trainer import announce
from streams.trainer_store import TrainerStore, learn, stored_examples

if TYPE_CHECKING:
    from clv.outcomes import BudgetSignal, ModelAnnounced
    from clv.settings import Settings
    from models.evaluation import Metrics
    from storage.engine import Database

log = structlog.get_logger(__name__)
_ATTEMPTS = 4


class Retrained(NamedTuple):
    """What a training on demand came to.

    ``examples`` have matured by ``learned_through_ms``; ``ensemble`` is empty where they are too few for one. With an
    older version ``pinned``, ``version`` is the one that it answers as, and what was trained is not given out.
    """

    version: str
    learned_through_ms: int
    champion: str
    btyd: str
    customers: int
    repeat_customers: int
    examples: int
    ensemble: str
    metrics: dict[str, Metrics]
    events: list[ModelAnnounced | BudgetSignal]
    pinned: str


@retry(
    retry=retry_if_exception_type((StoreConflict, StoreUnavailable)),
    wait=wait_exponential(multiplier=0.5, max=4),
    stop=stop_after_attempt(_ATTEMPTS),
    reraise=True,
)
def retrain(settings: Settings, database: Database) -> Retrained:
    """Learn the stored examples that nobody has learned, refit BTYD and ensemble, and store what is to be published.

    Goes as far in event time as every partition's states are stored. A running trainer finds out at its next save,
    and passes over the examples that were learned here.

    Raises
    ------
    NotTrained
        When no customer has bought anything yet, or not every partition has come into event time.
    StoreConflict
        When a running trainer saved each time meanwhile, as it does while a log is replayed.
    StoreUnavailable
        When a retry may help; also when the trainer is ahead of what the sink has stored.

    Notes
    -----
    Some ten seconds for 20,000 customers and 12,000 examples.
    """
    store = TrainerStore(settings, database, installed_models())
    store.load()
    training = store.training()
    now_ms = max(training.state.through_ms, stored_through_ms(database, settings))
    if now_ms <= NEVER_MS:
        raise NotTrained("no partition's event time is stored yet", "send orders first, with worker and sink running")
    learn(training, stored_examples(database, training.state.through_ms, now_ms))
    published = training.step(now_ms, is_forced=True)
    base = training.learner.btyd
    if base is None:
        raise NotTrained(
            "no stored customer has bought anything yet", "send orders first, with worker and sink running"
        )
    training.state.through_ms = now_ms
    store.save(training, published)
    examples = count_examples(database, matured_from_ms=0, matured_to_ms=now_ms)
    registry = training.state.registry
    return Retrained(
        version=training.state.announced[SCORER_NAME],
        learned_through_ms=now_ms,
        champion=registry.switch.after if registry.switch else training.learner.champion,
        btyd=base.version,
        customers=base.customer_count,
        repeat_customers=base.repeat_customer_count,
        examples=examples,
        ensemble=training.learner.ensemble_digest[:12] if examples >= MIN_EXAMPLES else "",
        metrics=training.learner.metrics(),
        events=published.events,
        pinned=registry.pinned,
    )


def announce_now(settings: Settings, events: list[ModelAnnounced | BudgetSignal]) -> str:
    """Announce on Kafka; return why that was not possible, empty when it was. A trainer's start makes up for it."""
    try:
        asyncio.run(_announce(settings, events))
    except (BrokerError, ConfigError, KafkaError) as problem:
        log.debug("not announced", problem=str(problem))
        return str(problem)
    return ""


async def _announce(settings: Settings, events: list[ModelAnnounced | BudgetSignal]) -> None:
    await ensure_topics(settings)
    async with AIOKafkaProducer(acks="all", **aiokafka_settings(settings)) as producer:
        await announce(producer, events)

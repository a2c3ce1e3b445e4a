"""The topics of a deployment on its broker: made, checked, and identified.

kafka-python's admin client does the talking, in a thread: aiokafka's knows no topic ids.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
import tenacity

from clv.errors import BrokerError, ConfigError
from clv.retention import topic_retention_ms
from clv.state import incarnation_code
from clv.topics import TOPICS, TopicSpec, changelog_topic
from streams.admin import admin_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kafka.admin import KafkaAdminClient

    from clv.settings import Settings

log = structlog.get_logger(__name__)

CHANGELOG_MAX_MESSAGE_BYTES = 2_097_152
_ALREADY_EXISTS = 36
_BAD_REPLICATION = 38
_VISIBLE_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TopicProblem:
    """Something about a topic that is not as the deployment needs it.

    ``found`` is empty where the topic is missing. ``is_fatal``: the application cannot run or would give wrong
    results; else it runs, but keeps or drops data otherwise than said.
    """

    topic: str
    found: str
    needed: str
    mend: str
    is_fatal: bool

    def __str__(self) -> str:
        if self.is_missing:
            return f"topic {self.topic} is missing"
        return f"topic {self.topic} has {self.found}, needs {self.needed}"

    @property
    def is_missing(self) -> bool:
        """Whether the topic does not exist at all."""
        return not self.found


def specs(settings: Settings) -> tuple[TopicSpec, ...]:
    """Return every topic of the deployment: the public ones and the customers table's changelog."""
    changelog = TopicSpec(changelog_topic(settings.group), "compact", max_message_bytes=CHANGELOG_MAX_MESSAGE_BYTES)
    kept_ms = topic_retention_ms(settings.topic_retention)
    public = (replace(spec, retention_ms=kept_ms.get(spec.name, spec.retention_ms)) for spec in TOPICS)
    return (*public, changelog)


def partition_count(spec: TopicSpec, settings: Settings) -> int:
    """Return how many partitions the topic has in this deployment."""
    return settings.partitions if spec.is_keyed else 1


async def ensure_topics(settings: Settings) -> dict[str, str]:
    """Create the topics that are missing, check the others, and return every one's id by name.

    Safe to call from several roles at once and again at any time. A wrong cleanup policy, retention or size is logged
    and left alone: only the broker's owner may change what is kept.

    Raises
    ------
    ConfigError
        A topic has another number of partitions, or the broker cannot hold the replicas asked for.
    BrokerError
        The broker cannot be reached or refuses.
    """
    return await asyncio.to_thread(_ensure, settings)


async def topic_ids(settings: Settings) -> dict[str, str]:
    """Return the id of each of the deployment's topics that exists, by name; a recreated topic has another id.

    Raises
    ------
    BrokerError
        The broker cannot be reached or refuses.
    """
    return await asyncio.to_thread(_ids, settings)


async def topic_problems(settings: Settings) -> list[TopicProblem]:
    """Return what is wrong with the deployment's topics, missing ones included; nothing is changed.

    Raises
    ------
    BrokerError
        The broker cannot be reached or refuses.
    """
    return await asyncio.to_thread(_problems, settings)


def _ensure(settings: Settings) -> dict[str, str]:
    with admin_client(settings) as admin:
        names = [spec.name for spec in specs(settings)]
        missing = [spec for spec in specs(settings) if spec.name not in _describe(admin, names)]
        if missing:
            _create(admin, missing, settings)
        found = _describe_all(admin, names)
        for problem in _compare(admin, found, settings):
            if problem.is_fatal:
                raise ConfigError(str(problem), problem.mend)
            log.warning("topic differs", topic=problem.topic, found=problem.found, needed=problem.needed)
        return {name: str(topic["topic_id"]) for name, topic in found.items()}


def _ids(settings: Settings) -> dict[str, str]:
    with admin_client(settings) as admin:
        found = _describe(admin, [spec.name for spec in specs(settings)])
        return {name: str(topic["topic_id"]) for name, topic in found.items()}


def _problems(settings: Settings) -> list[TopicProblem]:
    with admin_client(settings) as admin:
        return _compare(admin, _describe(admin, [spec.name for spec in specs(settings)]), settings)


def _describe(admin: KafkaAdminClient, names: list[str]) -> dict[str, Any]:
    # All topics at once: asked for by name, Kafka answers an unknown one with an error that hides who may see it.
    known = {topic["name"]: topic for topic in admin.describe_topics() if not topic["error_code"]}
    return {name: known[name] for name in names if name in known}


def _create(admin: KafkaAdminClient, missing: list[TopicSpec], settings: Settings) -> None:
    wanted = {
        spec.name: {
            "num_partitions": partition_count(spec, settings),
            "replication_factor": settings.replication,
            "configs": _configs(spec, settings),
        }
        for spec in missing
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        if topic["error_code"] == _BAD_REPLICATION:
            raise ConfigError(
                f"the broker cannot hold {settings.replication} replicas of {topic['name']}",
                "set CLV_REPLICATION to at most the number of brokers",
            )
        if topic["error_code"] not in (0, _ALREADY_EXISTS):
            raise BrokerError(
                f"topic {topic['name']} cannot be created: {topic['error_message'] or topic['error_code']}",
                "create it by hand as `clv topics` shows, or allow this user to create topics",
            )
        if not topic["error_code"]:
            log.debug("topic created", topic=topic["name"], partitions=wanted[topic["name"]]["num_partitions"])
    admin.wait_for_topics(list(wanted))


def _describe_all(admin: KafkaAdminClient, names: list[str]) -> dict[str, Any]:
    """Describe the topics; in a cluster a broker may hear of a new one a little later than another."""
    wait = tenacity.Retrying(
        stop=tenacity.stop_after_delay(_VISIBLE_TIMEOUT_SECONDS),
        wait=tenacity.wait_fixed(0.1),
        retry=tenacity.retry_if_result(lambda found: len(found) < len(names)),
        retry_error_callback=lambda _: _describe(admin, names),
    )
    return wait(_describe, admin, names)


def _configs(spec: TopicSpec, settings: Settings) -> dict[str, str]:
    configs = {
        "cleanup.policy": spec.policy,
        "retention.ms": str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes),
    }
    if settings.replication >= 3:
        configs["min.insync.replicas"] = "2"  # acknowledged means on two brokers: one may be lost
    return configs


def _compare(admin: KafkaAdminClient, found: Mapping[str, Any], settings: Settings) -> list[TopicProblem]:
    configs = _broker_configs(admin, list(found))
    problems = []
    for spec in specs(settings):
        if spec.name not in found:
            mend = "clv topics --create"
            problems.append(TopicProblem(spec.name, "", "to exist", mend, is_fatal=True))
            continue
        count, needed = len(found[spec.name]["partitions"]), partition_count(spec, settings)
        if count != needed:
            mend = _partition_mend(count, spec)
            problems.append(
                TopicProblem(spec.name, f"{count} partitions", f"{needed} (CLV_PARTITIONS)", mend, is_fatal=True)
            )
        for name, text in _configs(spec, settings).items():
            actual = configs.get(spec.name, {}).get(name, text)
            if actual != text:
                target = f"--entity-type topics --entity-name {spec.name}"
                mend = f"kafka-configs.sh --alter {target} --add-config {name}={text}"
                problems.append(TopicProblem(spec.name, f"{name}={actual}", f"{name}={text}", mend, is_fatal=False))
    return problems


def _partition_mend(count: int, spec: TopicSpec) -> str:
    if spec.is_keyed:
        return f"set CLV_PARTITIONS={count} if every keyed topic has {count}; else delete the topic and replay into it"
    return "delete the topic; it is created again with one partition"


def _broker_configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415  # with the client, see above

    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    described = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {name: {key: value["value"] for key, value in entries.items()} for name, entries in described.items()}


def orders_group(settings: Settings, orders_topic_id: str) -> str:
    """Return the consumer group of the workers: its committed offsets belong to one life of the orders topic alone."""
    return f"{settings.group}-workers-{incarnation_code(orders_topic_id):08x}"

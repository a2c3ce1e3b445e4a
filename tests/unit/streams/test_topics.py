"""What the deployment's topics must be."""

from __future__ import annotations

from clv.settings import Settings
from clv.topics import ORDERS
from streams.topics import TopicProblem, partition_count, specs


def test_every_topic_and_the_changelog_is_specified() -> None:
    """The deployment has the seven public topics and its group's changelog, which compacts."""
    found = {spec.name: spec.policy for spec in specs(Settings(group="shop"))}

    assert found == {
        "clv.orders.v1": "delete",
        "clv.scores.v1": "compact",
        "clv.segment-changes.v1": "delete",
        "clv.training-examples.v1": "delete",
        "clv.dead-letters.v1": "delete",
        "clv.budget-signals.v1": "delete",
        "clv.models.v1": "compact",
        "shop-customers-changelog": "compact",
    }


def test_the_changelog_is_partitioned_as_the_orders_are() -> None:
    """A table's changelog has exactly the source's partition count, and broadcast topics have one."""
    settings = Settings(partitions=6)

    found = {spec.name: partition_count(spec, settings) for spec in specs(settings)}

    assert found["clv.orders.v1"] == 6
    assert found["clv-customers-changelog"] == 6
    assert found["clv.models.v1"] == 1


def test_a_problem_reads_as_a_sentence() -> None:
    """A problem's text names the topic, what it has and what it needs."""
    problem = TopicProblem("clv.orders.v1", "3 partitions", "4 (CLV_PARTITIONS)", "delete it", is_fatal=True)
    missing = TopicProblem("clv.orders.v1", "", "to exist", "create it", is_fatal=True)

    assert str(missing) == "topic clv.orders.v1 is missing"
    assert str(problem) == "topic clv.orders.v1 has 3 partitions, needs 4 (CLV_PARTITIONS)"


def test_a_retention_that_is_set_counts() -> None:
    """Topics that the setting names keep records so long, the others as ever."""
    kept = {spec.name: spec.retention_ms for spec in specs(Settings(topic_retention=f"{ORDERS}=2d"))}
    default = {spec.name: spec.retention_ms for spec in specs(Settings())}
    assert kept == default | {ORDERS: 2 * 86_400_000}

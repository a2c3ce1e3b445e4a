"""docs/observability.md names every metric that there is, and none that there is not."""

from __future__ import annotations

import re

import pytest

from tests.docs import pages
from tests.docs.metrics_table import table, tables
from tests.metrics_catalogue import ROLES, Described, catalogue

PAGE = "docs/observability.md"
UNITS = ("_seconds", "_total", "_ratio", "_records", "_rows", "_bytes", "_info", "_per_second", "_up")
COUNTED = {"clv_customers", "clv_dead_letters", "clv_ads_audiences", "clv_audience_members", "clv_audience_rejected"}
"""Gauges that count what their name says."""
WITHOUT_UNIT = {"clv_predicted_value", "clv_audience_ready"}
"""Money in the reporting currency, and a yes or no."""
BOUNDED = {
    *("partition", "outcome", "reason", "step", "source", "topic", "what", "kind", "cause", "detector", "model"),
    *("platform", "change", "status", "audience", "role", "instance", "version", "method", "path"),
}


@pytest.fixture(scope="module")
def metrics() -> dict[str, list[Described]]:
    """Every role's metrics."""
    return catalogue()


def test_the_tables_are_those_of_the_registries(metrics: dict[str, list[Described]]) -> None:
    """Name, kind, labels and meaning of each; ``python -m tests.docs.metrics_table`` makes them anew."""
    assert tables(pages.text_of(PAGE)) == {role: table(metrics[role]) for role in ROLES}


def test_names_have_units_and_labels_are_few(metrics: dict[str, list[Described]]) -> None:
    """Every name is ours and ends in a base unit; no label could hold a customer; two roles never mean two things."""
    found = [metric for of_role in metrics.values() for metric in of_role]

    assert [each.name for each in found if not re.fullmatch(r"clv_[a-z_]+", each.name)] == []
    plain = {each.name for each in found if not each.name.endswith(UNITS)}
    assert plain == COUNTED | WITHOUT_UNIT
    assert {label for each in found for label in each.labels} <= BOUNDED
    assert len({each.name for each in found}) == len(set(found))


def test_the_page_names_only_metrics_that_exist(metrics: dict[str, list[Described]]) -> None:
    """Metrics in a sentence, on this page or another, are metrics of the tables."""
    known = {metric.name for of_role in metrics.values() for metric in of_role}
    named = {
        (name, found)
        for name in ("docs/observability.md", "docs/deployment.md", "docs/ads-platforms.md")
        for code in pages.inline_code(name)
        for found in re.findall(r"^clv_[a-z_]+(?=$|\{)", code)
    }

    assert {found for _, found in named} - known - {"clv_orders_waiting"} == set()

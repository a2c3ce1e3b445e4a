"""What ``clv plan`` reckons with is what was measured, and what it foretells is what was measured elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from clv import measured
from clv.capacity import plan
from clv.demand import Demand
from clv.measured import Figure
from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES
from tests.conftest import ROOT
from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = ROOT / "docs" / "performance"
DAY_SECONDS = 86_400
TOLERANCE = 0.15
"""Within which docs/capacity.md says that the plan foretells."""
START_MB = 100
"""How much a small worker's memory may differ."""


@cache
def report(name: str) -> dict[str, Any]:
    """Return a benchmark's committed result."""
    found: dict[str, Any] = json.loads((FILES / name).read_text(encoding="utf-8"))
    return found


def figures(held: object) -> Iterator[Figure]:
    """Yield the figures in a value, however deep."""
    if isinstance(held, Figure):
        yield held
    elif isinstance(held, dict):
        for each in held.values():
            yield from figures(each)


ALL = [figure for held in vars(measured).values() for figure in figures(held)]
SHOPS = report(measured.SCORES_SEEN.file)["shops"]
CHECKED = [pytest.param(shop, id=f"{shop['customers']}x{shop['orders']}") for shop in SHOPS[1:]]


@pytest.mark.parametrize("figure", ALL, ids=lambda figure: f"{figure.file}:{'.'.join(map(str, figure.path))}")
def test_every_figure_is_the_one_in_its_file(figure: Figure) -> None:
    """The committed result of the benchmark has the number, at the place that is named."""
    found: Any = report(figure.file)
    for step in figure.path:
        found = found[step]
    assert found == figure.value


def test_there_are_figures() -> None:
    """The test above looks at all of them."""
    assert len(ALL) > 30
    assert len(SHOPS) > 1


def test_figures_from_pages_are_what_the_pages_say() -> None:
    """Memory of the other roles, and bytes of an open label."""
    rows = re.findall(r"^\| `clv (\w+)` \|.*\| (\d+) MiB \|", pages.text_of("docs/deployment.md"), re.MULTILINE)
    in_page = {name: int(figure) for name, figure in rows}
    assert {name: in_page[name] for name in measured.ROLE_MIB} == measured.ROLE_MIB
    assert f"an open label\ntakes {measured.LABEL_BYTES}" in pages.text_of("docs/performance.md")


def demand_of(shop: dict[str, Any], database: str) -> Demand:
    """Return the demand that a measured shop was."""
    return Demand(
        customers=shop["customers"],
        orders_per_second=shop["orders"] / shop["days"] / DAY_SECONDS,
        peak=1.0,
        retention_days=shop["days"],
        open_days=shop["days"],
        database=database,
        replication=1,
    )


@pytest.mark.parametrize("shop", CHECKED)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_database_is_as_large_as_foretold(shop: dict[str, Any], database: str) -> None:
    """For shops other than the one that the figures come from."""
    foretold = plan(demand_of(shop, database))
    tables = shop["sql"][database]["tables"]
    seen = sum(table["rows"] * table["bytes_per_row"] for table in tables.values())
    assert foretold["sql"].value * 1e9 == pytest.approx(seen, rel=TOLERANCE)


@pytest.mark.parametrize("shop", CHECKED)
def test_topics_are_as_large_as_foretold(shop: dict[str, Any]) -> None:
    """Those of cleanup *delete*; and as many scores and examples as silences and horizon let be."""
    foretold, topics = plan(demand_of(shop, "sqlite")), shop["topics"]
    seen = sum(
        topics[name]["records"] * topics[name]["bytes_per_record"]
        for name in (ORDERS, SEGMENT_CHANGES, TRAINING_EXAMPLES)
    )
    scores = topics[SCORES]["records"] / topics[ORDERS]["records"]
    examples = shop["sql"]["sqlite"]["tables"]["training_examples"]["rows"] / shop["orders"]
    assert foretold["broker_deleted"].value * 1e9 == pytest.approx(seen, rel=TOLERANCE)
    assert 1 + foretold["silences"].value == pytest.approx(scores, rel=TOLERANCE)
    assert foretold["examples"].value == pytest.approx(examples, rel=TOLERANCE)


@pytest.mark.parametrize("shop", CHECKED)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_worker_that_starts_holds_what_was_foretold(shop: dict[str, Any], store: str) -> None:
    """Within 100 MiB: at these sizes most is the worker's own, which differs from start to start."""
    it = demand_of(shop, "sqlite")
    foretold = plan(replace(it, store=store))
    assert foretold["workers"].value == 1
    assert foretold["worker_memory"].value * 1e9 / 2**20 == pytest.approx(shop["resident_mb"][store], abs=START_MB)


MEMORY = [
    pytest.param(store, int(size), found["resident_mb"], id=f"{path.name}, {store}, {size}")
    for path in sorted(FILES.glob("*-memory*.json"))
    for store, sizes in report(path.name)["stores"].items()
    for size, found in sizes.items()
    if int(size) not in measured.CUSTOMER_MEMORY[store]
]


@pytest.mark.parametrize(("store", "customers", "seen_mb"), MEMORY)
def test_memory_is_as_large_as_foretold(store: str, customers: int, seen_mb: float) -> None:
    """For every measured number of customers that the plan was not calibrated with, four orders each."""
    it = Demand(
        customers=customers,
        orders_per_second=customers / (80 * DAY_SECONDS),  # as the changelog's customers ordered
        orders_per_customer=4,
        store=store,
    )
    foretold = plan(it)
    assert foretold["worker_memory"].value * 1e9 / 2**20 == pytest.approx(seen_mb, rel=TOLERANCE)

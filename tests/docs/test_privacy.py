"""docs/privacy.md maps every table and topic; what an erasure searches is every table that names a customer."""

from __future__ import annotations

import re

from clv.retention import AGED_TABLES, DELETED_TOPICS
from clv.settings import Settings
from storage.erasure import BY_ADS, BY_SINK
from storage.tables import metadata
from streams.topics import specs
from tests.docs import pages

_ROW = re.compile(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {
    name: row for row in _ROW.findall(pages.text_of("docs/privacy.md")) for name in re.findall(r"`([^`]+)`", row[0])
}


def test_every_table_and_topic_is_mapped() -> None:
    """Each has a place in one of the two tables, and nothing else has."""
    expected = {*metadata.tables, *(spec.name for spec in specs(Settings()))}
    assert expected == set(ROWS)


def test_what_can_be_set_is_said_to_be() -> None:
    """Rows say "as set" of exactly those that the settings accept."""
    said = {name for name, (_, _, kept) in ROWS.items() if "as set" in kept}
    assert said == {*AGED_TABLES, *DELETED_TOPICS}


def test_every_table_that_names_a_customer_is_searched() -> None:
    """A table with a column for ids of customers is one that sink or ads role empties, and the map says so."""
    named = {name for name, table in metadata.tables.items() if "customer_id" in table.columns}
    assert named == {table.name for table in (*BY_SINK, *BY_ADS)}
    assert [name for name in named if ROWS[name][1].startswith("None")] == []

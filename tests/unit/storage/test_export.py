"""What exported columns are called."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clv.features import FEATURE_NAMES
from storage import tables
from storage.export import EXPORT_NAMES, ExportName, export_columns


def test_customers_begin_with_what_people_look_for() -> None:
    """The first columns of customers are the product's."""
    expected = ["customer_id", "order_count", "revenue", "refunded", "first_order_at", "last_order_at"]
    expected += ["clv", "clv_lower", "clv_upper", "segment"]
    assert list(export_columns("customers"))[:10] == expected


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_no_two_columns_become_one(name: ExportName) -> None:
    """Renaming loses no column."""
    table = tables.training_examples if name == "examples" else tables.metadata.tables[name.replace("-", "_")]
    more = len(FEATURE_NAMES) - 1 if name == "examples" else 0
    assert len(export_columns(name)) == len(table.columns) + more


def test_features_are_columns_of_their_own() -> None:
    """Training examples can be read without knowing the order of the features."""
    assert set(FEATURE_NAMES) < set(export_columns("examples"))


def test_numbers_money_and_text_are_told_apart() -> None:
    """Examples keep numbers in minor units; elsewhere money is decimal text; moments are text."""
    examples, customers = export_columns("examples"), export_columns("customers")
    assert [examples[name] for name in ("value_minor", "btyd_minor", "horizon_days", "as_of")] == [int, float, int, str]
    assert [customers[name] for name in ("clv", "btyd", "order_count", "customer_id")] == [Decimal, Decimal, int, str]
    assert export_columns("dead-letters")["value"] is bytes

"""What exported columns are called."""

from __future__ import annotations

import pytest

from clv.features import FEATURE_NAMES
from storage.export import EXPORT_NAMES, ExportName, export_columns


def test_customers_begin_with_what_people_look_for() -> None:
    """The first columns of customers are the product's."""
    expected = ["customer_id", "order_count", "revenue", "refunded", "first_order_at", "last_order_at"]
    expected += ["clv", "clv_lower", "clv_upper", "segment"]
    assert export_columns("customers")[:10] == expected


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_no_column_appears_twice(name: ExportName) -> None:
    """Renaming makes no two columns the same."""
    columns = export_columns(name)
    assert len(set(columns)) == len(columns)


def test_features_are_columns_of_their_own() -> None:
    """Training examples can be read without knowing the order of the features."""
    assert set(FEATURE_NAMES) < set(export_columns("training-examples"))

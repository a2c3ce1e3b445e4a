"""How long things are kept, read from settings."""

from __future__ import annotations

import pytest

from clv.errors import ConfigError
from clv.retention import table_retention_ms, topic_retention_ms
from clv.rules import DAY_MS
from clv.settings import Settings


def test_names_and_days() -> None:
    """Days become milliseconds, never becomes -1, spaces do not matter."""
    kept = topic_retention_ms("clv.orders.v1=900d, clv.dead-letters.v1=never")
    assert kept == {"clv.orders.v1": 900 * DAY_MS, "clv.dead-letters.v1": -1}
    assert table_retention_ms("") == {}


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("CLV_TABLE_RETENTION", "customers=3d", "'customers' has no retention to set"),
        ("CLV_TABLE_RETENTION", "scores=3", "'scores=3' is no number of days"),
        ("CLV_TABLE_RETENTION", "scores=0d", "'scores=0d' is no number of days"),
        ("CLV_TABLE_RETENTION", "scores=-1d", "'scores=-1d' is no number of days"),
        ("CLV_TABLE_RETENTION", "scores=3d,scores=4d", "names scores twice"),
        ("CLV_TABLE_RETENTION", "scores", "'scores' is no number of days"),
        ("CLV_TOPIC_RETENTION", "clv.scores.v1=3d", "'clv.scores.v1' has no retention to set"),
        ("CLV_TOPIC_RETENTION", "clv.orders.v1=99999999999d", "is no number of days"),
    ],
)
def test_what_cannot_be_is_refused_by_name(variable: str, text: str, says: str) -> None:
    """The process does not start, and the message names the setting and the part."""
    with pytest.raises(ConfigError) as refused:
        Settings.from_env({variable: text})
    assert variable in str(refused.value)
    assert says in str(refused.value)

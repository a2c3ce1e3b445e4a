"""Which databases are accepted, and that passwords stay hidden."""

from __future__ import annotations

import pytest

from clv.errors import ConfigError
from storage.engine import Database


def test_a_password_is_never_shown() -> None:
    """What is logged about a database holds no password."""
    assert Database("postgresql://clv:hunter2@db/clv").location == "postgresql+psycopg://clv:***@db/clv"


@pytest.mark.parametrize("url", ["", "hunter2", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    """An unreadable URL, another database, or one that would vanish with the process is a wrong setting."""
    with pytest.raises(ConfigError, match="CLV_DATABASE_URL") as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)

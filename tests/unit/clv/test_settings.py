"""Settings from the environment."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clv.errors import ConfigError
from clv.rules import DAY_MS, Rules
from clv.settings import HOUR_MS, Settings


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CLV_PARTITIONS", "0"),
        ("CLV_PARTITIONS", "four"),
        ("CLV_REPLICATION", "-1"),
        ("CLV_STORE", "redis"),
        ("CLV_CURRENCY", "dollars"),
        ("CLV_HORIZON_DAYS", "0"),
        ("CLV_HORIZON_DAYS", "90.5"),
        ("CLV_ALLOWED_LATENESS", "24"),
        ("CLV_ALLOWED_LATENESS", "-1h"),
        ("CLV_ALLOWED_LATENESS", "1 week"),
        ("CLV_DUPLICATE_WINDOW_DAYS", "0"),
        ("CLV_FAR_AHEAD_DAYS", ""),
        ("CLV_MARGIN", "0"),
        ("CLV_MARGIN", "1.01"),
        ("CLV_MARGIN", "nan"),
        ("CLV_BUDGET_TOTAL", "lots"),
        ("CLV_BUDGET_TOTAL", "-1"),
        ("CLV_BUDGET_TOTAL", "1.001"),
        ("CLV_REFIT_DAYS", "0"),
        ("CLV_BATCH_RECORDS", "0"),
        ("CLV_LOG_FORMAT", "xml"),
        ("CLV_LOG_LEVEL", "loud"),
        ("CLV_KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("CLV_KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("CLV_HORIZONDAYS", "90"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, text: str) -> None:
    """Each setting that cannot work, and each misspelt one, is refused by name."""
    with pytest.raises(ConfigError, match=variable):
        Settings.from_env({variable: text})


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [("0s", 0), ("500ms", 500), ("90 m", 90 * 60_000), ("36h", 36 * HOUR_MS), ("2d", 2 * DAY_MS)],
)
def test_durations(text: str, expected_ms: int) -> None:
    """A duration is a whole number with its unit."""
    assert Settings.from_env({"CLV_ALLOWED_LATENESS": text}).allowed_lateness_ms == expected_ms


def test_other_variables_are_not_ours() -> None:
    """What does not begin with CLV_, and what tests and tools use, is left alone."""
    assert Settings.from_env({"PATH": "/bin", "CLV_TEST_KAFKA": "x", "CLV_REQUIRE_SERVERS": "1"}) == Settings()


def test_values_have_their_types() -> None:
    """Numbers, paths and texts are read as what they are."""
    given = {"CLV_DATA_DIR": "/tmp/clv", "CLV_MARGIN": "0.35", "CLV_PARTITIONS": "12", "CLV_BROKER": "a:1,b:2"}
    expected = Settings(data_dir=Path("/tmp/clv"), margin=0.35, partitions=12, broker="a:1,b:2")
    assert expected == Settings.from_env(given)


def test_settings_do_not_change() -> None:
    """A setting is read once."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().partitions = 5  # type: ignore[misc]  # the point of the test


def test_secrets_do_not_show() -> None:
    """Neither the Kafka password nor a password inside the database's URL is in what a log would print."""
    settings = Settings(kafka_password="hush", database_url="postgresql://u:hush@h/d")
    assert "hush" not in repr(settings)


def test_where_the_database_is() -> None:
    """SQLite under the data directory unless a URL is given."""
    assert Settings(data_dir=Path("/tmp/clv")).sql_url == "sqlite:////tmp/clv/clv.db"
    assert Settings(database_url="postgresql://h/d").sql_url == "postgresql://h/d"


def test_every_setting_says_what_it_means() -> None:
    """Documentation is made from the meanings."""
    assert all(field.metadata["meaning"] for field in dataclasses.fields(Settings))


def test_rules_are_taken_from_the_settings() -> None:
    """The core's numbers are the settings', in milliseconds and minor units."""
    settings = Settings(
        currency="JPY", horizon_days=30, allowed_lateness_ms=5, duplicate_window_days=2, far_ahead_days=3
    )
    expected = Rules(
        currency="JPY", digits=0, horizon_ms=30 * DAY_MS, lateness_ms=5, window_ms=2 * DAY_MS, far_ahead_ms=3 * DAY_MS
    )
    assert expected == Rules.from_settings(settings)
    assert expected.horizon_days == 30

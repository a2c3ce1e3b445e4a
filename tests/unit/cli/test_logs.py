"""Log lines: readable or JSON, on standard error, without secrets."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from cli import logs
from clv.settings import Settings


def test_json_lines_carry_level_name_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is one JSON object with the event and its fields."""
    logs.configure(Settings(log_format="json"))

    structlog.get_logger("streams.sink").info("rows stored", rows=3)

    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "rows stored", "level": "info", "logger": "streams.sink", "rows": 3}


def test_readable_lines_are_key_equals_value(capsys: pytest.CaptureFixture[str]) -> None:
    """A readable line has the event first and then key=value."""
    logs.configure(Settings())

    structlog.get_logger("streams.sink").warning("database locked", attempt=2)

    shown = capsys.readouterr().err
    assert "database locked" in shown
    assert "attempt=2" in shown


def test_libraries_speak_from_warning_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Faust's and aiokafka's info lines are dropped; their warnings go through the same format, under a short name."""
    logs.configure(Settings(log_format="json"))

    logging.getLogger("aiokafka.consumer.fetcher").info("fetching")
    logging.getLogger("aiokafka.consumer.fetcher").warning("partition %d is stuck", 3)

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["logger"]) == ("partition 3 is stuck", "aiokafka")


def test_a_level_below_the_set_one_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """CLV_LOG_LEVEL=error drops warnings."""
    logs.configure(Settings(log_level="error"))

    structlog.get_logger("streams.sink").warning("database locked")

    assert capsys.readouterr().err == ""


def test_secrets_are_blanked(capsys: pytest.CaptureFixture[str]) -> None:
    """A password in a URL, in a field, in a library's line or in a traceback never reaches the log."""
    logs.configure(Settings(log_format="json"))
    url = "postgresql://me:hunter2@db:5432/clv"

    structlog.get_logger("x").info(f"connecting to {url}", url=url, kafka_password="hunter2")
    logging.getLogger("sqlalchemy").warning("cannot reach %s", url)
    structlog.get_logger("x").error("failed", exc_info=ValueError(url))

    shown = capsys.readouterr().err
    assert "hunter2" not in shown
    assert shown.count("me:***@db:5432/clv") == 4


def test_kafka_python_never_prints_its_settings() -> None:
    """Below its errors it logs configurations with the SASL password in them, even at our debug level."""
    logs.configure(Settings(log_level="debug"))
    assert logging.getLogger("kafka").level == logging.ERROR
    assert logging.getLogger("aiokafka").level == logging.DEBUG


@pytest.mark.parametrize("name", ["aiokafka.conn", "sqlalchemy.engine.Engine"])
def test_no_library_writes_out_records(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that put whole records and rows into their debug lines keep silent there, and warn as before."""
    logs.configure(Settings(log_level="debug"))
    logging.getLogger(name).debug("Row %r", ("jane@example.org",))
    logging.getLogger(name).warning("connection lost")

    said = capsys.readouterr().err
    assert "jane" not in said
    assert "connection lost" in said

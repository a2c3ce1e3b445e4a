"""Secrets from files instead of from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clv.errors import ConfigError
from clv.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

URL = "postgresql+psycopg://clv:hush@db/clv"
SECRETS = [
    "CLV_DATABASE_URL",
    "CLV_IDENTITY_URL",
    "CLV_SUPPRESSION_KEY",
    "CLV_META_ACCESS_TOKEN",
    "CLV_GOOGLE_ACCESS_TOKEN",
    "CLV_TIKTOK_ACCESS_TOKEN",
    "CLV_KAFKA_PASSWORD",
]


@pytest.mark.parametrize("variable", SECRETS)
def test_every_secret_may_come_from_a_file(variable: str, tmp_path: Path) -> None:
    """A file's content is the same setting as the same text in the environment."""
    file = tmp_path / "secret"
    file.write_text("hush", encoding="utf-8")

    assert Settings.from_env({variable: "hush"}) == Settings.from_env({f"{variable}_FILE": str(file)})


@pytest.mark.parametrize("variable", ["CLV_BROKER", "CLV_KAFKA_USERNAME", "CLV_CURRENCY"])
def test_what_is_no_secret_has_no_file(variable: str) -> None:
    """A ``_FILE`` of any other setting is a typo, and refused."""
    with pytest.raises(ConfigError, match=f"{variable}_FILE is not a setting"):
        Settings.from_env({f"{variable}_FILE": "/run/secrets/it"})


@pytest.mark.parametrize("content", [URL, f"{URL}\n", f"{URL}\r\n"], ids=["bare", "line", "line of Windows"])
def test_one_line_break_at_the_end_is_not_part_of_the_secret(content: str, tmp_path: Path) -> None:
    """Editors end a file with a line break; blanks may belong to a password and stay."""
    file = tmp_path / "url"
    file.write_bytes(content.encode())

    assert Settings.from_env({"CLV_DATABASE_URL_FILE": str(file)}).database_url == URL


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hush\nhush\n", "several lines"),
        (b"hush\xff", "not text"),
        (b"hush" * 20_000, "more than 65536 bytes"),
    ],
    ids=["absent", "empty", "line break alone", "two lines", "bytes", "large"],
)
def test_a_file_that_cannot_be_a_secret_is_refused_without_showing_it(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    """The message names the variable and what is wrong; a wrong file never becomes an embedded broker or SQLite."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=f"CLV_KAFKA_PASSWORD_FILE: .*{says}") as caught:
        Settings.from_env({"CLV_KAFKA_PASSWORD_FILE": str(file)})

    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    """What Docker makes where a mounted file does not exist is refused."""
    with pytest.raises(ConfigError, match="Is a directory"):
        Settings.from_env({"CLV_DATABASE_URL_FILE": str(tmp_path)})


def test_both_forms_together_are_refused(tmp_path: Path) -> None:
    """Nobody should have to know which one counts; an empty variable counts as not set."""
    file = tmp_path / "url"
    file.write_text(URL, encoding="utf-8")

    with pytest.raises(ConfigError, match="CLV_DATABASE_URL and CLV_DATABASE_URL_FILE are both set"):
        Settings.from_env({"CLV_DATABASE_URL": "sqlite://", "CLV_DATABASE_URL_FILE": str(file)})

    empty = Settings.from_env(
        {"CLV_DATABASE_URL": "", "CLV_DATABASE_URL_FILE": str(file), "CLV_KAFKA_PASSWORD_FILE": ""}
    )
    assert empty == Settings(database_url=URL)


def test_a_child_gets_the_values_whatever_files_its_parent_was_given(tmp_path: Path) -> None:
    """Settings handed on lie over an environment that still names the files."""
    file = tmp_path / "url"
    file.write_text(URL, encoding="utf-8")
    environ = {"CLV_DATABASE_URL_FILE": str(file)}
    settings = Settings.from_env(environ)

    assert Settings.from_env(environ | settings.to_env()).database_url == URL

"""docs/settings.md explains every setting with its true default, and pages name no setting that does not exist."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from clv.settings import Settings
from tests.conftest import ROOT
from tests.docs import pages

ROW = re.compile(r"^\| `(CLV_[A-Z_]+)` \| (empty|`[^`]+`) \| (.+) \|$", re.MULTILINE)
FILE_ROW = re.compile(r"^\| `(CLV_[A-Z_]+)` \| `(CLV_[A-Z_]+)` \|$", re.MULTILINE)
FILE_ROWS = FILE_ROW.findall(pages.text_of("docs/settings.md"))
ROWS = ROW.findall(pages.text_of("docs/settings.md"))
FOR_TOOLS = {"CLV_TEST_POSTGRES_URL", "CLV_TEST_KAFKA", "CLV_REQUIRE_SERVERS", "CLV_BROKER_BIN"}


def test_every_setting_has_one_row() -> None:
    """The table has a row with an explanation for each field of Settings, in the same order, and no other."""
    expected = [f"CLV_{field.name.removesuffix('_ms').upper()}" for field in fields(Settings)]

    assert expected == [variable for variable, _, _ in ROWS]
    assert [variable for variable, _, meaning in ROWS if len(meaning) < 10] == []


def test_the_defaults_are_true() -> None:
    """An environment with every default of the table gives the same settings as an empty one."""
    environ = {variable: "" if default == "empty" else default.strip("`") for variable, default, _ in ROWS}

    assert Settings() == Settings.from_env(environ)


def test_every_secret_has_its_file_in_the_table() -> None:
    """The table of files names each setting that is a secret, in the settings' order, and no other."""
    secrets = [f"CLV_{field.name.upper()}" for field in fields(Settings) if field.metadata["secret"]]

    assert [(f"{name}_FILE", name) for name in secrets] == FILE_ROWS


@pytest.mark.parametrize("name", pages.PAGE_NAMES)
def test_pages_name_only_settings_that_exist(name: str) -> None:
    """Each CLV_ variable that a page mentions is a setting, or one for tests and tools."""
    known = {variable for variable, _, _ in ROWS} | {file for file, _ in FILE_ROWS} | FOR_TOOLS
    named = set(re.findall(r"\bCLV_[A-Z_]*[A-Z]\b", (ROOT / name).read_text(encoding="utf-8")))

    assert set() == named - known

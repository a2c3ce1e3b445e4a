"""docs/dependencies.md explains every direct dependency, and no other."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_direct_dependency_is_explained_and_no_other() -> None:
    """The page's table has a row with a reason for each name that pyproject.toml declares."""
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=~! ]", requirement, maxsplit=1)[0] for requirement in declared}
    page = (ROOT / "docs" / "dependencies.md").read_text()

    explained = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", page, re.MULTILINE))

    assert set(explained) == names
    assert [name for name, why in explained.items() if len(why) < 30] == []


def test_every_declared_dependency_is_locked() -> None:
    """The lock file holds each direct dependency, with hashes and without addresses."""
    lock = (ROOT / "requirements.lock").read_text()
    locked = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==", lock, re.MULTILINE)}
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=~!\[ ]", requirement, maxsplit=1)[0].lower() for requirement in declared}

    assert names - locked == set()
    assert "://" not in lock
    assert "--hash=sha256:" in lock

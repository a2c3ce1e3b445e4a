"""docs/api.md names every path with its scope, and every type of problem with its status; no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from api.main import create_app
from api.problems import KINDS
from clv.settings import Settings
from tests.docs import pages

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = pages.text_of("docs/api.md")
PATHS = re.findall(r"^\| `((?:GET|POST) /\S+)` \| (\w+) \| \S.+ \|$", PAGE, re.MULTILINE)
PROBLEMS = re.findall(r"^\| `urn:clv:problem:([a-z-]+)` \| ([0-9]{3}) \| \S.+ \|$", PAGE, re.MULTILINE)


def test_every_path_has_a_row(tmp_path: Path) -> None:
    """The table's paths are the document's, and those that need a key say which scope."""
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    operations: dict[str, dict[str, Any]] = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert sorted(operations) == sorted(path for path, _ in PATHS)
    assert {path for path, scope in PATHS if scope == "open"} == {
        path for path, operation in operations.items() if not operation.get("security")
    }


def test_every_problem_has_a_row() -> None:
    """The table's types and statuses are the code's."""
    assert dict(PROBLEMS) == {kind: str(status) for kind, (status, _) in KINDS.items()}


def test_the_dashboard_page_shows_pictures_that_are_there(pytestconfig: pytest.Config) -> None:
    """Each picture of docs/dashboard.md is in the repository."""
    named = re.findall(r"\]\((dashboard/\S+\.jpg)\)", pages.text_of("docs/dashboard.md"))
    assert len(named) >= 8
    assert [name for name in named if not (pytestconfig.rootpath / "docs" / name).is_file()] == []

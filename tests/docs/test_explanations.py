"""The page on explanations names the groups as the code has them."""

from __future__ import annotations

import re

from models.hybrids import GROUPS
from tests.docs.pages import text_of


def test_every_group_is_documented_with_its_features() -> None:
    """In the code's order, and none that there is not."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\| (.+) \|$", text_of("docs/explanations.md"), re.MULTILINE)
    assert {name: tuple(re.findall(r"`(\w+)`", features)) for name, features in rows} == GROUPS
    assert [name for name, _ in rows] == list(GROUPS)

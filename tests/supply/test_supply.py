"""The audit does not pass over what it could not ask, and the bill of materials names what the product runs on."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.supply import audit, sbom

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 28)
BAD: dict[str, Any] = {
    "name": "left",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}],
}
GOOD: dict[str, Any] = {"name": "right", "version": "2.0", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "odd", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "ignored", "expected"),
    [
        ([GOOD], [], audit.CLEAN),
        ([GOOD, BAD], [], audit.VULNERABLE),
        ([GOOD, BAD], [{"id": "CVE-1", "reason": "not called", "until": "2026-12-31"}], audit.CLEAN),
        ([GOOD, BAD], [{"id": "CVE-1", "reason": "not called", "until": "2026-11-27"}], audit.VULNERABLE),
        ([GOOD, UNKNOWN], [], audit.CLEAN),
        ([UNKNOWN], [], audit.NOT_REACHABLE),
    ],
    ids=["clean", "vulnerable", "ignored", "ignored-no-longer", "one-unknown", "all-unknown"],
)
def test_a_known_vulnerability_fails_unless_it_is_ignored(
    packages: list[dict[str, Any]], ignored: list[dict[str, str]], expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """An ignored advisory has a reason and a last day, and what was not audited is named."""
    assert audit.report(packages, ignored, TODAY) == expected
    assert ("NOT AUDITED, unknown to the service: odd" in capsys.readouterr().out) == (UNKNOWN in packages)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ('{"dependencies": [{"name": "pyjwt", "skip_reason": "not found"}]}', "NOT REACHABLE"),
        ('{"dependencies": [{"name": "pyjwt", "version": "1.5.0", "vulns": []}]}', "NOT REACHABLE"),
        ("", "NOT REACHABLE"),
    ],
    ids=["knows-nothing", "reports-nothing", "no-answer"],
)
def test_a_service_that_knows_nothing_is_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str, says: str
) -> None:
    """pip-audit itself exits with 0 there; the audit says so, and fails unless it is told not to."""
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\necho '{answer}'\n")
    tool.chmod(0o755)
    assert audit.main(["--pip-audit", str(tool)]) == audit.NOT_REACHABLE
    assert audit.main(["--pip-audit", str(tool), "--unreachable-is-no-failure"]) == audit.CLEAN
    assert capsys.readouterr().out.count(says) == 2


def test_the_bill_is_of_what_the_product_runs_on() -> None:
    """The needs' needs are in it, with hashes; the tools of development are not."""
    lines = sbom.run_time_lock()
    names = set(sbom._blocks(lines))
    assert {"faust-streaming", "mode-streaming", "starlette", "psycopg-binary"} <= names
    assert not names & {"pytest", "mypy", "schemathesis", "uv"}
    assert all("--hash=sha256:" in block for block in sbom._blocks(lines).values())
    assert sbom.missing_of({"components": []}) == sorted(names)

"""``python -m tests.supply.audit``: known vulnerabilities of the locked packages, or that nobody could be asked.

pip-audit exits with 0 when the service knows none of the packages. So a package with well-known advisories is asked
about first: a service that reports none for it counts as not reachable, and nothing has been audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOCKS = (ROOT / "requirements.lock", HERE / "tools.lock")
CONTROL = HERE / "control.txt"
SERVICES = ("pypi", "osv")
CLEAN, VULNERABLE, NOT_REACHABLE = 0, 1, 3
_CONTROL_SECONDS = 20
_AUDIT_SECONDS = 300
Packages = list[dict[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    """Audit the locks; 0 clean, 1 vulnerable, 3 not reachable."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply.audit", epilog="example: make audit")
    parser.add_argument("--pip-audit", default=str(ROOT / ".supply" / "bin" / "pip-audit"))
    parser.add_argument(
        "--unreachable-is-no-failure", action="store_true", help="exit with 0 when no service can be asked; it is said"
    )
    options = parser.parse_args(arguments)
    service = next((each for each in SERVICES if is_believable(_ask(options.pip_audit, each, CONTROL))), None)
    if service is None:
        return _not_reachable(
            "no service of advisories answers", exit_with_failure=not options.unreachable_is_no_failure
        )
    found: Packages = []
    for lock in LOCKS:
        packages = _ask(options.pip_audit, service, lock, seconds=_AUDIT_SECONDS)
        if packages is None:
            return _not_reachable(
                f"{service} stopped answering", exit_with_failure=not options.unreachable_is_no_failure
            )
        found += packages
    return report(found, json.loads((HERE / "ignored.json").read_text(encoding="utf-8")), datetime.now(UTC).date())


def is_believable(control: Packages | None) -> bool:
    """Tell whether a service reported the advisories of the package that has some."""
    return any(package.get("vulns") for package in control or ())


def report(packages: Packages, ignored: list[dict[str, str]], today: date) -> int:
    """Say what was found, and return the exit code.

    Parameters
    ----------
    packages
        As pip-audit reports them; one that was skipped has not been audited.
    ignored
        ``id``, ``reason`` and ``until`` of advisories that do not count until that day.
    """
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    by_id = {each["id"]: each for each in ignored if date.fromisoformat(each["until"]) >= today}
    counted = 0
    for package in packages:
        for advisory in package.get("vulns", ()):
            known = next((by_id[name] for name in (advisory["id"], *advisory["aliases"]) if name in by_id), None)
            fixed = ", ".join(advisory["fix_versions"]) or "no release"
            verdict = f"ignored: {known['reason']}" if known else f"mended by {fixed}"
            counted += known is None
            _say(f"{package['name']} {package['version']}: {advisory['id']}, {verdict}")
    if skipped:
        _say(f"NOT AUDITED, unknown to the service: {', '.join(sorted(set(skipped)))}")
    _say(f"audit: {len(packages) - len(skipped)} of {len(packages)} packages audited, {counted} known vulnerabilities")
    return VULNERABLE if counted else NOT_REACHABLE if len(skipped) == len(packages) else CLEAN


def _ask(tool: str, service: str, lock: Path, *, seconds: int = _CONTROL_SECONDS) -> Packages | None:
    """Return what a service says of a lock's packages; None where it does not answer."""
    command = [tool, "--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
    command += ["--timeout", "10", "--vulnerability-service", service, "--requirement", str(lock)]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    try:
        packages: Packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        return None
    return packages


def _not_reachable(why: str, *, exit_with_failure: bool) -> int:
    _say(f"audit: NOT REACHABLE, {why}: nothing was audited, known vulnerabilities would not have been found")
    return NOT_REACHABLE if exit_with_failure else CLEAN


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())

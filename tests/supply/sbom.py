"""``python -m tests.supply.sbom OUT.json``: the bill of materials (CycloneDX) of what the product runs on.

Of the lock's packages those that the product needs, not those that its developers need; checked against the standard's
own schema, and against the lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOL = ROOT / ".supply" / "bin" / "cyclonedx-py"


def main(arguments: list[str]) -> int:
    """Write the bill and check it; 1 with a reason where it is none."""
    out = Path(arguments[0]) if arguments else ROOT / "build" / "sbom.cdx.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        needed = Path(folder) / "requirements.txt"
        needed.write_text(run_time_lock(), encoding="utf-8")
        command = [str(TOOL), "requirements", str(needed), "--pyproject", str(ROOT / "pyproject.toml")]
        command += ["--spec-version", "1.6", "--output-reproducible", "--validate", "--output-file", str(out)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.stderr.write(f"sbom: {made.stderr.strip().splitlines()[-1]}\n")
        return 1
    bill = json.loads(out.read_text(encoding="utf-8"))
    if missing := missing_of(bill):
        sys.stderr.write(f"sbom: without {', '.join(missing)}\n")
        return 1
    sys.stdout.write(f"sbom: {len(bill['components'])} components, CycloneDX {bill['specVersion']}, valid: {out}\n")
    return 0


def run_time_lock() -> str:
    """Return of the lock what the product runs on, with versions and hashes as they are locked."""
    blocks = _blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return "".join(blocks[name] for name in sorted(needed_names()) if name in blocks)


def needed_names() -> set[str]:
    """Return the names of all packages that the product needs, its needs' needs too, as they are installed."""
    found: set[str] = set()
    left = [Requirement(text) for text in requires("clv-scorer") or ()]
    while left:
        wanted = left.pop()
        name = str(canonicalize_name(wanted.name))
        extras = ["", *wanted.extras]
        if name in found and not wanted.extras:
            continue
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        found.add(name)
        try:
            texts = requires(name) or ()
        except PackageNotFoundError:
            continue
        for text in texts:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                inner.marker = None
                left.append(inner)
    return found


def missing_of(bill: dict[str, Any]) -> list[str]:
    """Return the packages that the product needs and the bill does not name, or names without version or hash."""
    named = {part["name"] for part in bill["components"] if part.get("version") and _hashes(part)}
    installed = set(_blocks((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    return sorted((needed_names() & installed) - named)


def _hashes(part: dict[str, Any]) -> list[Any]:
    return [one for reference in part.get("externalReferences", ()) for one in reference.get("hashes", ())]


def _blocks(lock: str) -> dict[str, str]:
    """Return each package's lines of a lock by its name."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = line.split("==")[0].split("[")[0].strip()
        found[name] = found.get(name, "") + line
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""docker-compose.yml as Compose's own parser understands it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yml"


def read_compose(*options: str) -> dict[str, Any]:
    """Return the deployment with all references resolved, none of them by this process's settings."""
    # The package's own entry point answers 0 whatever happens: call the program inside it.
    spec = importlib.util.find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).with_name("docker-compose")
    done = subprocess.run(
        [str(program), "--file", str(COMPOSE_FILE), *options, "config", "--format", "json"],
        env={name: text for name, text in os.environ.items() if not name.startswith("CLV_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))

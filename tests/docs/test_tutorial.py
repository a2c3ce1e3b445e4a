"""What docs/tutorial.md says to type works as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages

TRIED = re.compile(r"^<!-- tried -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = [line for block in TRIED.findall(pages.text_of("docs/tutorial.md")) for line in block.splitlines()]


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_tutorial_runs(tmp_path: Path) -> None:
    """Each line of its marked blocks ends well, in order, in an empty folder; nobody is lost on the way."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
    environ |= {"PATH": f"{Path(sys.executable).parent}:{environ['PATH']}", "CLV_API_PORT": "0"}
    said = {}
    for line in LINES:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        said[line] = done.stdout

    figures = json.loads(next(shown for line, shown in said.items() if line.startswith("clv up")).splitlines()[-1])
    exported = (tmp_path / "customers.csv").read_text(encoding="utf-8").splitlines()
    assert len(exported) - 1 == figures["customers"] == 60
    assert not (tmp_path / ".clv").exists()

"""Import contracts hold, our names are our own, and importing a module does nothing."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
# Faust wants a module-level application, and Alembic runs its environment file; nothing else may act on import.
EXEMPT = {"streams.worker", "storage.migrations.env"}

_WATCH = """
import json, os, socket, sqlite3, sys, threading

acts = []
quiet = True

def watch(event, arguments):
    if quiet:
        return
    if event == "subprocess.Popen" and arguments[0] == "file":
        return  # Faust, imported, asks what machine it runs on
    if event in {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir"}:
        acts.append(f"{event} {arguments[:2]}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        acts.append(f"opened {arguments[0]} to write")

class Environment(dict):
    def _note(self, name):
        if not quiet and isinstance(name, str) and name.startswith("CLV_"):
            acts.append(f"read {name}")
    def __getitem__(self, name):
        self._note(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self._note(name)
        return super().get(name, default)
    def items(self):
        if not quiet and sys._getframe(1).f_globals["__name__"].partition(".")[0] in OURS:
            acts.append("read the whole environment")
        return super().items()

OURS = set(sys.argv[2].split(","))
names = sys.argv[1].split(",")
import importlib
os.environ = Environment(os.environ)
sys.addaudithook(watch)
sys.dont_write_bytecode = True
found = {}
handlers = len(__import__("logging").getLogger().handlers)
threads = threading.active_count()
for name in names:
    acts = []
    quiet = False
    importlib.import_module(name)
    quiet = True
    if threading.active_count() > threads:
        acts.append("started a thread")
        threads = threading.active_count()
    if len(__import__("logging").getLogger().handlers) > handlers:
        acts.append("set up logging")
        handlers = len(__import__("logging").getLogger().handlers)
    if acts:
        found[name] = acts
print(json.dumps(found), flush=True)
os._exit(0)
"""


def modules() -> list[str]:
    """Return the dotted names of all our modules."""
    files = (path for package in PACKAGES for path in (ROOT / package.replace(".", "/")).glob("*.py"))
    names = {str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__") for path in files}
    return sorted(name for name in names if name not in EXEMPT and ".versions." not in name)


def test_import_contracts_hold() -> None:
    """Layers, the pure core and the homes of engines are as declared."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_importing_a_module_does_nothing() -> None:
    """No module connects, writes, starts a thread, sets up logging, or reads our settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _WATCH, ",".join(modules()), ",".join(_top_level())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}


@pytest.mark.parametrize("name", sorted({package.partition(".")[0] for package in PACKAGES}))
def test_a_top_level_name_is_ours_alone(name: str) -> None:
    """No installed distribution brings a package with one of our names."""
    owners = set(importlib.metadata.packages_distributions().get(name, []))

    assert owners <= {"clv-scorer"}
    assert Path(str(__import__(name).__file__)).is_relative_to(ROOT)


def test_every_folder_with_code_is_a_declared_package() -> None:
    """A package that is missing from the distribution would work here and fail when installed."""
    found = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for name in _top_level()
        for path in (ROOT / name).rglob("__init__.py")
    }

    assert found == set(PACKAGES)


@pytest.mark.parametrize("banned", ["utils", "helpers", "common", "misc", "base", "manager", "core"])
def test_no_file_has_a_name_that_says_nothing(banned: str) -> None:
    """A file named for nothing holds everything."""
    assert [name for name in modules() if name.rpartition(".")[2] == banned] == []


def _top_level() -> list[str]:
    return sorted({package.partition(".")[0] for package in PACKAGES})

"""The documentation builds as a site without a warning, loads nothing from elsewhere, and has every page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import ROOT
from tests.docs import cli_page, http_page, pages

if TYPE_CHECKING:
    from pathlib import Path

LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?https?:|<link\b[^>]*\bhref=[\"']?https?:")


def build(site: Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Build the site as ``make docs`` does. With ``--quiet`` MkDocs would count no warnings, strict or not."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_site_builds_without_a_warning_and_stands_alone(tmp_path: Path) -> None:
    """Every link and anchor of every page leads somewhere, and no page asks another host for anything."""
    built = build(tmp_path / "site")

    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    made = list((tmp_path / "site").rglob("*.html"))
    assert len(made) > len(list((ROOT / "docs").rglob("*.md")))
    assert [str(page) for page in made if LOADED.search(page.read_text(encoding="utf-8"))] == []


def test_dead_links_fail_the_build(tmp_path: Path) -> None:
    """The check above sees a page, an anchor and a file of the project that are not there, and nothing else."""
    dead = ["absent.md", "other.md#absent", "../absent.py"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(
        "# One\n\n" + " ".join(f"[x]({to})" for to in [*dead, "other.md#other"])
    )
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    without_pages = re.sub(r"^(nav|not_in_nav):(\n|.*\n)(^ .*\n)*", "", pages.text_of("mkdocs.yml"), flags=re.MULTILINE)
    (tmp_path / "mkdocs.yml").write_text(without_pages.replace("hooks: [", f"hooks: [{ROOT}/"))

    built = build(tmp_path / "site", folder=tmp_path)

    assert built.returncode != 0
    assert [link for link in dead if f"'{link}'" not in built.stderr] == []
    assert built.stderr.count("WARNING") == len(dead)


def test_the_commands_page_is_what_they_say() -> None:
    """The page is the one that ``make reference`` writes: every command and subcommand, with its help."""
    assert cli_page.page() == cli_page.PAGE.read_text(encoding="utf-8")


def test_every_command_has_an_example_in_its_help() -> None:
    """Each command's help, as the page has it, shows a call of it besides its usage."""
    text = cli_page.PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^##+ (clv [^\n]+)\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    assert len(sections) > 40
    assert [name for name, said in sections if " ".join(name.split()[:2]) not in said.partition("\n")[2]] == []


def test_the_api_page_is_what_the_document_says() -> None:
    """The page is the one that ``make reference`` writes: every path, parameter and field."""
    assert http_page.page() == http_page.PAGE.read_text(encoding="utf-8")


def test_every_decision_is_in_their_index() -> None:
    """docs/decisions/README.md links every decision by its title."""
    decisions = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    index = pages.text_of("docs/decisions/README.md")

    titled = [f"[{page.read_text(encoding='utf-8').partition(chr(10))[0].removeprefix('# ')}]" for page in decisions]
    assert [title for title in titled if title not in index] == []
    assert {page.resolve() for page in decisions} <= {
        link.resolve() for link in pages.links("docs/decisions/README.md")
    }

"""README and the pages beside it name only what exists: commands, options, make targets, files."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from cli.registry import COMMANDS
from tests.conftest import ROOT
from tests.docs import pages

if TYPE_CHECKING:
    from tests.docs.pages import Command

CLV = pages.commands("clv")
MAKE = pages.commands("make")
FOLDERS = "clv|models|storage|streams|producers|backtest|cli|tests|examples"
RUN_PAGES = [name for name in pages.PAGE_NAMES if name != "CHANGELOG.md"]


def command_of(name: str) -> Any:
    """Return a ``clv`` command as it parses its arguments; typer brings its own click, whose types are private."""
    module = importlib.import_module(COMMANDS[name])
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    application = typer.Typer(add_completion=False)
    application.command(name)(module.command)
    return typer.main.get_command(application)


def unknown_words(words: tuple[str, ...]) -> list[str]:
    """Return what a ``clv`` command line names that the command does not know."""
    name, *rest = words[1:] or ("",)
    if name.startswith("-"):
        return [] if name in {"--help", "--debug", "--version"} else [name]
    if name not in COMMANDS:
        return [name]
    command = command_of(name)
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return [rest[0]]
        command = command.commands[rest[0]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.partition("=")[0] for word in rest if word.startswith("--")]
    return [option for option in given if option not in known | {"--help"}]


@pytest.mark.parametrize("command", CLV, ids=lambda c: f"{c.page}: {' '.join(c.words)}")
def test_every_clv_command_exists(command: Command) -> None:
    """A ``clv`` command line in a page names a registered command and options that it has."""
    assert unknown_words(command.words) == []


def test_a_made_up_command_is_noticed() -> None:
    """The check above does see an unknown command and an unknown option."""
    assert [
        unknown_words(("clv", "forecast")),
        unknown_words(("clv", "replay", "my.csv", "--fast", "--map=a=b")),
    ] == [["forecast"], ["--fast"]]


def test_the_readme_starts_the_product() -> None:
    """README shows demo and test, the roles, and a file's way in and out."""
    in_readme = {" ".join(c.words[:2]) for c in [*CLV, *MAKE] if c.page == "README.md"}
    wanted = {"make demo", "make test", "clv up", "clv replay", "clv export", "clv worker", "clv trainer", "clv sink"}

    assert set() == wanted - in_readme


@pytest.mark.parametrize("command", MAKE, ids=lambda c: f"{c.page}: {' '.join(c.words)}")
def test_every_make_target_exists(command: Command) -> None:
    """A make command in a page names targets that the Makefile declares."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert set() == {word for word in command.words[1:] if "=" not in word} - targets


def test_what_make_passes_on_exists() -> None:
    """The options in ARGS of a page's ``make demo`` are options of ``clv demo``."""
    passed_on = [
        word.removeprefix("ARGS=").split()
        for command in MAKE
        for word in command.words[1:]
        if "demo" in command.words and word.startswith("ARGS=")
    ]

    assert passed_on
    assert [unknown_words(("clv", "demo", *options)) for options in passed_on] == [[]] * len(passed_on)


@pytest.mark.parametrize("name", pages.PAGE_NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    """A page's relative links are files or folders of the project."""
    assert [str(target) for target in pages.links(name) if not target.exists()] == []


@pytest.mark.parametrize("name", RUN_PAGES)
def test_every_named_source_file_exists(name: str) -> None:
    """A source file that a page names in code is there."""
    named = [code for code in pages.inline_code(name) if re.fullmatch(rf"({FOLDERS})/[\w/]+\.py", code)]

    assert [code for code in named if not (ROOT / code).exists()] == []


def test_pages_are_linked_from_the_readme() -> None:
    """Whoever reads README can reach every page of docs."""
    reached = {target.resolve() for target in pages.links("README.md")}
    docs = [page for page in pages.PAGES if page.parent == ROOT / "docs"]

    assert [str(page) for page in docs if page.resolve() not in reached] == []

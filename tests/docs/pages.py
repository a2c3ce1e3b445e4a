"""The project's pages, and what can be read out of them: commands, links, names."""

from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").glob("*.md")])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")


class Command(NamedTuple):
    """A command line of a page, without assignments before it."""

    page: str
    words: tuple[str, ...]


def text_of(name: str) -> str:
    """Return a page's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def commands(program: str) -> list[Command]:
    """Return every call of a program with arguments in the shell blocks and the inline code of all pages, each once."""
    found = [
        Command(name, words)
        for name in PAGE_NAMES
        for line in _code_lines(text_of(name))
        if len(words := _words(line)) > 1 and words[0] in {program, f".venv/bin/{program}"}
    ]
    return list(dict.fromkeys(found))


def links(name: str) -> list[Path]:
    """Return the files that a page links to."""
    page = ROOT / name
    targets = [target.partition("#")[0] for target in _LINK.findall(text_of(name)) if "://" not in target]
    return [page.parent / target for target in targets if target]


def inline_code(name: str) -> list[str]:
    """Return a page's pieces of inline code."""
    return _INLINE.findall(_FENCE.sub("", text_of(name)))


def shell_blocks(name: str) -> list[str]:
    """Return a page's blocks of shell lines."""
    return blocks(name, "sh")


def blocks(name: str, language: str) -> list[str]:
    """Return a page's blocks of code in a language."""
    return [body for found, body in _FENCE.findall(text_of(name)) if found == language]


def _code_lines(text: str) -> list[str]:
    shell = [body for language, body in _FENCE.findall(text) if language == "sh"]
    return [*"\n".join(shell).splitlines(), *_INLINE.findall(_FENCE.sub("", text))]


def _words(line: str) -> tuple[str, ...]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ()
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    return () if any("…" in word for word in words) else tuple(words)


def table_rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose first column has this heading."""
    lines = iter(text_of(name).splitlines())
    next(line for line in lines if line.startswith(f"| {heading} |"))
    next(lines)
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

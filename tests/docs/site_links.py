"""Makes the site of pages that also read well in the repository: links out of docs lead to copies on the site.

MkDocs calls these hooks (mkdocs.yml). A link to a file elsewhere in the project gets a copy of that file under
``project/``, a link to a folder gets the folder's README.md, or becomes plain text where there is none.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the files outside docs that pages link to."""
    for page in list(files.documentation_pages()):
        for found in _LINK.finditer(page.content_string):
            target = _in_project(page.src_uri, found["target"])
            if not target.startswith("docs/") and (ROOT / target).is_file():
                _add(files, config, target)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point a page's links at what the site has."""
    del config
    here = posixpath.dirname(page.file.src_uri)

    def rewritten(found: re.Match[str]) -> str:
        target = _in_project(page.file.src_uri, found["target"])
        if (ROOT / target).is_dir():
            target = f"{target.rstrip('/')}/README.md"
        on_site = target.removeprefix("docs/") if target.startswith("docs/") else _copy_of(target)
        if files.get_file_from_path(on_site) is None:
            # A folder without README is only named; anything else is left for MkDocs to refuse.
            return found["text"] if target.endswith("/README.md") else found[0]
        return f"[{found['text']}]({posixpath.relpath(on_site, here or '.')}{found['anchor'] or ''})"

    return _LINK.sub(rewritten, markdown)


def _in_project(page: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))


def _copy_of(target: str) -> str:
    """Return a file's place on the site; Markdown is shown as it is written, since its own links are not ours."""
    return f"project/{target}.txt" if target.endswith(".md") else f"project/{target}"


def _add(files: Files, config: MkDocsConfig, target: str) -> None:
    if files.get_file_from_path(_copy_of(target)) is None:
        files.append(File.generated(config, _copy_of(target), content=(ROOT / target).read_bytes()))

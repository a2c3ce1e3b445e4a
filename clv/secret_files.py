"""Secrets from files: ``<NAME>_FILE`` names the file that holds the setting ``<NAME>``, as orchestrators mount them.

Which settings are secrets is ``clv.settings``'s to say; here is only how a file becomes a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUFFIX = "_FILE"
_MOST_BYTES = 65_536


def read_secret_files(environ: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Return the environment with each ``<NAME>_FILE`` of a secret replaced by ``<NAME>`` and the file's content.

    An empty variable counts as not set. One line break at the file's end is not part of the secret.

    Parameters
    ----------
    environ
        Names and texts; others than the secrets' are passed on as they are.
    secrets
        Names of the variables that may come from a file, ``CLV_DATABASE_URL`` for example.

    Raises
    ------
    ConfigError
        Naming the variable, never what a file holds: both forms are set, or the file cannot be read, is empty, has
        several lines or is no text.
    """
    found = dict(environ)
    for name in secrets:
        path = found.pop(name + SUFFIX, "")
        if not path:
            continue
        if found.get(name):
            raise ConfigError(f"{name} and {name}{SUFFIX} are both set", "keep one of them")
        found[name] = _content(name + SUFFIX, Path(path).expanduser())
    return found


def _content(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise ConfigError(
            f"{variable}: {path} cannot be read: {problem.strerror}", "is it mounted, and may this user read it?"
        ) from problem
    if len(raw) > _MOST_BYTES:
        raise ConfigError(f"{variable}: {path} has more than {_MOST_BYTES} bytes", "a secret is one line")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not `from` the error: it carries the bytes, and a traceback would show them.
        raise ConfigError(f"{variable}: {path} is not text in UTF-8") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigError(f"{variable}: {path} is empty", "write the secret into it")
    if "\n" in secret:
        raise ConfigError(f"{variable}: {path} has several lines", "a secret is one line")
    return secret

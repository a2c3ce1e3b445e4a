"""The connector that needs no account: each audience is a CSV file in a directory, replaced as a whole.

Columns: ``customer_id``; ``email_sha256`` and ``phone_sha256`` where an identity is known, by Meta's rules; ``value``
in the reporting currency for an audience with values. A file is what the last whole synchronisation made it: one that
was interrupted leaves it as it was.
"""

from __future__ import annotations

import csv
import os
import re
from typing import TYPE_CHECKING, Literal

from ads.connector import Capabilities, Delivery, NotDone, RemoteAudience, SessionLost
from ads.hashing import META, PhoneFormat
from ads.identity import hashed
from clv.money import to_major

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ads.connector import Member, Replacement
    from ads.identity import Identity
    from clv.audiences import AudienceSpec

CAPABILITIES = Capabilities(
    platform="file",
    most_rows=10_000,
    most_bytes=2**31,
    smallest_audience=1,
    needs_identity=False,
    can_replace=True,
    can_erase=False,
    takes_values=True,
    delta_resets_learning=True,  # there is nothing to learn; but a file is written whole or not at all
    replace_seconds=0,
    phone_format=PhoneFormat.DIGITS,
)
_Line = tuple[str, str, str, str]
_HEADER: _Line = ("customer_id", "email_sha256", "phone_sha256", "value")


class FileConnector:
    """Audiences as CSV files, readable by their owner alone.

    Parameters
    ----------
    folder
        Where they go; made when it is not there.
    digits
        Decimal places of the reporting currency.
    """

    def __init__(self, folder: Path, *, digits: int) -> None:
        self._folder = folder
        self._digits = digits

    @property
    def capabilities(self) -> Capabilities:
        """What files take: anything."""
        return CAPABILITIES

    def identifiers(self, identity: Identity) -> tuple[str, ...]:
        """Return the hashes of address and number, empty text for one that is not known or not one."""
        return hashed(identity, META)

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Return the file's name; an audience is replaced whole."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise NotDone(f"{self._folder} cannot be made: {problem.strerror}", "set CLV_ADS_DIR") from problem
        return RemoteAudience(re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-") + ".csv", is_in_use=True)

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Write the file anew with these members added or changed."""
        lines = self._read(remote_id) | {each.customer_id: self._line(each, spec) for each in members}
        self._write(remote_id, lines.values())
        return Delivery()

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Write the file anew without these members."""
        del spec
        gone = {each.customer_id for each in members}
        self._write(remote_id, (line for name, line in self._read(remote_id).items() if name not in gone))
        return Delivery()

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Write a batch behind the others of its session; the last one takes the file's place."""
        draft = self._folder / f".{remote_id}.{session.session_id}"
        if session.next_batch > 1 and not draft.exists():
            raise SessionLost(f"the draft of {remote_id} is gone", 0)
        try:
            if session.next_batch == 1:
                for old in self._folder.glob(f".{remote_id}.*"):
                    old.unlink(missing_ok=True)
                self._put(draft, [_HEADER], "x")
            self._put(draft, (self._line(each, spec) for each in members), "a")
            if session.is_last:
                draft.replace(self._folder / remote_id)
        except OSError as problem:
            raise SessionLost(f"{remote_id} cannot be written: {problem.strerror}", 0) from problem
        return Delivery()

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Never asked for: ``can_erase`` is false, people leave files by ``remove``."""
        raise NotImplementedError

    def _line(self, member: Member, spec: AudienceSpec) -> _Line:
        email, phone = member.identifiers or ("", "")
        value = to_major(member.value_minor, self._digits) if spec.is_value_based else ""
        return member.customer_id, email, phone, value

    def _read(self, remote_id: str) -> dict[str, _Line]:
        try:
            with (self._folder / remote_id).open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                lines = [(row["customer_id"], row["email_sha256"], row["phone_sha256"], row["value"]) for row in rows]
                return {line[0]: line for line in lines}
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, csv.Error) as problem:
            raise NotDone(f"{remote_id} cannot be read: {problem}", "move it away: it is written anew") from problem

    def _write(self, remote_id: str, lines: Iterable[_Line]) -> None:
        draft = self._folder / f".{remote_id}.new"
        try:
            draft.unlink(missing_ok=True)
            self._put(draft, [_HEADER, *lines], "x")
            draft.replace(self._folder / remote_id)
        except OSError as problem:
            raise NotDone(f"{remote_id} cannot be written: {problem.strerror}", "set CLV_ADS_DIR") from problem

    def _put(self, path: Path, lines: Iterable[_Line], mode: Literal["x", "a"]) -> None:
        with open(path, mode, encoding="utf-8", newline="", opener=_private) as file:  # Path.open has no opener
            csv.writer(file).writerows(lines)
            file.flush()
            os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

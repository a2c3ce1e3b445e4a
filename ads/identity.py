"""Who customers are: e-mail and telephone, read where they are sent and kept nowhere else.

The port and its two adapters. Raw addresses and numbers never leave this process, and are in no log or error.
"""

from __future__ import annotations

import csv
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from ads.hashing import BadIdentifier, HashRules, email_hash, phone_hash
from clv.errors import InputError
from storage.identities import read_identities

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from storage.engine import Database

_TRUE = frozenset({"1", "true", "yes", "y"})
_KNOWN = ("email", "phone", "country", "opted_out")


class Identity(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A customer's e-mail address and telephone number as they were given; empty where unknown.

    ``country`` (ISO 3166-1 alpha-2) is where the number is dialled as it is written. ``has_opted_out`` of advertising:
    such a customer is in no audience.
    """

    email: str = ""
    phone: str = ""
    country: str = ""
    has_opted_out: bool = False

    def __repr__(self) -> str:
        """Say nothing of the person."""
        return "Identity(…)"


def hashed(identity: Identity, rules: HashRules) -> tuple[str, str]:
    """Return a person's address and number as a platform wants them; empty text for one that is unknown or is none.

    Raises
    ------
    BadIdentifier
        When neither can be used; says why, and not what it was.
    """
    found: list[str] = []
    problems: list[BadIdentifier] = []
    for text, make in ((identity.email, email_hash), (identity.phone, partial(phone_hash, country=identity.country))):
        try:
            found.append(make(text, rules) if text else "")
        except BadIdentifier as problem:
            found.append("")
            problems.append(problem)
    if not any(found):
        raise problems[0] if problems else BadIdentifier("no e-mail address or telephone number is known")
    return found[0], found[1]


class IdentitySource(Protocol):
    """Where identities are read.

    ``ads.sync`` asks once for every batch of customers, from one thread. A failure ends the sync, and nothing is sent.
    """

    def find(self, customer_ids: Collection[str]) -> Mapping[str, Identity]:
        """Return what is known of these customers, by id; who is unknown is missing.

        Raises
        ------
        InputError
            When the source cannot be read.
        """
        ...


class CsvIdentities:
    """Identities in a CSV file: ``customer_id``, and of ``email``, ``phone``, ``country``, ``opted_out`` what there is.

    The file is read into memory when it is first asked and whenever it has changed: some 300 bytes a customer. From a
    million customers on a SQL table serves better.

    Parameters
    ----------
    path
        The file, UTF-8.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._found: dict[str, Identity] = {}

    def find(self, customer_ids: Collection[str]) -> Mapping[str, Identity]:
        """Return what the file says of these customers.

        Raises
        ------
        InputError
            When it cannot be read, or has no column ``customer_id``, or a customer twice with different identities.
        """
        try:
            stat = self._path.stat()
            if self._read_at != (stat.st_mtime_ns, stat.st_size):
                self._found = self._read()
                self._read_at = (stat.st_mtime_ns, stat.st_size)
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            says = getattr(problem, "strerror", None) or type(problem).__name__
            raise InputError(f"identities cannot be read from {self._path}: {says}") from None
        return {customer_id: self._found[customer_id] for customer_id in customer_ids if customer_id in self._found}

    def _read(self) -> dict[str, Identity]:
        found: dict[str, Identity] = {}
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            if "customer_id" not in names or not names.keys() & set(_KNOWN):
                raise InputError(
                    f"{self._path} has no columns customer_id and email or phone", "customer_id,email,phone,country"
                )
            for line in reader:
                cells = {known: (line.get(names[known]) or "").strip() for known in _KNOWN if known in names}
                customer_id = line[names["customer_id"]] or ""
                identity = _identity(cells)
                if found.setdefault(customer_id, identity) != identity:
                    raise InputError(f"{self._path}, line {reader.line_num}: a customer comes twice, and differs")
        return found


class SqlIdentities:
    """Identities in a table or view of a SQL database, with the columns of ``CsvIdentities``.

    Parameters
    ----------
    database
        Where the table is.
    table
        Its name, with its schema where it needs one.
    """

    def __init__(self, database: Database, table: str) -> None:
        self._database = database
        self._table = table

    def find(self, customer_ids: Collection[str]) -> Mapping[str, Identity]:
        """Return what the table says of these customers.

        Raises
        ------
        InputError
            When there is no such table, or it lacks ``customer_id``.
        StoreUnavailable
            When a retry may help.
        """
        rows = read_identities(self._database, self._table, customer_ids)
        return {customer_id: _identity(cells) for customer_id, cells in rows.items()}


def _identity(cells: Mapping[str, object]) -> Identity:
    text = {name: str(cells.get(name) or "").strip() for name in _KNOWN}
    return Identity(text["email"], text["phone"], text["country"], text["opted_out"].lower() in _TRUE)

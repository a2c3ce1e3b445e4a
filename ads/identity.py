"""Who customers are: e-mail and telephone, read where they are sent and kept nowhere else.

The port and its two adapters. Raw addresses and numbers never leave this process, and are in no log or error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


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

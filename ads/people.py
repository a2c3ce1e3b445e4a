"""How a platform hears of customers: identities to its hashes, and who must not be told of at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ads.hashing import BadIdentifier
from ads.reconcile import Person
from clv.erasure import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ads.connector import AudienceConnector
    from ads.identity import Identity, IdentitySource
    from clv.audiences import Candidate

UNKNOWN = "no e-mail address or telephone number is known"


class People:
    """Answers for one platform; ``refresh`` before each synchronisation.

    Parameters
    ----------
    source
        Where identities are read; None where there is none.
    key
        Of the suppressions' digests.
    suppressed
        Returns every suppressed digest and since when, epoch milliseconds.
    """

    def __init__(
        self,
        connector: AudienceConnector,
        source: IdentitySource | None,
        *,
        key: bytes,
        suppressed: Callable[[], Mapping[str, int]],
    ) -> None:
        self._connector = connector
        self._source = source
        self._key = key
        self._read_suppressed = suppressed
        self._suppressed: Mapping[str, int] = {}

    def refresh(self) -> None:
        """Read again who is suppressed."""
        self._suppressed = self._read_suppressed()

    def find(self, customer_ids: Collection[str], scored: Mapping[str, tuple[Candidate, int]]) -> dict[str, Person]:
        """Return how the platform would hear of each customer.

        Parameters
        ----------
        scored
            The score of each who has one, and its moment, epoch milliseconds: who was scored after an erasure came
            back.

        Raises
        ------
        InputError
            When the identities cannot be read.
        """
        identities = self._source.find(customer_ids) if self._source else {}
        return {
            customer_id: self._person(customer_id, identities.get(customer_id), scored.get(customer_id))
            for customer_id in customer_ids
        }

    def _person(self, customer_id: str, identity: Identity | None, scored: tuple[Candidate, int] | None) -> Person:
        if self._suppressed:
            since_ms = self._suppressed.get(digest_of(customer_id, self._key))
            if since_ms is not None and (scored is None or scored[1] <= since_ms):
                return Person(is_barred=True)
        if identity is not None and identity.has_opted_out:
            return Person(is_barred=True)
        needs_identity = self._connector.capabilities.needs_identity
        if identity is None or not (identity.email or identity.phone):
            return Person(problem=UNKNOWN) if needs_identity else Person()
        try:
            return Person(self._connector.identifiers(identity))
        except BadIdentifier as problem:
            return Person(problem=str(problem)) if needs_identity else Person()

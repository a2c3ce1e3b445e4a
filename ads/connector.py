"""What an ad platform's connector can do and must keep to, and how its calls can end.

A connector knows its platform's wire format, limits and error codes, and nothing of SQL, of scores or of who belongs
where: ``ads.sync`` decides that and remembers it. Implementations are in ``ads.connectors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from ads.hashing import PhoneFormat
from clv.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ads.identity import Identity
    from clv.audiences import AudienceSpec


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform takes, and what it does with it.

    Parameters
    ----------
    platform
        Its name in settings and SQL.
    most_rows, most_bytes
        Of one request's body; a connector's calls take at most ``most_rows`` rows and keep to the bytes themselves.
    smallest_audience
        Members below which the platform does not use an audience, or refuses to make it smaller.
    needs_identity
        Whether a member is an e-mail address or telephone number; else the customer's id is enough.
    can_replace
        Whether a whole audience can be replaced in one session.
    can_erase
        Whether a person can be removed from everything at once.
    takes_values
        Whether members may carry a value.
    delta_resets_learning
        Whether adding or removing members sends ad sets that use the audience back to their learning phase.
    replace_seconds
        How long a replacement of which nothing more is heard stays open; no other may begin before.
    phone_format
        How it wants telephone numbers.
    unverified
        What of the above rests on no official document.
    """

    platform: str
    most_rows: int
    most_bytes: int
    smallest_audience: int
    needs_identity: bool
    can_replace: bool
    can_erase: bool
    takes_values: bool
    delta_resets_learning: bool
    replace_seconds: int
    phone_format: PhoneFormat
    unverified: tuple[str, ...] = ()


class Member(msgspec.Struct, frozen=True):
    """A person as a platform hears of them.

    Parameters
    ----------
    customer_id
        Ours; only platforms that need no identity are told.
    identifiers
        Hashes by the platform's rules, made by its connector; empty where it needs none.
    value_minor
        CLV in minor units, for an audience with values; else 0.
    """

    customer_id: str
    identifiers: tuple[str, ...]
    value_minor: int = 0


class RemoteAudience(msgspec.Struct, frozen=True):
    """An audience as the platform has it.

    Parameters
    ----------
    remote_id
        The platform's id.
    is_in_use
        Whether an active ad set uses it.
    problem
        Why it cannot be changed now, in words; empty where it can.
    """

    remote_id: str
    is_in_use: bool = False
    problem: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """What became of a batch that the platform took: ``rejected`` has positions in the batch and why, in words.

    ``unexplained`` counts rows that the platform refused without saying which.
    """

    rejected: tuple[tuple[int, str], ...] = ()
    unexplained: int = 0


class Replacement(msgspec.Struct, frozen=True):
    """A replacement session of which the next batch is number ``next_batch``, counted from 1.

    ``total`` is about how many rows all batches have.
    """

    session_id: int
    next_batch: int
    total: int
    is_last: bool


class AudienceError(ScorerError):
    """A platform did not do what it was asked."""

    reason = "audience"


class Refused(AudienceError):
    """It will not do it however often it is asked: a person must mend something, as the message says."""

    reason = "audience_refused"


class Busy(Refused):
    """Somebody else synchronises the platform: it can be done once they have ended."""

    is_retryable = True


class Throttled(AudienceError):
    """It does not listen before ``until_ms``, epoch milliseconds; asking sooner prolongs it."""

    reason = "audience_throttled"
    is_retryable = True

    def __init__(self, message: str, until_ms: int) -> None:
        super().__init__(message)
        self.until_ms = until_ms


class NotDone(AudienceError):
    """It failed for now, and is known to have changed nothing: the same call may be made again."""

    reason = "audience_not_done"
    is_retryable = True


class Uncertain(AudienceError):
    """The connection broke, or the answer made no sense: whether it was done is unknown."""

    reason = "audience_uncertain"
    is_retryable = True


class SessionLost(AudienceError):
    """The replacement session is no more: begin another, at the earliest at ``until_ms``, epoch milliseconds."""

    reason = "audience_session_lost"
    is_retryable = True

    def __init__(self, message: str, until_ms: int) -> None:
        super().__init__(message)
        self.until_ms = until_ms


class AudienceConnector(Protocol):
    """A platform's side of audiences.

    ``ads.sync`` calls it from one thread, one call at a time. Every call waits for the platform's answer, for a bounded
    time, and raises one of ``Refused``, ``Throttled``, ``NotDone``, ``Uncertain``, ``SessionLost``; it may itself
    repeat a call that is known to have changed nothing, a few times within seconds. Adding somebody who is there and
    removing somebody who is not change nothing.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the platform takes."""
        ...

    def identifiers(self, identity: Identity) -> tuple[str, ...]:
        """Return a person's hashes by the platform's rules.

        Raises
        ------
        BadIdentifier
            When nothing of the identity can be used; says why, and not what it was.
        """
        ...

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Find the audience by its name, or make it, with its lookalike once it is large enough; return how it is."""
        ...

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Add members; one who is there already gets their new value."""
        ...

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Remove members."""
        ...

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Send one batch of a replacement: the audience is what its batches held once the last has come.

        Other processes may send the batches of one session. A batch that ended in ``Uncertain`` may not be sent again;
        nothing is known of the session then but that it ends by itself after ``replace_seconds``.
        """
        ...

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Remove people from everything that the account knows of them; only where ``can_erase``."""
        ...

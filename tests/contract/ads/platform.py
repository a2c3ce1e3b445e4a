"""An ad platform in memory that does as its rules say, and fails on cue: before a call is done, or after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ads.connector import Capabilities, Delivery, NotDone, RemoteAudience, SessionLost, Throttled, Uncertain
from ads.hashing import META, BadIdentifier, PhoneFormat, email_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ads.connector import Member, Replacement
    from ads.identity import Identity
    from clv.audiences import AudienceSpec

REPLACE_SECONDS = 5_400


class Crash(BaseException):
    """The process dies: nothing may catch it."""


class MemoryPlatform:
    """A connector and its platform in one.

    Parameters
    ----------
    clock
        Epoch milliseconds; sessions close by it.
    faults
        Gives for every call what goes wrong with it: nothing (""), or ``refuse``, ``lose`` (not done, connection gone),
        ``mute`` (done, connection gone), ``throttle``, ``crash`` (before), ``crash after``.
    is_in_use
        Whether every audience is on an active ad set.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        faults: Iterator[str] | None = None,
        is_in_use: bool = False,
        most_rows: int = 3,
    ) -> None:
        self.capabilities = Capabilities(
            platform="memory",
            most_rows=most_rows,
            most_bytes=10**6,
            smallest_audience=2,
            needs_identity=True,
            can_replace=True,
            can_erase=True,
            takes_values=True,
            delta_resets_learning=True,
            replace_seconds=REPLACE_SECONDS,
            phone_format=PhoneFormat.DIGITS,
        )
        self.members: dict[str, dict[tuple[str, ...], int]] = {}
        self.calls: list[tuple[str, str, int]] = []
        self._clock = clock
        self._faults = faults or iter(())
        self._is_in_use = is_in_use
        self._sessions: dict[str, tuple[int, int, int, dict[tuple[str, ...], int]]] = {}
        self.refuses: frozenset[str] = frozenset()

    def identifiers(self, identity: Identity) -> tuple[str, ...]:
        """Take e-mail addresses alone."""
        if not identity.email:
            raise BadIdentifier("no e-mail address")
        return (email_hash(identity.email, META),)

    def ensure(self, spec: AudienceSpec) -> RemoteAudience:
        """Make the audience where there is none."""
        self._do("ensure", spec.name, 0, lambda: self.members.setdefault(spec.name, {}))
        return RemoteAudience(spec.name, is_in_use=self._is_in_use)

    def add(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Add or change members."""
        assert spec.name == remote_id
        rejected = self._rejected(members)
        taken = {each.identifiers: each.value_minor for i, each in enumerate(members) if i not in dict(rejected)}
        self._alone(remote_id)
        self._do("add", remote_id, len(members), lambda: self.members[remote_id].update(taken))
        return Delivery(rejected)

    def remove(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member]) -> Delivery:
        """Remove members."""
        assert spec.name == remote_id
        self._alone(remote_id)
        there = self.members[remote_id]
        self._do("remove", remote_id, len(members), lambda: [there.pop(each.identifiers, None) for each in members])
        return Delivery()

    def replace(self, remote_id: str, spec: AudienceSpec, members: Sequence[Member], session: Replacement) -> Delivery:
        """Take a batch; the last one puts all in the audience's place."""
        assert spec.name == remote_id
        rejected = self._rejected(members)
        rows = {each.identifiers: each.value_minor for i, each in enumerate(members) if i not in dict(rejected)}

        def take() -> None:
            opened = self._open(remote_id)
            if opened is None:
                assert session.next_batch == 1, "a session begins with its first batch"
                opened = (session.session_id, 1, self._clock(), {})
            session_id, expected, since_ms, so_far = opened
            assert (session.session_id, session.next_batch) == (session_id, expected), "batches come once, in order"
            self._sessions[remote_id] = (session_id, expected + 1, since_ms, so_far | rows)
            if session.is_last:
                self.members[remote_id] = self._sessions.pop(remote_id)[3]

        if session.next_batch > 1 and self._open(remote_id) is None:
            raise SessionLost("the session has closed", self._clock())
        self._do("replace", remote_id, len(members), take)
        return Delivery(rejected)

    def erase(self, members: Sequence[Member]) -> Delivery:
        """Remove people from every audience."""
        gone = {each.identifiers for each in members}

        def remove() -> None:
            for there in self.members.values():
                for identifiers in gone & there.keys():
                    del there[identifiers]

        self._do("erase", "", len(members), remove)
        return Delivery()

    def _rejected(self, members: Sequence[Member]) -> tuple[tuple[int, str], ...]:
        return tuple((i, "refused") for i, each in enumerate(members) if each.customer_id in self.refuses)

    def _open(self, remote_id: str) -> tuple[int, int, int, dict[tuple[str, ...], int]] | None:
        opened = self._sessions.get(remote_id)
        if opened and self._clock() >= opened[2] + REPLACE_SECONDS * 1_000:
            self._sessions.pop(remote_id)
            return None
        return opened

    def _alone(self, remote_id: str) -> None:
        assert self._open(remote_id) is None, "nothing else happens while a replacement is on"

    def _do(self, name: str, audience: str, rows: int, work: Callable[[], object]) -> None:
        fault = next(self._faults, "")
        self.calls.append((name, audience, rows))
        if fault == "refuse":
            raise NotDone("busy")
        if fault == "lose":
            raise Uncertain("connection lost")
        if fault == "throttle":
            raise Throttled("too many calls", self._clock() + 60_000)
        if fault == "crash":
            raise Crash
        work()
        if fault == "mute":
            raise Uncertain("connection lost")
        if fault == "crash after":
            raise Crash

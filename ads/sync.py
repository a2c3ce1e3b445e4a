"""Bringing a platform's audiences to what the scores want: look, store the intention, send, store the outcome.

One synchroniser works on a platform at a time. Whatever ends it, the next one reaches the same membership, because
nobody is told of before SQL says so, and SQL says "done" only after the platform did.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ads.connector import Busy, NotDone, Refused, SessionLost, Throttled, Uncertain
from ads.delivering import Courier, Done
from ads.looking import Audience, look, mark
from ads.reconcile import Status, Tally
from clv.audiences import AUDIENCES
from clv.outcomes import rfc3339
from storage.audiences import count_members, end_turn, forget_members, load_stand, save_stand, take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ads.connector import AudienceConnector
    from ads.people import People
    from clv.audiences import AudienceSpec
    from storage.audiences import Stand
    from storage.engine import Database

TURN_MS = 600_000
"""How long a synchroniser of which nothing is heard keeps its turn; longer than any one call to a platform."""
SMALL_AUDIENCE = 1_000
"""Members below which an audience may move as it likes."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to synchronise.

    Parameters
    ----------
    is_dry_run
        Look only: nothing is stored and no platform is asked.
    most_moved_share
        Part of an audience's members, 0-1, that one synchronisation may add and remove without being allowed to.
    allows_large
        Allow more this time.
    retries_rejected
        Try those again that the platform refused.
    """

    is_dry_run: bool = False
    most_moved_share: float = 0.3
    allows_large: bool = False
    retries_rejected: bool = False


class AudienceReport(msgspec.Struct, kw_only=True):
    """What became of one audience; in a dry run, what would.

    Parameters
    ----------
    status
        ready, waiting, asks, refused, failed or dry run.
    wanted, present
        Customers who belong and can be told of; those known to be there, afterwards.
    added, updated, removed
        Rows that the platform took.
    rejected
        Customers who belong and are not there, counted by reason in words.
    unexplained
        Rows that the platform says it refused without saying which.
    reasons
        Of those to be added and removed: why, counted.
    waiting_until
        RFC 3339; empty for no wait.
    """

    name: str
    status: str
    detail: str = ""
    wanted: int = 0
    present: int = 0
    added: int = 0
    updated: int = 0
    removed: int = 0
    rejected: dict[str, int] = {}
    unexplained: int = 0
    reasons: dict[str, int] = {}
    waiting_until: str = ""


@dataclass
class _Job:
    """An audience that is worked on, and what the look found."""

    spec: AudienceSpec
    stand: Stand
    courier: Courier
    audience: Audience
    is_replacing: bool
    tally: Tally = field(default_factory=Tally)


class Synchroniser:
    """Synchronises the audiences of one platform.

    Parameters
    ----------
    people
        Says how the platform hears of a customer.
    clock
        Epoch milliseconds.
    audiences
        Which to keep.
    """

    def __init__(
        self,
        database: Database,
        connector: AudienceConnector,
        people: People,
        *,
        clock: Callable[[], int],
        audiences: Sequence[AudienceSpec] = AUDIENCES,
    ) -> None:
        self._database = database
        self._connector = connector
        self._people = people
        self._clock = clock
        self._audiences = audiences
        self._platform = connector.capabilities.platform
        self._owner = uuid.uuid4().hex

    def run(self, options: Options) -> list[AudienceReport]:
        """Synchronise every audience once, and return what became of each.

        Raises
        ------
        Busy
            When another synchroniser has its turn at the platform.
        InputError
            When the identities cannot be read; nothing was sent.
        StoreUnavailable
            When a retry may help.
        """
        self._people.refresh()
        if options.is_dry_run:
            return [self._dry_run(spec, options) for spec in self._audiences]
        self._keep_turn()
        try:
            return self._run(options)
        finally:
            end_turn(self._database, self._platform, self._owner)

    def _run(self, options: Options) -> list[AudienceReport]:
        """Prepare every audience, then erase, then send: an erasure may reach into audiences that were sent already."""
        reports: dict[str, AudienceReport] = {}
        jobs: list[_Job] = []
        throttled: Throttled | None = None

        def each(spec: AudienceSpec, work: Callable[[], AudienceReport | None]) -> None:
            """Do a part of an audience's work, unless it has ended already; throttling is the whole account's."""
            nonlocal throttled
            if spec.name in reports:
                return
            if throttled is None:
                try:
                    report = work()
                except Throttled as problem:
                    throttled = problem
                else:
                    if report is not None:
                        reports[spec.name] = report
                    return
            reports[spec.name] = self._wait(spec, str(throttled), throttled.until_ms)

        for spec in self._audiences:
            each(spec, partial(self._prepare, spec, options, jobs))
        for job in jobs:
            each(job.spec, partial(self._guarded, job, self._erase))
        for job in jobs:
            each(job.spec, partial(self._guarded, job, partial(self._send, options)))
        return [reports[spec.name] for spec in self._audiences]

    def _keep_turn(self) -> None:
        now_ms = self._clock()
        if not take_turn(self._database, self._platform, self._owner, now_ms=now_ms, until_ms=now_ms + TURN_MS):
            raise Busy(f"another synchronisation of {self._platform} is going on", "wait for its end")

    def _stand(self, spec: AudienceSpec) -> Stand:
        return load_stand(self._database, self._platform, spec.name)

    def _audience(self, spec: AudienceSpec, options: Options) -> Audience:
        return Audience(self._database, self._platform, spec, self._people, options.retries_rejected)

    def _dry_run(self, spec: AudienceSpec, options: Options) -> AudienceReport:
        tally = look(self._audience(spec, options))
        return AudienceReport(
            name=spec.name,
            status="dry run",
            detail=_asks(tally, options),
            wanted=tally.wanted,
            present=tally.present,
            added=tally.adding,
            updated=tally.updating,
            removed=tally.removing + tally.erasing,
            rejected=dict(tally.rejected),
            reasons=dict(tally.reasons),
        )

    def _prepare(self, spec: AudienceSpec, options: Options, jobs: list[_Job]) -> AudienceReport | None:
        """Find the audience at the platform and finish what was begun; a report where that is all for now."""
        stand = self._stand(spec)
        if stand.waiting_until_ms > self._clock():
            return self._report(stand, None, None)
        try:
            remote = self._connector.ensure(spec)
        except (Refused, NotDone, Uncertain, SessionLost) as problem:
            return self._failed(spec, problem)
        if stand.remote_id not in ("", remote.remote_id):
            # It was deleted there and is another now: nobody is in it.
            forget_members(self._database, self._platform, spec.name)
            stand = stand._replace(session="")
        stand = stand._replace(remote_id=remote.remote_id, waiting_until_ms=-1)
        save_stand(self._database, stand)
        if remote.problem:
            return self._report(stand._replace(status="refused", detail=remote.problem), None, None)
        courier = Courier(self._database, self._connector, spec, stand, keep_turn=self._keep_turn, clock=self._clock)
        capabilities = self._connector.capabilities
        is_replacing = capabilities.can_replace and capabilities.delta_resets_learning and remote.is_in_use
        job = _Job(spec, stand._replace(session=""), courier, self._audience(spec, options), is_replacing)
        jobs.append(job)
        return self._guarded(job, lambda job: job.courier.finish_replacement()) if stand.session else None

    def _guarded(self, job: _Job, work: Callable[[_Job], AudienceReport | None]) -> AudienceReport | None:
        """Do a part of an audience's work; a report where it is refused or fails."""
        courier = job.courier
        try:
            return work(job)
        except SessionLost as problem:
            courier.note("lost", operation="replace", detail=str(problem))
            return self._wait(job.spec, str(problem), problem.until_ms)
        except (Refused, NotDone, Uncertain) as problem:
            courier.note("refused" if isinstance(problem, Refused) else "failed", operation="sync", detail=str(problem))
            return self._failed(job.spec, problem)

    def _erase(self, job: _Job) -> None:
        job.tally = look(job.audience)
        if job.tally.erasing:
            mark(job.audience, is_replacing=job.is_replacing, erases_only=True)
            job.courier.erase()

    def _send(self, options: Options, job: _Job) -> AudienceReport:
        """Mark and send what is to be added and removed, if that may move so much."""
        tally = job.tally
        if says := _asks(tally, options):
            return self._report(job.stand._replace(status="asks", detail=says), tally, job.courier.done)
        if tally.has_to_store:
            mark(job.audience, is_replacing=job.is_replacing)
        if job.is_replacing and tally.changes:
            job.courier.begin_replacement()
        elif tally.changes:
            job.courier.send()
            if tally.renamed:  # those who were removed under their former hashes
                mark(job.audience, is_replacing=False)
                job.courier.send()
        least = self._connector.capabilities.smallest_audience
        detail = f"below the {least:,} members that the platform asks for" if tally.wanted < least else ""
        ready = job.stand._replace(status="ready", detail=detail, synced_ms=self._clock())
        return self._report(ready, tally, job.courier.done)

    def _failed(self, spec: AudienceSpec, problem: Exception) -> AudienceReport:
        status = "refused" if isinstance(problem, Refused) else "failed"
        return self._report(self._stand(spec)._replace(status=status, detail=str(problem)), None, None)

    def _wait(self, spec: AudienceSpec, says: str, until_ms: int) -> AudienceReport:
        """Put an audience off; one that has to wait for longer already does so."""
        stand = self._stand(spec)
        if stand.waiting_until_ms < until_ms:
            stand = stand._replace(status="waiting", detail=says, waiting_until_ms=until_ms)
        return self._report(stand, None, None)

    def _report(self, stand: Stand, tally: Tally | None, done: Done | None) -> AudienceReport:
        """Store where the audience stands, and say it; without a look, what the last one found."""
        figures: dict[str, Any] = msgspec.json.decode(stand.counts)
        if tally is not None and done is not None:
            figures = {
                "wanted": tally.wanted,
                "rejected": dict(tally.rejected + done.rejected),
                "reasons": dict(tally.reasons),
            }
        figures |= msgspec.structs.asdict(done or Done()) | {"rejected": figures.get("rejected", {})}
        figures["present"] = count_members(self._database, self._platform, stand.name, (Status.PRESENT,))
        save_stand(self._database, stand._replace(counts=msgspec.json.encode(figures).decode()))
        return AudienceReport(
            name=stand.name,
            status=stand.status,
            detail=stand.detail,
            waiting_until=rfc3339(stand.waiting_until_ms) if stand.waiting_until_ms > self._clock() else "",
            **figures,
        )


def _asks(tally: Tally, options: Options) -> str:
    """Say what would move, where that is more than may move without being allowed; else nothing."""
    if options.allows_large or not tally.moves_too_much(options.most_moved_share, least=SMALL_AUDIENCE):
        return ""
    moved = tally.adding + tally.removing
    return (
        f"would move {moved:,} of {tally.present:,} members ({moved / tally.present:.0%}), more than "
        f"{options.most_moved_share:.0%}: `clv ads sync --allow-large` does it"
    )

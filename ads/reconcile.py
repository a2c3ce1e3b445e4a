"""What must happen to one customer in one audience: wanted and last-known state to an action, as a pure function.

Desired state is compared with what the platform was told, never a log of calls replayed: however often and in whatever
order changes came, a customer costs at most one operation an audience, and a crash at any point ends in the same
membership. That holds because an intention is stored before it is sent: whoever is ``adding`` or ``removing`` may or
may not be there, and is told of again.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from clv.audiences import belongs, is_value_stale

if TYPE_CHECKING:
    from clv.audiences import AudienceSpec, Candidate


class Status(StrEnum):
    """What is known of a customer at a platform."""

    ADDING = "adding"
    """To be told; perhaps it has been."""
    PRESENT = "present"
    """Told, and taken."""
    REMOVING = "removing"
    """To be taken out; perhaps it has been."""
    REJECTED = "rejected"
    """Cannot be told, or was refused: ``detail`` says why. Not there."""
    ERASING = "erasing"
    """To be taken out of everything, whatever the scores say."""


class Known(msgspec.Struct, frozen=True):
    """A customer in an audience as last known: ``identifiers`` is what the platform was told, value in minor units."""

    customer_id: str
    identifiers: tuple[str, ...]
    value_minor: int
    status: Status
    detail: str = ""


class Person(msgspec.Struct, frozen=True):
    """How the platform would hear of a customer: hashes, or in words why it cannot.

    ``is_barred`` where they opted out of advertising or were erased.
    """

    identifiers: tuple[str, ...] = ()
    problem: str = ""
    is_barred: bool = False


class Action(StrEnum):
    """What to do."""

    KEEP = "keep"
    ADD = "add"
    """Not there as far as is known."""
    UPDATE = "update"
    """There with another value, or told of again after an uncertain end."""
    RENAME = "rename"
    """Known by other hashes than they have now: those are removed, these added."""
    REMOVE = "remove"
    ERASE = "erase"
    REJECT = "reject"
    """Wanted, and cannot be told of."""
    FORGET = "forget"
    """No longer wanted, and was never there."""


def decide(
    spec: AudienceSpec, candidate: Candidate | None, person: Person, known: Known | None, *, retries_rejected: bool
) -> Action:
    """Return what must happen to a customer in an audience.

    Parameters
    ----------
    candidate
        The latest score; None where there is none, or no longer.
    person
        How they are told of.
    known
        What is known of them at the platform; None for nothing.
    retries_rejected
        Whether those that the platform refused before are tried again.
    """
    if known is not None and known.status is Status.ERASING:
        return Action.ERASE
    if person.is_barred:
        return Action.KEEP if known is None else Action.ERASE if known.status is not Status.REJECTED else Action.FORGET
    if candidate is None or not belongs(candidate, spec):
        return _no_longer(known)
    if person.problem:
        return _cannot(person, known)
    if known is None:
        return Action.ADD
    has_changed = known.identifiers != person.identifiers
    if known.status is Status.REJECTED:
        return Action.ADD if has_changed or retries_rejected else Action.KEEP
    if has_changed:
        return Action.RENAME
    if known.status is not Status.PRESENT:
        return Action.UPDATE
    is_stale = spec.is_value_based and is_value_stale(known.value_minor, candidate.clv_minor)
    return Action.UPDATE if is_stale else Action.KEEP


def _no_longer(known: Known | None) -> Action:
    if known is None:
        return Action.KEEP
    return Action.FORGET if known.status is Status.REJECTED else Action.REMOVE


def _cannot(person: Person, known: Known | None) -> Action:
    if known is None:
        return Action.REJECT
    if known.status is Status.REJECTED:
        return Action.KEEP if known.detail == person.problem else Action.REJECT
    return Action.REMOVE


class Tally(msgspec.Struct):
    """What a look at an audience found: how many of each, and of whom to be added or removed the reasons.

    ``wanted`` counts those who belong and can be told of; ``present`` those known to be there before.
    """

    wanted: int = 0
    present: int = 0
    adding: int = 0
    updating: int = 0
    removing: int = 0
    erasing: int = 0
    renamed: int = 0
    forgetting: int = 0
    rejecting: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)

    def count(self, action: Action, candidate: Candidate | None, person: Person, known: Known | None) -> None:
        """Count one customer."""
        if known is not None and known.status is Status.PRESENT:
            self.present += 1
        why = candidate.reason if candidate is not None and candidate.reason else "score"
        if action in (Action.ADD, Action.UPDATE, Action.RENAME) or (action is Action.KEEP and _is_there(known)):
            self.wanted += 1
        if action is Action.ADD:
            self.adding += 1
            self.reasons[f"added: {why}"] += 1
        elif action in (Action.UPDATE, Action.RENAME):
            self.updating += 1
            self.renamed += action is Action.RENAME
        elif action is Action.REMOVE:
            self.removing += 1
            self.reasons[f"removed: {person.problem or why}" if candidate else "removed: no longer a customer"] += 1
        elif action is Action.ERASE:
            self.erasing += 1
            self.reasons["removed: opted out or erased"] += 1
        elif action is Action.REJECT:
            self.rejecting += 1
            self.rejected[person.problem] += 1
        elif action is Action.FORGET:
            self.forgetting += 1
        elif known is not None and known.status is Status.REJECTED:
            self.rejected[known.detail] += 1

    @property
    def changes(self) -> int:
        """Rows to be sent."""
        return self.adding + self.updating + self.removing + self.erasing

    @property
    def has_to_store(self) -> bool:
        """Whether anything is known otherwise than it was."""
        return bool(self.changes or self.rejecting or self.forgetting)

    def moves_too_much(self, share: float, *, least: int) -> bool:
        """Tell whether more of the audience would move than ``share`` of those present; erasures never count.

        An audience of fewer than ``least`` may move freely: it is being filled for the first time, or is small. With a
        share of 1 all may.
        """
        return share < 1 and self.present >= least and self.adding + self.removing > share * self.present


def _is_there(known: Known | None) -> bool:
    return known is not None and known.status is Status.PRESENT

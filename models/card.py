"""Model cards: what a published scorer has learned from, how it has done, who answers and why; plain data.

Nothing here decides anything: which versions get a card is in ``streams.registry``, cards lie in ``storage.cards``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clv.errors import IncompatibleArtifact
from models.drift import Alarm

if TYPE_CHECKING:
    from clv.outcomes import TrainingExample

SwitchCause = Literal["fitted", "error", "promote", "rollback", "unpin"]
CardCause = Literal["first", "refit", "switch", "promote", "rollback", "unpin"]


class Window(msgspec.Struct):
    """The examples learned so far: how many, and the first and the last of them in the order of learning.

    Moments are RFC 3339 text, empty before the first example: ``as_of`` when it was scored, ``matured_at`` when its
    value was complete.
    """

    example_count: int = 0
    first_as_of: str = ""
    first_matured_at: str = ""
    last_as_of: str = ""
    last_matured_at: str = ""

    def add(self, example: TrainingExample) -> None:
        """Count an example that was learned after all others."""
        if not self.example_count:
            self.first_as_of, self.first_matured_at = example.as_of, example.matured_at
        self.last_as_of, self.last_matured_at = example.as_of, example.matured_at
        self.example_count += 1


class Evidence(msgspec.Struct, frozen=True):
    """What was known when the champion was chosen.

    ``relative_errors`` are the recent deviances of the model before and of the one after over the reference's, null
    below the minimum of examples. ``standings`` are the same drawn towards what is expected, the less is known the
    more: they decide, of candidates that are there; ``margin`` is by how much a challenger must stand better.
    ``restores`` names the version that a rollback brought back.
    """

    relative_errors: dict[str, float | None]
    example_count: int
    margin: float
    reference: str
    restores: str = ""
    standings: dict[str, float] = {}


class Switch(msgspec.Struct, frozen=True):
    """Who answered before a version and who answers since, with the reason; equal where a person only pinned.

    ``cause`` is ``fitted`` (the first models, the one before is gone, or the reference stands alone no longer and what
    is expected to be better has its place, unproven), ``error`` (a challenger stood better by the margin), or what a
    person asked for: ``promote``, ``rollback``, ``unpin``. ``at`` is event time.
    """

    version: str
    at: str
    cause: SwitchCause
    before: str
    after: str
    evidence: Evidence


class Pin(msgspec.Struct, frozen=True):
    """What a person has fixed until it is unpinned: a candidate that answers, or an older version put back in force.

    Exactly one of ``champion`` and ``version`` is given; ``since`` is event time.
    """

    since: str
    champion: str = ""
    version: str = ""


class EnsembleFacts(msgspec.Struct, frozen=True):
    """What an ensemble's artifact says of itself: by member its weight and held-out deviance, and what it has seen."""

    weights: dict[str, float] = {}
    held_out_deviance: dict[str, float] = {}
    example_count: int = 0
    btyd_version: str = ""


class GlmFacts(msgspec.Struct, frozen=True):
    """What the regression was fitted to: windows of the recent past, their customers, and the base under it."""

    window_count: int
    customer_count: int
    btyd_version: str


class Importance(msgspec.Struct, frozen=True):
    """What the scorer of a version looks at, as ``models.importance`` measured it.

    ``deviance`` is the mean Tweedie deviance of its answers on ``example_count`` examples, in square roots of minor
    units. ``groups`` (``models.hybrids.GROUPS``) and ``features`` say by what share of it the deviance rises when that
    is shuffled between the examples: 0.1 is a tenth more, about 0 is what the score does not need.
    """

    version: str
    example_count: int
    deviance: float
    groups: dict[str, float]
    features: dict[str, float]


class ModelCard(msgspec.Struct, frozen=True):
    """All that is to be known of a published version of a model.

    ``cause`` says what was essential about the publication. ``learned_through_at`` is the latest event time that
    influenced it, ``digest`` the SHA-256 of its bytes. ``customers`` and ``repeat_customers`` are those that the base
    was fitted to, ``glm`` what the regression was, None without one. ``members`` are the parts' versions, ``weights``
    the blend's. ``metrics`` are the prequential figures by candidate through this version, ``relative_errors`` the
    recent deviances over the reference's; money is in minor units, deviances in their square roots. ``switch`` says
    since when and why ``champion`` answers. ``parent`` is the version published before, ``restores`` the one that a
    rollback brought back: then window, base, regression, members and importance are of that one, figures of now.
    ``importance`` is of the last refit's version up to this one, None before it. ``drift`` holds the last alarms before
    this version, oldest first.
    """

    name: str
    version: str
    sequence: int
    digest: str
    cause: CardCause
    learned_through_at: str
    horizon_days: int
    feature_digest: str
    features: tuple[str, ...]
    window: Window
    customers: int
    repeat_customers: int
    training: dict[str, int | float]
    members: dict[str, str]
    weights: dict[str, float]
    ensemble_digest: str
    ensemble: EnsembleFacts | None
    metrics: dict[str, dict[str, Any]]
    relative_errors: dict[str, float | None]
    champion: str
    switch: Switch | None
    pin: Pin | None
    parent: str = ""
    restores: str = ""
    glm: GlmFacts | None = None
    drift: tuple[Alarm, ...] = ()
    importance: Importance | None = None

    def to_json(self) -> str:
        """Return it as JSON; the same card gives the same text."""
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read what ``to_json`` wrote; fields that a newer build has added are passed over.

        Raises
        ------
        IncompatibleArtifact
            When the text is no card.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise IncompatibleArtifact("the text is not a model card") from problem


def ensemble_facts(blob: bytes) -> EnsembleFacts:
    """Read the facts out of an ensemble's artifact without opening its models.

    Raises
    ------
    IncompatibleArtifact
        When the bytes are no ensemble's.
    """
    try:
        return msgspec.msgpack.decode(blob, type=EnsembleFacts)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise IncompatibleArtifact("the ensemble's bytes are not of the artifact's format") from problem

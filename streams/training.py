"""What the trainer does at a moment of event time: learn, refit, set cut-offs, share the budget; and what it keeps.

Reads customers' states and stored examples from SQL, never anything later than the moment it trains for. When a
refit or a snapshot is due is ``models.schedule``'s to say.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from budget.asking import NO_FIGURES, BudgetNow, Standing, split_budget
from clv.budget import has_moved
from clv.errors import ConfigError, InvalidEvent
from clv.features import FEATURE_DIGEST
from clv.money import minor_digits, to_minor
from clv.outcomes import SEGMENTS, BudgetSignal, ModelAnnounced, SegmentSignal, event_id, rfc3339
from clv.published import ENSEMBLE_NAME, POLICY_NAME, SCORER_NAME, fixed_policy, version_of
from clv.rules import DAY_MS, Rules
from clv.segments import SegmentPolicy
from models.batch import MAX_EXAMPLES
from models.schedule import NEVER_MS, SAMPLE_SEED, Schedule, ScheduleState, example_arrays
from models.training import Learner
from storage.artifacts import Artifact
from storage.campaigns import most_by_pacing, weeks_of_segments
from storage.examples import sample_examples
from storage.overview import FOREVER_MS, clv_quantiles, count_scored, newest_score_ms, segment_totals
from storage.segment_budgets import budgets_at
from streams.histories import read_past
from streams.registry import Occasion, Registry, RegistryState

if TYPE_CHECKING:
    from clv.settings import Settings
    from models.batch import ExampleArrays
    from models.card import ModelCard, Pin, Switch
    from models.challengers import Challengers
    from models.histories import Past
    from models.snapshot import ScorerSnapshot
    from storage.engine import Database

POLICY_DAYS = 7
MIN_CUSTOMERS = 20
"""Fewer scored customers give no percentiles worth the name."""


class TrainerState(ScheduleState):
    """All that a trainer keeps between runs, beside where its schedule stands; times as there.

    ``trainer`` is the process that has claimed the role. While ``is_refilling``, examples that the topic may have lost
    are read from SQL. ``outbox`` holds the last announcement of every model and segment: they are sent again at a
    start, in case the run before ended between storing and sending, or the broker has forgotten them.
    """

    trainer: str = ""
    is_refilling: bool = False
    learner: bytes = b""
    watermarks: dict[int, int] = msgspec.field(default_factory=dict)
    through_ms: int = NEVER_MS
    policy_ms: int = NEVER_MS
    signals: list[SegmentSignal] = msgspec.field(default_factory=list)
    announced: dict[str, str] = msgspec.field(default_factory=dict)
    outbox: list[ModelAnnounced | BudgetSignal] = msgspec.field(default_factory=list)
    registry: RegistryState = msgspec.field(default_factory=RegistryState)


class Publication(NamedTuple):
    """What one step gives out: bytes to store, events to send, and what is recorded of them."""

    artifacts: list[Artifact]
    events: list[ModelAnnounced | BudgetSignal]
    card: ModelCard | None = None
    switch: Switch | None = None


class StoredData:
    """What SQL holds to train from (``models.schedule.TrainingData``).

    Parameters
    ----------
    settings
        Horizon and rules.
    database
        Where states and examples lie.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def past(self, now_ms: int) -> Past | None:
        """Return the stored customers as they were at a moment.

        Raises
        ------
        StoreUnavailable
            When a retry may help; also when the sink has not stored the states up to ``now_ms``.
        """
        return read_past(self._database, now_ms, Rules.from_settings(self._settings))

    def examples(self, now_ms: int) -> ExampleArrays:
        """Return a sample of what has matured by a moment."""
        found = sample_examples(
            self._database, matured_from_ms=0, matured_to_ms=now_ms, limit=MAX_EXAMPLES, seed=SAMPLE_SEED
        )
        return example_arrays(found, horizon_days=self._settings.horizon_days)


class Training:
    """The trainer's work on schedule, in event time.

    After an exception it is in no defined state: make another from what is stored.

    Parameters
    ----------
    settings
        Horizon, refit interval, budget, currency.
    database
        Where states and examples lie.
    state
        From where to go on; changes in place.
    challengers
        Custom models, to compete.

    Raises
    ------
    ConfigError
        When the budget is not an amount.
    FeatureMismatch, IncompatibleArtifact
        When the learner in ``state`` is of another build or horizon.
    """

    def __init__(
        self, settings: Settings, database: Database, state: TrainerState, challengers: Challengers | None = None
    ) -> None:
        self._settings = settings
        self._database = database
        self.state = state
        self._budget_minor = _budget_minor(settings)
        days = settings.horizon_days
        self.learner = (
            Learner.from_state(state.learner, horizon_days=days, challengers=challengers)
            if state.learner
            else Learner(days, challengers=challengers)
        )
        data = StoredData(settings, database)
        self._schedule = Schedule(self.learner, data, state, refit_days=settings.refit_days)
        self._registry = Registry(settings, database, state.registry, self.learner)

    def step(self, now_ms: int, *, is_forced: bool = False) -> Publication:
        """Do what is due at a moment and return what to publish; may be nothing.

        Parameters
        ----------
        now_ms
            The slowest partition's watermark.
        is_forced
            Refit everything now, whatever the schedule says.

        Raises
        ------
        StoreUnavailable
            When a retry may help; also when a refit is due and the sink has not stored the states up to ``now_ms``.
        """
        state = self.state
        ensemble = self._schedule.refit(now_ms, is_forced=is_forced)
        artifacts = [Artifact(ENSEMBLE_NAME, self.learner.ensemble_digest[:12], ensemble, now_ms)] if ensemble else []
        policy = self._policy(now_ms)
        published = Publication(artifacts, [])
        if snapshot := self._schedule.publish(now_ms, is_asked=policy is not None):
            is_refit = state.refit_ms == now_ms
            published = self._publish(snapshot, artifacts, policy, Occasion("refit" if is_refit else ""))
        published.events.extend(self._budget(now_ms))
        return self._kept(published)

    def pin(self, pin: Pin | None) -> None:
        """Fix what answers from the next publication on; None leaves it to the error again."""
        self._registry.pin(pin)

    def publish(self, occasion: Occasion, restored: ScorerSnapshot | None = None) -> Publication:
        """Publish at once what a person asked for, at the event time that the trainer has come to.

        Parameters
        ----------
        restored
            An older snapshot to put back in force; else what the learner knows.
        """
        now_ms = max(self.state.through_ms, self.state.snapshot_ms)
        snapshot = self.learner.republish(restored, now_ms) if restored else self.learner.snapshot(now_ms)
        self._schedule.note_published(now_ms)
        return self._kept(self._publish(snapshot, [], None, occasion))

    def _kept(self, published: Publication) -> Publication:
        self.state.learner = self.learner.to_state()
        self.state.outbox = _latest([*self.state.outbox, *published.events])
        return published

    def _policy(self, now_ms: int) -> SegmentPolicy | None:
        state = self.state
        if fixed_policy(self._settings) or (state.policy_ms >= 0 and now_ms - state.policy_ms < POLICY_DAYS * DAY_MS):
            return None
        totals = segment_totals(self._database)
        if sum(total.customers for total in totals) < MIN_CUSTOMERS:
            return None
        until_ms = now_ms + self._settings.allowed_lateness_ms + self._settings.far_ahead_days * DAY_MS
        if 2 * count_scored(self._database, until_ms=until_ms) < sum(total.customers for total in totals):
            # Time itself is behind the scores, as in a replay that does not wait.
            until_ms = FOREVER_MS
        # Else one customer's wrong year must not put the cut-offs off for all the others.
        high, growth = clv_quantiles(self._database, [80, 50], until_ms=until_ms)
        state.policy_ms = now_ms
        effective_ms = max(now_ms, newest_score_ms(self._database, until_ms=until_ms))
        return SegmentPolicy("", effective_ms, max(high, 1), max(growth, 1))

    def _publish(
        self, snapshot: ScorerSnapshot, artifacts: list[Artifact], policy: SegmentPolicy | None, occasion: Occasion
    ) -> Publication:
        """Add scorer and policy to the artifacts and announce whatever has a new version.

        While an older version is pinned, the learner's own snapshots are not given out; policies are.
        """
        now_ms = snapshot.learned_through_ms
        is_given_out = self._registry.gives_out(occasion)
        scorer = Artifact(SCORER_NAME, snapshot.version, snapshot.to_bytes(), now_ms)
        found: list[tuple[str, str, str, int]] = []
        if is_given_out and not occasion.restores:
            versions = snapshot.model_versions
            found += [
                ("btyd", versions.btyd, scorer.digest, now_ms),
                ("glm", versions.glm, scorer.digest, now_ms),
                ("online", versions.online, scorer.digest, now_ms),
                (ENSEMBLE_NAME, versions.ensemble, snapshot.ensemble_digest, now_ms),
            ]
        if policy:
            content = msgspec.json.encode(policy)
            version = version_of(snapshot.sequence, hashlib.sha256(content).hexdigest())
            payload = msgspec.json.encode(msgspec.structs.replace(policy, version=version))
            artifacts.append(Artifact(POLICY_NAME, version, payload, policy.effective_ms))
            found.append((POLICY_NAME, version, artifacts[-1].digest, policy.effective_ms))
        events: list[ModelAnnounced | BudgetSignal] = [
            self._announcement(name, version, digest, through_ms)
            for name, version, digest, through_ms in reversed(found)
            if version and self.state.announced.get(name) != version
        ]
        if not is_given_out:
            return Publication(artifacts, events)
        card, switch = self._registry.record(snapshot, scorer.digest, artifacts, occasion)
        artifacts.append(scorer)
        # The scorer goes last: when it is announced, what it stands on has been.
        announced = self._announcement(SCORER_NAME, scorer.version, scorer.digest, now_ms)
        events.append(_with_champion(announced, snapshot.champion, switch))
        return Publication(artifacts, events, card, switch)

    def _announcement(self, name: str, version: str, digest: str, through_ms: int) -> ModelAnnounced:
        self.state.announced[name] = version
        metrics = self.learner.metrics().get({SCORER_NAME: "clv"}.get(name, name))
        return ModelAnnounced(
            event_id("model", name, version),
            name,
            version,
            digest,
            rfc3339(through_ms),
            FEATURE_DIGEST,
            # As floats at once: read back from the outbox they are, and a repeat must be the same bytes.
            {name: float(figure) for name, figure in msgspec.structs.asdict(metrics).items()} if metrics else {},
        )

    def _budget(self, now_ms: int) -> list[BudgetSignal]:
        """Propose the budget again when the segments' mix or worth has moved."""
        standings = {
            total.segment: Standing(total.customers, total.clv_minor, total.clv_minor, total.clv_minor)
            for total in segment_totals(self._database)
            if total.segment in SEGMENTS
        }
        if not standings:
            return []
        settings = self._settings
        found = split_budget(
            self._budget_minor,
            standings,
            weeks_of_segments(self._database),
            margin=settings.margin,
            horizon_days=settings.horizon_days,
            budget_days=settings.budget_days,
            most=most_by_pacing(self._database, settings),
            budgets={
                segment: BudgetNow(*stand)
                for segment, stand in budgets_at(
                    self._database, settings.ads_platform, now_ms=round(time.time() * 1_000)
                ).items()
            },
        )
        signals = found.signals()
        if self.state.signals and not has_moved(self.state.signals, signals):
            return []
        self.state.signals = signals
        warnings = [*found.warnings, *([found.fallback] if found.fallback not in ("", NO_FIGURES) else [])]
        proposal = event_id("proposal", now_ms, msgspec.json.encode(signals).decode())
        return [
            BudgetSignal(
                event_id("budget", proposal, signal.segment),
                proposal,
                rfc3339(now_ms),
                found.method,
                settings.currency,
                self._budget_minor,
                signal,
                warnings,
            )
            for signal in signals
        ]


def _with_champion(announced: ModelAnnounced, champion: str, switch: Switch | None) -> ModelAnnounced:
    if switch is None or switch.before == switch.after:
        return msgspec.structs.replace(announced, champion=champion)
    return msgspec.structs.replace(
        announced, champion=champion, champion_before=switch.before, switch_cause=switch.cause
    )


def _latest(events: list[ModelAnnounced | BudgetSignal]) -> list[ModelAnnounced | BudgetSignal]:
    """Return the last event of every name or segment, in their order."""
    latest: dict[str, ModelAnnounced | BudgetSignal] = {}
    for event in events:
        subject = event.name if isinstance(event, ModelAnnounced) else event.signal.segment
        latest.pop(subject, None)
        latest[subject] = event
    return list(latest.values())


def _budget_minor(settings: Settings) -> int:
    try:
        total_minor = to_minor(settings.budget_total, minor_digits(settings.currency))
    except InvalidEvent as problem:
        raise ConfigError(f"CLV_BUDGET_TOTAL is {settings.budget_total!r}", "an amount, for example 10000") from problem
    if total_minor < 0:
        raise ConfigError(f"CLV_BUDGET_TOTAL is negative: {settings.budget_total}", "an amount, for example 10000")
    return total_minor

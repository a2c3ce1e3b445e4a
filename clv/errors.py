"""One tree of errors; each has a stable ``reason`` and says whether a retry can help.

ScorerError
├── ConfigError            a setting is missing or wrong
├── EventError             a record that cannot be applied: it becomes a dead letter
│   ├── DecodeError            not JSON of the contract's shape
│   ├── InvalidEvent           well-formed, but a value is impossible
│   └── UnknownSchemaVersion   a version this build does not read
├── InputError             a file that a user named cannot be read
├── InvalidSummary         aggregated figures of a customer that are impossible, or contradict each other
├── ModelError
│   ├── NotTrained             asked for a model before there was one
│   ├── FeatureMismatch        model and caller disagree about the features
│   └── IncompatibleArtifact   digest or format of a stored model is wrong
├── StoreError
│   ├── StoreUnavailable       locked, slow, full or absent: retry
│   └── StoreConflict          another writer holds newer offsets: this one is out of date
└── BrokerError            the broker cannot do what is asked of it

Adapters translate third-party errors at their edge with ``raise ... from``. Expected outcomes (late, duplicate,
no change) are return values, never errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class ScorerError(Exception):
    """Root of every error this project raises on purpose.

    Parameters
    ----------
    message
        What went wrong and where, in one line.
    hint
        How to mend it, in one line; may be empty.
    """

    reason: ClassVar[str] = "error"
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(ScorerError):
    """A setting is missing or has an impossible value; the process refuses to start."""

    reason = "config"


class EventError(ScorerError):
    """A record cannot be applied; ``reason`` goes into the dead-letter header.

    Parameters
    ----------
    message
        Which field is wrong and why; never contains the field's full value.
    reason
        Stable code of the failure, one of ``clv.events.REJECTION_REASONS``.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        if reason:
            self.reason = reason  # type: ignore[misc]  # narrowed per instance: one class, several stable codes


class DecodeError(EventError):
    """The bytes are not JSON of the contract's shape."""

    reason = "undecodable"


class InvalidEvent(EventError):
    """The event has the right shape but an impossible value."""

    reason = "invalid"


class UnknownSchemaVersion(EventError):
    """``schema_version`` is one that this build does not read."""

    reason = "unknown_schema_version"


class InputError(ScorerError):
    """A file or option named by the user cannot be used."""

    reason = "input"


class InvalidSummary(ScorerError):
    """Aggregated figures of a customer are impossible, or contradict each other.

    Parameters
    ----------
    problems
        Each field that is wrong and why, at least one: ``[("return_rate", "is negative")]``.
    """

    reason = "invalid_summary"

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name} {why}" for name, why in problems))
        self.problems = tuple(problems)


class ModelError(ScorerError):
    """A model cannot answer."""

    reason = "model"


class NotTrained(ModelError):
    """A model was asked for before any was trained."""

    reason = "not_trained"


class FeatureMismatch(ModelError):
    """A model and its caller disagree about feature names or their schema digest."""

    reason = "feature_mismatch"


class IncompatibleArtifact(ModelError):
    """A stored model has another format, or its bytes do not match its digest."""

    reason = "incompatible_artifact"


class StoreError(ScorerError):
    """The SQL store refused."""

    reason = "store"


class StoreUnavailable(StoreError):
    """The database is locked, slow, full, read-only or absent; a retry may help."""

    reason = "store_unavailable"
    is_retryable = True


class StoreConflict(StoreError):
    """Another writer has moved the offsets: this writer's rows must not be stored."""

    reason = "store_conflict"


class BrokerError(ScorerError):
    """The broker is unreachable, or cannot do what is asked of it."""

    reason = "broker"
    is_retryable = True

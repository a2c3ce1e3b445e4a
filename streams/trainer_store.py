"""The trainer's state in SQL: read, worked on, and stored again by compare-and-set.

Shared by the trainer role and ``clv train``. Every piece of work begins with what is stored, so that one that failed
half-way is simply done again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from typing import TYPE_CHECKING

import msgspec
import structlog

from clv.errors import FeatureMismatch
from models.challengers import Challengers
from models.maturity import in_order
from storage.artifacts import get_artifact
from storage.cards import Registered
from storage.examples import iter_examples
from storage.learning import LearnerState, Metrics, load_learner, save_learner
from streams.registry import registered
from streams.training import Publication, TrainerState, Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clv.outcomes import TrainingExample
    from clv.settings import Settings
    from models.custom import CustomModel
    from storage.engine import Database

log = structlog.get_logger(__name__)
NAME = "trainer"


class TrainerStore:
    """What the store holds of the trainer, as this process last read or wrote it.

    Parameters
    ----------
    settings
        The deployment's settings.
    database
        The SQL store, migrated.
    custom
        Custom models, to compete.
    """

    def __init__(self, settings: Settings, database: Database, custom: Sequence[CustomModel] = ()) -> None:
        self._settings = settings
        self._challengers = Challengers(custom, partial(get_artifact, database))
        self.database = database
        self._saved = LearnerState()

    @property
    def incarnation(self) -> str:
        """Identity of the examples topic that ``offsets`` belong to; empty before the first trainer."""
        return self._saved.incarnation

    @property
    def offsets(self) -> dict[int, int]:
        """Next offset to read of each partition of the examples topic."""
        return dict(self._saved.offsets)

    def load(self) -> None:
        """Read what is stored now.

        Raises
        ------
        StoreUnavailable
            When a retry may help.
        """
        self._saved = load_learner(self.database, NAME)

    def state(self) -> TrainerState:
        """Return a copy of the state that was read or written last."""
        return msgspec.json.decode(self._saved.state, type=TrainerState) if self._saved.state else TrainerState()

    def training(self) -> Training:
        """Return a trainer that goes on from there."""
        return Training(self._settings, self.database, self.state(), self._challengers)

    def save(
        self,
        training: Training,
        published: Publication,
        *,
        offsets: Mapping[int, int] | None = None,
        incarnation: str | None = None,
    ) -> None:
        """Store the trainer's state, its offsets, what it publishes and its figures in one transaction.

        Parameters
        ----------
        offsets, incarnation
            As stored, where omitted.

        Raises
        ------
        StoreConflict
            When another process has saved since ``load``; nothing is stored.
        StoreUnavailable
            When a retry may help. If the connection broke during the commit, the retry may end in ``StoreConflict``.
        """
        state = training.state
        changed = replace(
            self._saved,
            state=msgspec.json.encode(state),
            offsets=self._saved.offsets if offsets is None else dict(offsets),
            incarnation=self._saved.incarnation if incarnation is None else incarnation,
        )
        figures = {
            name: Metrics(state.through_ms, msgspec.structs.asdict(metrics))
            for name, metrics in training.learner.metrics().items()
        }
        self._saved = save_learner(
            self.database,
            NAME,
            changed,
            artifacts=published.artifacts,
            metrics=figures,
            registered=self._registered(training, published),
        )

    @staticmethod
    def _registered(training: Training, published: Publication) -> Registered:
        if not published.artifacts:
            return Registered()
        learner = training.learner
        used = {learner.ensemble_digest, *(fit.digest for fit in learner.fits)}
        return registered(training.state.registry, published.card, published.switch, used_ensembles=used)


def learn(training: Training, examples: Iterable[TrainingExample]) -> None:
    """Learn examples in the order given; those of another build or horizon are passed over with a line in the log."""
    for example in examples:
        try:
            training.learner.learn(example)
        except FeatureMismatch as problem:
            log.warning("example not learned", problem=str(problem))
        else:
            training.state.registry.window.add(example)


def stored_examples(database: Database, from_ms: int, until_ms: int) -> Iterator[TrainingExample]:
    """Yield what SQL holds of the examples that matured in [from, until), in the order of learning, each place once.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    chunks = iter_examples(database, matured_from_ms=max(from_ms, 0), matured_to_ms=until_ms)
    for _, instant in groupby(chain.from_iterable(chunks), key=lambda example: example.matured_at):
        yield from in_order(instant)

"""The newest published models, loaded again when there are newer ones; damaged ones leave the last good."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from clv.errors import ModelError
from clv.published import POLICY_NAME, SCORER_NAME, sequence_of
from models import aggregated
from models.loading import Loader
from storage.artifacts import StoredArtifacts, get_artifact, newest_artifacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.settings import Settings
    from models.aggregated import AggregatedModel
    from models.loading import Loaded
    from storage.engine import Database

log = structlog.get_logger(__name__)
CHECK_SECONDS = 2.0
_NEWEST = "~"  # sorts after every version


class Published:
    """Gives the models that answer now; safe to use from several threads."""

    def __init__(self, settings: Settings, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._loader = Loader(settings, StoredArtifacts(database))
        self._lock = threading.Lock()
        self._clock = clock
        self._checked_at = -CHECK_SECONDS
        self._loaded: Loaded | None = None
        self._aggregated: tuple[str, AggregatedModel] | None = None

    def newest(self) -> Loaded:
        """Return the newest models and policies.

        Raises
        ------
        ModelError
            When the stored ones cannot be read and none was loaded before.
        StoreUnavailable
            When a retry may help.
        """
        with self._lock:
            self._refresh()
            assert self._loaded is not None, "refreshing loads or raises"
            return self._loaded

    def aggregated(self) -> tuple[str, AggregatedModel] | None:
        """Return version and model that `clv train --from` stored last; None where it never did."""
        with self._lock:
            self._refresh()
            return self._aggregated

    def at(self, version: str) -> Loaded:
        """Return what was the newest when a version was; older models may be gone, then newer ones are in it."""
        with self._lock:
            return self._loader.load(sequence_of(version))

    def _refresh(self) -> None:
        if self._loaded is not None and self._clock() - self._checked_at < CHECK_SECONDS:
            return
        newest = max((self._sequence(name) for name in (SCORER_NAME, POLICY_NAME)), default=0)
        try:
            if self._loaded is None or newest != self._loaded.newest_sequence:
                self._loaded = self._loader.load(newest)
            self._load_aggregated()
        except ModelError as problem:
            if self._loaded is None:
                raise
            log.warning("newest models cannot be used, going on with those loaded", problem=str(problem))
        self._checked_at = self._clock()

    def _sequence(self, name: str) -> int:
        found = newest_artifacts(self._database, name, up_to_version=_NEWEST, limit=1)
        return sequence_of(found[0].version) if found else 0

    def _load_aggregated(self) -> None:
        found = newest_artifacts(self._database, aggregated.NAME, up_to_version=_NEWEST, limit=1)
        if found and (self._aggregated is None or self._aggregated[0] != found[0].version):
            self._aggregated = (found[0].version, aggregated.decode(get_artifact(self._database, found[0].digest)))

"""Custom models' earlier fits, by which they are judged: what each would have said of an example at its own moment.

An example matures a horizon after it was scored. Its custom prediction is asked of the newest fit that was in force by
then, so that a custom model is judged, like any other, by what it said before it could know.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog

from clv.errors import FeatureMismatch, IncompatibleArtifact
from clv.rules import DAY_MS
from models.ensemble import Ensemble
from models.limits import most_minor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.custom import CustomModel

log = structlog.get_logger(__name__)


class Fit(msgspec.Struct, frozen=True):
    """From when on an ensemble has been in force, epoch milliseconds of event time; no digest: no custom models since.

    ``support_minor`` is where corrections began to fade then, see ``relative.fade``; None where they did not.
    ``seen_minor`` is what bounded answers then, see ``limits.most_minor``: until the next fit it may have grown. 0
    where nothing did.
    """

    since_ms: int
    digest: str
    support_minor: float | None = None
    seen_minor: float = 0.0
    horizon_days: int = 0


class Challengers:
    """What a process has of custom models: those to be fitted, and loaded ensembles with earlier fits.

    Parameters
    ----------
    models
        To be fitted at each refit.
    load
        Returns the bytes of an ensemble by its digest.
    """

    def __init__(self, models: Sequence[CustomModel] = (), load: Callable[[str], bytes] = lambda _digest: b"") -> None:
        self.models = tuple(models)
        self._load = load
        self._ensembles: dict[str, Ensemble | None] = {}

    def ensemble(self, digest: str) -> Ensemble | None:
        """Return an ensemble, loaded once; None where it is no longer there, which costs a judgement and no more.

        Raises
        ------
        StoreUnavailable
            From the store, when a retry may help.
        """
        if digest not in self._ensembles:
            try:
                self._ensembles[digest] = Ensemble(self._load(digest), digest)
            except (FeatureMismatch, IncompatibleArtifact) as problem:
                log.warning("a fit of custom models is gone", digest=digest, problem=str(problem))
                self._ensembles[digest] = None
        return self._ensembles[digest]

    def keep(self, digests: set[str]) -> None:
        """Let go of the ensembles that nobody asks for any more."""
        self._ensembles = {digest: held for digest, held in self._ensembles.items() if digest in digests}

    def said(
        self, fits: Sequence[Fit], as_of_ms: int, features: Sequence[float], base_minor: float
    ) -> dict[str, float]:
        """Return what each custom model said of a customer at a moment; nothing before the first fit, or without base.

        Parameters
        ----------
        base_minor
            What the regression, else BTYD, said then; 0 where neither did.
        """
        fit = next((one for one in reversed(fits) if one.since_ms <= as_of_ms), None)
        ensemble = self.ensemble(fit.digest) if fit and fit.digest and base_minor > 0.0 else None
        if fit is None or ensemble is None:
            return {}
        row = np.array([features], dtype=np.float64)
        support_minor = math.inf if fit.support_minor is None else fit.support_minor
        answers = ensemble.predict_custom(row, np.array([base_minor]), support_minor)
        most = most_minor(row, fit.seen_minor, horizon_days=fit.horizon_days) if fit.seen_minor else math.inf
        return {name: float(np.minimum(values, most)[0]) for name, values in answers.items()}


def with_fit(fits: tuple[Fit, ...], fit: Fit | None, *, horizon_days: int, now_ms: int) -> tuple[Fit, ...]:
    """Return fits with a new one, less those that no example still to mature was scored under.

    Examples
    --------
    >>> day = 86_400_000
    >>> held = (Fit(0, "a"), Fit(28 * day, "b"), Fit(56 * day, "c"))
    >>> [fit.digest for fit in with_fit(held, Fit(120 * day, "d"), horizon_days=90, now_ms=120 * day)]
    ['b', 'c', 'd']
    """
    held = (*fits, fit) if fit else fits
    oldest_ms = now_ms - (horizon_days + 1) * DAY_MS
    first = max((place for place, one in enumerate(held) if one.since_ms <= oldest_ms), default=0)
    kept = held[first:]
    return kept if kept and kept[0].digest else kept[1:]

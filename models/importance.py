"""What the models look at: how much worse the score is when a feature, or a group of them, is another customer's.

Permutation importance on the newest matured examples, asked of the very scorer that answers. A group is exchanged
whole, so that the customers made up could exist; a feature alone need not be possible beside the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_NAMES
from models.card import Importance
from models.evaluation import tweedie_deviance
from models.hybrids import GROUP_NAMES, hybrids
from models.scorer import SnapshotScorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.ports import Floats
    from models.batch import ExampleArrays
    from models.ensemble import Ensemble
    from models.snapshot import ScorerSnapshot

MAX_EXAMPLES = 2_000
MIN_EXAMPLES = 200
_SEED = 0


def measure(snapshot: ScorerSnapshot, ensemble: Ensemble | None, examples: ExampleArrays) -> Importance | None:
    """Measure what a snapshot looks at on the newest examples; None where they are fewer than ``MIN_EXAMPLES``.

    Parameters
    ----------
    ensemble
        What the snapshot's ``ensemble_digest`` names; None where it is empty.
    examples
        Matured ones, in any order; the models may have learnt from them.

    Notes
    -----
    Deterministic: one shuffle, the same for every group and feature. Some 35 scorings of at most ``MAX_EXAMPLES``
    rows, half a second.

    References
    ----------
    Breiman 2001, "Random Forests", section 10. Fisher, Rudin & Dominici 2019, "All Models are Wrong, but Many are
    Useful", JMLR 20(177), equation 3 (as a ratio, less 1). Hooker, Mentch & Zhou 2021, "Unrestricted permutation forces
    extrapolation", is why groups are exchanged whole.
    """
    if len(examples.value_minor) < MIN_EXAMPLES:
        return None
    newest = np.argsort(examples.as_of_ms, kind="stable")[-MAX_EXAMPLES:]
    rows, actual = examples.features[newest], examples.value_minor[newest]
    scorer = SnapshotScorer(
        snapshot.horizon_days, snapshots=[snapshot], ensembles=[ensemble] if ensemble is not None else []
    )
    moments = np.full(len(rows), snapshot.learned_through_ms, dtype=np.int64)

    def deviance(asked: Floats) -> float:
        return float(tweedie_deviance(actual, scorer.score(asked, moments).clv).mean())

    usual = deviance(rows)
    rises = {name: deviance(asked) / usual - 1.0 for name, asked in _shuffled(rows)}
    return Importance(
        version=snapshot.version,
        example_count=len(rows),
        deviance=usual,
        groups={name: rises[name] for name in GROUP_NAMES},
        features={name: rises[name] for name in FEATURE_NAMES},
    )


def _shuffled(rows: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield each group and each feature with the rows in which it is another row's."""
    others = rows[np.random.default_rng(_SEED).permutation(len(rows))]
    everything = 2 ** len(GROUP_NAMES) - 1
    without = np.array([everything - (1 << place) for place in range(len(GROUP_NAMES))])
    made_up = hybrids(rows, others, without)
    for place, name in enumerate(GROUP_NAMES):
        yield name, np.ascontiguousarray(made_up[:, place])
    for place, name in enumerate(FEATURE_NAMES):
        asked = rows.copy()
        asked[:, place] = others[:, place]
        yield name, asked

"""The campaign: every target in chunks of its own seed, noted after each, so that it goes on where it was ended."""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.fuzz import events, files, http, records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from tests.fuzz.target import Target

TARGETS: dict[str, Callable[[Path], AbstractContextManager[Target]]] = {
    "event decoder": events.decoding,
    "event bytes": events.bytewise,
    "pipeline": events.pipeline,
    "output topics": records.reading,
    "sink and SQL": records.storing,
    "changelog rows": records.rows,
    "cursors": http.cursors,
    "files": files.files,
    "API": http.api,
}
CHUNK = 2_000
_MOST_CRASHES = 20


@dataclass
class Tally:
    """What came of a target's inputs so far; ``crashes`` keeps the first ones, ``crash_count`` counts all."""

    inputs: int = 0
    seconds: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    crash_count: int = 0
    crashes: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Campaign:
    """A campaign's seed, how many inputs each target gets, and what came of them."""

    seed: int
    inputs: dict[str, int]
    tallies: dict[str, Tally] = field(default_factory=dict)

    def run(self, note: Callable[[str, Tally], None]) -> None:
        """Hand in what is left of each target's inputs; ``note`` is called after each chunk."""
        for name, wanted in self.inputs.items():
            tally = self.tallies.setdefault(name, Tally())
            if tally.inputs >= wanted:
                continue
            with tempfile.TemporaryDirectory() as folder, TARGETS[name](Path(folder)) as target:
                while tally.inputs < wanted:
                    self._chunk(name, target, tally, min(CHUNK, wanted - tally.inputs))
                    note(name, tally)

    def _chunk(self, name: str, target: Target, tally: Tally, count: int) -> None:
        chunk = tally.inputs // CHUNK
        rng = Random(f"{self.seed}:{name}:{chunk}")
        verdicts = Counter(tally.verdicts)
        began = time.perf_counter()
        for place in range(count):
            given = target.draw(rng)
            try:
                verdicts[target.run(given)] += 1
            except Exception as problem:  # noqa: BLE001  # any is what is looked for
                tally.crash_count += 1
                if len(tally.crashes) < _MOST_CRASHES:
                    tally.crashes.append(_crash(problem, chunk, place, given))
        tally.seconds = round(tally.seconds + time.perf_counter() - began, 3)
        tally.inputs += count
        tally.verdicts = dict(sorted(verdicts.items()))

    @property
    def crash_count(self) -> int:
        """Crashes of all targets."""
        return sum(tally.crash_count for tally in self.tallies.values())

    def save(self, path: Path) -> None:
        """Write where the campaign is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


def resumed(path: Path, seed: int, inputs: Mapping[str, int]) -> Campaign:
    """Return the campaign that a file holds if it is this one, else a new one."""
    campaign = Campaign(seed, dict(inputs))
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if (found["seed"], found["inputs"]) == (seed, campaign.inputs):
            campaign.tallies = {name: Tally(**tally) for name, tally in found["tallies"].items()}
    return campaign


def _crash(problem: Exception, chunk: int, place: int, given: object) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(problem)).splitlines()[-14:]
    return {"chunk": chunk, "place": place, "input": repr(given)[:2_000], "trace": trace}

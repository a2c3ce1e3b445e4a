"""A campaign: faults of all kinds in seeded order, in runs of a deployment each; resumable run by run."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from benchmarks.chaos.checks import check
from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.stage import can_mount, staged
from benchmarks.measure import machine
from clv.errors import BrokerError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.chaos.stage import Plan, Stage

log = structlog.get_logger(__name__)
FAULTS_A_RUN = 25
RESUME_SECONDS = 120.0
"""Within which everything that lay there when a fault had been struck must be processed and stored."""
REST_SECONDS = 240.0


def kinds_for(plan: Plan, names: Sequence[str] = ()) -> list[str]:
    """Return the kinds that can be struck here, of the named ones or all.

    Raises
    ------
    InputError
        When a name is no kind's, or none of them can be struck here.
    """
    if unknown := [name for name in names if name not in KINDS]:
        raise InputError(f"there is no kind {unknown[0]!r}", f"known: {', '.join(KINDS)}")
    there = {"", "postgresql"} if plan.database_url else {"", "sqlite"} | ({"disk"} if can_mount() else set())
    found = [name for name, kind in KINDS.items() if (not names or name in names) and kind.needs in there]
    if not found:
        raise InputError("none of these kinds can be struck here", "the database kinds differ: see docs/reliability.md")
    return found


def order_of_faults(kinds: Sequence[str], count: int, seed: int) -> list[str]:
    """Return as many kinds, each as often as any other but for one, shuffled by a seed.

    Examples
    --------
    >>> sorted(order_of_faults(["a", "b"], 5, seed=1))
    ['a', 'a', 'a', 'b', 'b']
    """
    draw = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        found += draw.sample(list(kinds), min(len(kinds), count - len(found)))
    return found


def run_campaign(
    plan: Plan,
    *,
    faults: Sequence[str],
    seed: int,
    kept: Path | None = None,
    observe: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Strike faults in order and check after every ``FAULTS_A_RUN``; return what came of it.

    Parameters
    ----------
    plan
        How a deployment is run.
    kept
        A folder where each run's result is kept: those that are there already are not run again.
    observe
        Called with a word on what is done.

    Raises
    ------
    BrokerError
        When a deployment does not begin to work.
    """
    runs = []
    for number, start in enumerate(range(0, len(faults), FAULTS_A_RUN)):
        struck = list(faults[start : start + FAULTS_A_RUN])
        path = kept / f"run-{number:03d}.json" if kept else None
        done = json.loads(path.read_text()) if path and path.exists() else None
        if done is None or (done["seed"], done["struck"]) != (seed + number, struck):
            done = _run(plan, struck, seed + number, observe)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(done, indent=1))
        runs.append(done)
    return summed(runs, seed)


def summed(runs: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Sum up runs."""
    resumed: dict[str, list[float]] = {}
    for fault in [fault for run in runs for fault in run["faults"]]:
        resumed.setdefault(fault["kind"], []).append(fault["resume_seconds"])
    return {
        "faults": sum(len(run["faults"]) for run in runs),
        "kinds": dict(sorted(Counter(fault["kind"] for run in runs for fault in run["faults"]).items())),
        **{name: sum(run[name] for run in runs) for name in ("lost", "extra", "stuck", "duplicates_raw", "events")},
        "resume_seconds": {
            kind: {"median": round(statistics.median(seconds), 1), "most": round(max(seconds), 1)}
            for kind, seconds in sorted(resumed.items())
        },
        "seed": seed,
        "runs": list(runs),
        "machine": machine(),
    }


def _run(plan: Plan, struck: list[str], seed: int, observe: Callable[[str], None]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="clv-chaos-"))
    draw = random.Random(seed)
    began = time.monotonic()
    observe("starting a deployment")
    with staged(folder, plan, seed=seed) as stage:
        faults = [_strike(stage, kind, draw, observe) for kind in struck]
        observe("coming to rest")
        stage.feeder.stop()
        fed = stage.wait_until(lambda: stage.feeder.is_done, seconds=120)
        rested = stage.wait_until(stage.is_caught_up, seconds=REST_SECONDS)
        # One that has just been put out of the group is between its end and its next start.
        stage.wait_until(lambda: all(role.is_running for role in stage.roles.values()), seconds=REST_SECONDS)
        down = [role.name for role in stage.roles.values() if not role.is_running]
        observe("checking")
        places, topics = check(stage)
        exits = {role.name: role.exits for role in stage.roles.values() if role.exits}
        result = {
            "seed": seed,
            "struck": struck,
            "faults": faults,
            "lost": sum(place.lost for place in places.values()),
            "extra": sum(place.extra for place in places.values()),
            "stuck": (fed is None) + (rested is None) + len(down) + sum(fault["is_stuck"] for fault in faults),
            "duplicates_raw": topics.repeats,
            "events": stage.feeder.sent,
            "days": stage.feeder.days,
            "places": {name: place._asdict() for name, place in places.items()},
            "rest_seconds": rested,
            "exits": exits,
            "seconds": round(time.monotonic() - began, 1),
        }
    if result["lost"] or result["extra"] or result["stuck"]:
        log.error("a run has failed, its folder stays", folder=str(folder))
        result["folder"] = str(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _strike(stage: Stage, kind: str, draw: random.Random, observe: Callable[[str], None]) -> dict[str, Any]:
    """Strike one fault while work remains, and wait until all that lay there then is done."""
    observe(kind)
    sent = stage.feeder.sent
    stage.feeder.burst()
    lag = 0

    def is_busy() -> bool:
        nonlocal lag
        lag = stage.lag()
        return lag > 0 and stage.feeder.sent > sent

    if stage.wait_until(is_busy, seconds=60) is None:
        raise BrokerError("there is no work left to disturb", f"logs: {stage.settings.data_dir / 'logs'}")
    began = time.monotonic()
    KINDS[kind].strike(stage, draw)
    struck_seconds = time.monotonic() - began
    resumed = stage.wait_until(stage.has_passed(), seconds=RESUME_SECONDS)
    if resumed is None:
        log.error("work did not go on", after=kind)
    return {
        "kind": kind,
        "lag": lag,
        "fault_seconds": round(struck_seconds, 1),
        "resume_seconds": round(RESUME_SECONDS if resumed is None else resumed, 1),
        "is_stuck": resumed is None,
    }

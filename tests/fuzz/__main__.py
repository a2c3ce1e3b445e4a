"""``python -m tests.fuzz``: the campaign, with its progress, and its results as JSON."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import structlog
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.fuzz.campaign import TARGETS, Campaign, Tally, resumed

SHARES = {
    "sink and SQL": 0.005,
    "files": 0.003,
    "API": 0.004,
    "output topics": 0.03,
    "changelog rows": 0.05,
    "cursors": 0.05,
    "pipeline": 0.15,
    "event decoder": 0.208,
    "event bytes": 0.5,
}


def main() -> int:
    """Run the campaign to its end; 1 when anything crashed."""
    options = _options()
    # What is refused is logged, a million times.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()
    names = options.only or list(TARGETS)
    inputs = {name: round(options.inputs * SHARES[name]) for name in SHARES if name in names}
    campaign = resumed(options.resume, options.seed, inputs)
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        tasks = {name: progress.add_task(name, total=count, start=False) for name, count in inputs.items()}

        def note(name: str, tally: Tally) -> None:
            """Show how far a target is, and keep it."""
            progress.start_task(tasks[name])
            progress.update(tasks[name], completed=tally.inputs)
            campaign.save(options.resume)

        campaign.run(note)
    _report(campaign, options.out)
    return 1 if campaign.crash_count else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", epilog="example: python -m tests.fuzz --inputs 20000 --only pipeline"
    )
    parser.add_argument("--inputs", type=int, default=1_050_000, help="over all targets (default 1,050,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(TARGETS), help="one target; may be repeated")
    parser.add_argument("--resume", type=Path, default=Path(".fuzz/campaign.json"), help="where it goes on from")
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")
    return parser.parse_args()


def _report(campaign: Campaign, out: Path | None) -> None:
    for name, tally in campaign.tallies.items():
        sys.stdout.write(f"{name}: {tally.inputs:,} inputs, {tally.crash_count} crashes, {tally.seconds:.0f} s\n")
        for crash in tally.crashes[:3]:
            sys.stdout.write("  " + "\n  ".join(crash["trace"]) + f"\n  {crash['input'][:500]}\n")
    if out is not None:
        total = sum(tally.inputs for tally in campaign.tallies.values())
        found = {"inputs_total": total, "crashes_total": campaign.crash_count, "python": platform.python_version()}
        out.write_text(json.dumps(found | asdict(campaign), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

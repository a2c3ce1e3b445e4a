"""A campaign's result as text: what docs/reliability.md shows, and the command prints."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def summary(report: Mapping[str, Any]) -> str:
    """Return one sentence."""
    return (
        f"{report['faults']} faults of {len(report['kinds'])} kinds over {report['events']:,} records: "
        f"{report['lost']} lost, {report['extra']} extra, {report['stuck']} stuck; "
        f"{report['duplicates_raw']:,} output records repeated another"
    )


def kinds_table(report: Mapping[str, Any]) -> str:
    """Return how often each kind was struck, and how long it took until all that lay there then was done and stored."""
    lines = ["| Kind | Struck | Resumed after, median s | most s |", "|---|---|---|---|"]
    for kind, count in report["kinds"].items():
        took = report["resume_seconds"][kind]
        lines.append(f"| `{kind}` | {count} | {took['median']} | {took['most']} |")
    return "\n".join(lines)


def places_table(report: Mapping[str, Any]) -> str:
    """Return what was compared, summed over the runs, and what was lost and extra."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for run in report["runs"]:
        for name, place in run["places"].items():
            for column, figure in enumerate(("compared", "lost", "extra")):
                sums[name][column] += place[figure]
    lines = ["| Place | Compared | Lost | Extra |", "|---|---|---|---|"]
    lines += [f"| {name} | {compared:,} | {lost} | {extra} |" for name, (compared, lost, extra) in sums.items()]
    return "\n".join(lines)

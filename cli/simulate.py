"""``clv simulate``: try policies in a made-up market.

Example: ``clv simulate budget --seeds 10``
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from budget.simulation import Year

_LEAST_ROOM = 0.005
"""Gain of the clairvoyant below which there is nothing to reach."""
_HEADINGS = (
    *("Market", "equal", "50/35/15", "optimiser", "clairvoyant"),
    *("optimiser over the rule, 95 %", "loses", "over equal", "part reached"),
)
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Try policies in a made-up market."""


@app.command("budget")
def budget(
    *,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Markets of each scenario.")] = 50,
    weeks: Annotated[int, typer.Option("--weeks", min=13, help="Weeks that each lasts.")] = 52,
    scenario: Annotated[list[str] | None, typer.Option("--scenario", help="Only this one; may be repeated.")] = None,
    first_seed: Annotated[int, typer.Option("--seed", min=0, help="The first market's number.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for figures, table and picture.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="File of years lived; goes on where it ends.")] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let the optimiser, the 50/35/15 rule, equal shares and a clairvoyant spend the same money for a year.

    The optimiser sees its own past weeks alone. Interrupted, it goes on with --resume.

    Example:
        clv simulate budget --seeds 50 --out docs/budget
    """
    from budget.market import SCENARIOS
    from budget.simulation import live, summarise
    from clv.errors import InputError

    names = scenario or list(SCENARIOS)
    for name in names:
        if name not in SCENARIOS:
            raise InputError(f"there is no scenario {name!r}", f"one of: {', '.join(SCENARIOS)}")
    lived = _read(resume, weeks)
    years: list[Year] = []
    with _progress(len(names) * seeds) as advance:
        for name in names:
            for seed in range(first_seed, first_seed + seeds):
                year = lived.get((name, seed))
                if year is None:
                    year = live(SCENARIOS[name], seed, weeks)
                    _keep(resume, weeks, year)
                years.append(year)
                advance(f"{name}, market {seed}")
    report = {"weeks": weeks, "first_seed": first_seed, "scenarios": summarise(years)}
    if out is not None:
        _write(out, report)
    if is_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(table(report))


def table(report: dict[str, Any]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        f"| {' | '.join(_HEADINGS)} |",
        f"|{'---|' * len(_HEADINGS)}",
    ]
    for name, found in report["scenarios"].items():
        by_policy = found["value_per_money"]
        values = " | ".join(f"{by_policy[each]:.2f}" for each in ("equal", "rule", "optimiser", "clairvoyant"))
        gain, equal = found["optimiser_over_rule"], found["optimiser_over_equal"]
        has_room = found["clairvoyant_over_rule"]["mean"] > _LEAST_ROOM
        cells = (
            f"{gain['mean']:+.1%} ({gain['low']:+.1%} to {gain['high']:+.1%})",
            f"{gain['loses']:.0%}",
            f"{equal['mean']:+.1%}",
            f"{found['reached']:.0%}" if has_room else "-",
        )
        lines.append(f"| {name} | {values} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _write(out: Path, report: dict[str, Any]) -> None:
    from datetime import UTC, datetime

    out.mkdir(parents=True, exist_ok=True)
    dated = {"at": datetime.now(UTC).date().isoformat(), **report}
    (out / "simulation.json").write_text(json.dumps(dated, indent=2) + "\n", encoding="utf-8")
    (out / "simulation.md").write_text(table(report) + "\n", encoding="utf-8")
    _draw(out / "simulation.png", report)


def _draw(path: Path, report: dict[str, Any]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    found = report["scenarios"]
    names = list(found)
    figure, axes = plt.subplots(figsize=(9, 0.7 * len(names) + 1.6), layout="constrained")
    for kind, colour, marker, shift in (
        ("clairvoyant_over_rule", "#999999", "D", 0.15),
        ("optimiser_over_rule", "#0072B2", "o", -0.15),
    ):
        gains = [found[name][kind] for name in names]
        rows = [i + shift for i in range(len(names))]
        means = [100 * each["mean"] for each in gains]
        reach = [[100 * (g["mean"] - g["low"]) for g in gains], [100 * (g["high"] - g["mean"]) for g in gains]]
        axes.errorbar(
            means, rows, xerr=reach, fmt=marker, color=colour, capsize=3, label=kind.split("_")[0] + " over 50/35/15"
        )
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("realised CLV per money spent, % more than the rule's; bars: 95 % of the mean over markets")
    axes.set_title("What splitting the budget better is worth depends on the market", loc="left")
    axes.legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _read(path: Path | None, weeks: int) -> dict[tuple[str, int], Year]:
    from budget.simulation import Year
    from clv.errors import InputError

    if path is None or not path.exists():
        return {}
    import msgspec

    found: dict[tuple[str, int], Year] = {}
    try:
        for line in path.read_bytes().splitlines():
            kept = msgspec.json.decode(line, type=tuple[int, Year])
            if kept[0] == weeks:
                found[kept[1].scenario, kept[1].seed] = kept[1]
    except (OSError, msgspec.MsgspecError) as problem:
        raise InputError(f"{path} cannot be gone on with: {problem}", "name another file") from problem
    return found


def _keep(path: Path | None, weeks: int, year: Year) -> None:
    import msgspec

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(msgspec.json.encode((weeks, year)) + b"\n")


def _progress(total: int) -> Any:
    import contextlib

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextlib.contextmanager
    def shown() -> Any:
        """Give what is called after each year."""
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("living through years", total=total)
            yield lambda says: bar.update(task, advance=1, description=says)

    return shown()

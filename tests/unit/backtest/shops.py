"""A made-up shop for back-tests: orders, a predictions file and a run log, the same each time."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from typing import TYPE_CHECKING

from backtest.report.labels import net_days

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from backtest.report.labels import NetDays

FIRST = date(2024, 1, 1)
EPOCH = date(1970, 1, 1)
LAST = 299
HORIZON = 90
COLUMNS = (
    "customer_id",
    "as_of",
    "kind",
    "predicted",
    "lower",
    "upper",
    "btyd",
    "online",
    "champion",
    "scorer_version",
)

Orders = list[tuple[str, int, int]]
"""Customer, days since FIRST, net minor units; more than one a day is possible."""


def orders(customers: int = 60, seed: int = 5) -> Orders:
    """Return purchases and refunds over 300 days, both ends taken."""
    rng = random.Random(seed)
    rows: Orders = [("first", 0, 1000), ("last", LAST, 1000)]
    for number in range(customers):
        day = rng.randrange(150)
        while day <= LAST:
            value = rng.randrange(500, 9000)
            rows.append((f"c{number}", day, value))
            if rng.random() < 0.15:
                rows.append((f"c{number}", min(day + rng.choice([0, 7]), LAST), -value))
            day += 1 + int(rng.expovariate(1 / (20 + number)))
    return rows


def net_of(rows: Orders) -> NetDays:
    """Return the orders as the back-test takes them."""
    start = (FIRST - EPOCH).days
    return net_days(
        [name for name, _, _ in rows], [start + day for _, day, _ in rows], [v for *_, v in rows], currency="USD"
    )


def day_of(days: int) -> str:
    """Write a day of the shop as a date."""
    return (FIRST + timedelta(days=days)).isoformat()


def prediction(customer: str, day: int, predicted: object, **others: object) -> dict[str, object]:
    """Return a row of a predictions file."""
    return {"customer_id": customer, "as_of": day_of(day), "kind": "order", "predicted": predicted, **others}


def predictions(rows: Orders, seed: int = 6) -> list[dict[str, object]]:
    """Return a row for each day with an order and each 30th day after a first one, in a random order."""
    rng = random.Random(seed)
    known = sorted({(name, day) for name, day, value in rows if value > 0})
    first = {name: min(day for other, day in known if other == name) for name, _ in known}
    moments = {*known, *((name, day + 30) for name, day in first.items()), *((n, d + 90) for n, d in first.items())}
    found = [
        prediction(
            *(name, day, round(rng.expovariate(1 / 40), 2)),
            btyd=rng.choice([5.0, 20.0, 80.0]),
            online=rng.choice(["", 30.0, 60.0]),
            lower=0.0,
            upper=round(rng.uniform(10, 200), 2),
            champion="btyd" if day < 150 else "online",
            scorer_version=f"v{day // 28}",
        )
        for name, day in sorted(moments)
    ]
    rng.shuffle(found)
    return found


def write_predictions(path: Path, rows: Iterable[Mapping[str, object]], columns: Iterable[str] = COLUMNS) -> Path:
    """Write a predictions file; what a row lacks is empty."""
    names = list(columns)
    quoted = ([f'"{str(row.get(name, "")).replace(chr(34), chr(34) * 2)}"' for name in names] for row in rows)
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    path.write_text("\n".join([header, *(",".join(cells) for cells in quoted)]) + "\n", encoding="utf-8")
    return path


def write_run_log(path: Path, lines: Iterable[object]) -> Path:
    """Write a run log."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path

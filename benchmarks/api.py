"""How quickly the API answers over a large shop: requests at fixed times, whether the ones before are answered or not.

The shop's rows are written as the sink writes them, sums included; the API is a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import random
import re
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import msgspec
import numpy as np

from benchmarks.load import store_models
from clv.rules import DAY_MS
from clv.segments import SegmentPolicy, decide
from storage.batch import SinkBatch
from storage.engine import Database
from storage.sinking import write_batch
from streams.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clv.settings import Settings
    from models.scorer import SnapshotScorer

START_MS = 1_700_000_000_000
_BATCH = 4_000
_SEED = 1
_START_SECONDS = 60.0
_PAGE = 50
_CONNECTIONS = 100
_CUSTOMER = "/api/customers/{id}"
TARGETS_MS = {
    _CUSTOMER: 20.0,
    "first page": 50.0,
    "page in the middle": 50.0,
    "/api/dashboard/summary": 50.0,
    "POST /api/predict": 20.0,
}
"""Bounds of the 99th percentile."""
_POLICY = SegmentPolicy("bench", 0, 3_000, 800)
_FIGURES = {
    "total_orders": 8,
    "total_spent": 1240.0,
    "days_since_first_purchase": 400,
    "days_since_last_purchase": 20,
}


class Kind(NamedTuple):
    """A kind of request: how many a second, and what the next one asks for."""

    per_second: float
    ask: Callable[[random.Random], tuple[str, dict[str, Any] | None]]


class Asked(NamedTuple):
    """For how many seconds each kind of request is asked, and how often a second that for single customers."""

    seconds: float
    per_second: float


def measure_api(
    settings: Settings, scorer: SnapshotScorer, *, customers: int, asked: Asked, observe: Callable[[str], None]
) -> dict[str, Any]:
    """Fill the settings' empty database, start the API and ask it; return milliseconds by kind of request.

    Parameters
    ----------
    scorer
        Holds the models that predictions are made with.
    asked
        Of the other kinds than single customers ten requests a second are made, one kind after the other.
    """
    store_models(settings, scorer)
    fill(settings, customers, observe)
    # What the shop and the filling left behind must not be looked through while answers are waited for.
    gc.collect()
    gc.freeze()
    report: dict[str, Any] = {"customers": customers, "store": "sqlite" if not settings.database_url else "postgresql"}
    with _serving(settings) as address:
        report["predicted_by"], found = asyncio.run(_ask_all(address, customers, asked, observe))
    report["requests"] = {
        name: figures | {"target_p99_ms": TARGETS_MS[name], "is_within": figures["p99_ms"] <= TARGETS_MS[name]}
        for name, figures in found.items()
    }
    return report


def fill(settings: Settings, customers: int, observe: Callable[[str], None]) -> None:
    """Write customers into a database that has its tables, as a sink would."""
    database = Database(settings.sql_url)
    rng = np.random.default_rng(_SEED)
    try:
        for start in range(0, customers, _BATCH):
            size = min(_BATCH, customers - start)
            clv = np.floor(rng.lognormal(6.5, 1.2, size)).astype(int).tolist()
            ages = (rng.integers(0, 500, size) * DAY_MS).tolist()
            orders = rng.geometric(0.4, size).tolist()
            rows = {}
            for place in range(size):
                row = _row(start + place, clv[place], ages[place], orders[place])
                rows[row["customer_id"]] = row
            write_batch(database, SinkBatch(customers=rows))
            observe(f"{start + size:,} customers stored")
    finally:
        database.close()


def _row(number: int, clv_minor: int, age_ms: int, orders: int) -> dict[str, Any]:
    return {
        "customer_id": f"{number:07d}",
        "partition": number % 4,
        "segment": decide(clv_minor, None, _POLICY),
        "clv_minor": clv_minor,
        "clv_lower_minor": clv_minor // 3,
        "clv_upper_minor": clv_minor * 2,
        "clv_year_minor": clv_minor * 4,
        "horizon_days": 90,
        "currency": "USD",
        "confidence": "Medium",
        "churn_probability": 0.25,
        "expected_next_order_ms": START_MS + 30 * DAY_MS,
        "as_of_ms": START_MS,
        "cause": "order",
        "reason": "order",
        "btyd_minor": float(clv_minor),
        "glm_minor": float(clv_minor),
        "online_minor": float(clv_minor),
        "ensemble_minor": float(clv_minor),
        "model_versions": '{"scorer":"000001-bench","champion":"blend"}',
        "order_count": orders,
        "revenue_minor": orders * 4_000,
        "refunded_minor": 0,
        "first_order_ms": START_MS - age_ms - DAY_MS,
        "last_order_ms": START_MS - age_ms,
        "acquisition_source": ("google", "meta", "direct")[number % 3],
        "campaign_type": "",
        "score_event_id": f"e{number}",
    }


@contextlib.contextmanager
def _serving(settings: Settings) -> Iterator[str]:
    own = replace(settings, api_port=0, api_rate_per_second=100_000)
    log = settings.data_dir / "logs" / "api.log"
    command = [sys.executable, "-c", "from cli.main import main; main()", "api"]
    process = ChildProcess(command, log, environ=own.to_env())
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (found := re.search(r"url=(http://\S+)/", log.read_text(encoding="utf-8") if log.exists() else "")):
            if time.monotonic() > deadline or not process.is_running:
                raise RuntimeError(f"the API does not start, see {log}")
            time.sleep(0.1)
        yield found[1]
    finally:
        process.stop(signal_number=signal.SIGKILL)


async def _ask_all(
    address: str, customers: int, asked: Asked, observe: Callable[[str], None]
) -> tuple[str, dict[str, dict[str, float]]]:
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=60)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        middle, predicted_by = await _middle(session), await _predicted_by(session)
        pages = {"sort": "clv", "segment": "Growth-Potential", "limit": str(_PAGE)}
        query = "&".join(f"{name}={value}" for name, value in pages.items())
        kinds = {
            _CUSTOMER: Kind(asked.per_second, lambda rng: (f"/api/customers/{rng.randrange(customers):07d}", None)),
            "first page": Kind(10, lambda _: (f"/api/customers?{query}", None)),
            "page in the middle": Kind(10, lambda _: (f"/api/customers?{query}&cursor={middle}", None)),
            "/api/dashboard/summary": Kind(10, lambda _: ("/api/dashboard/summary", None)),
            "POST /api/predict": Kind(10, lambda _: ("/api/predict", _FIGURES)),
        }
        found = {}
        for name, kind in kinds.items():
            await _ask(session, kind, 1.0)  # the first ones open connections and load models
            found[name] = await _ask(session, kind, asked.seconds)
            observe(name)
        return predicted_by, found


async def _predicted_by(session: aiohttp.ClientSession) -> str:
    """Return which model answers a prediction."""
    async with session.post("/api/predict", json=_FIGURES) as answer:
        return str((await answer.json())["model"])


async def _middle(session: aiohttp.ClientSession) -> str:
    """Return the cursor of a page in the middle of a segment: built as the API builds them, from a customer's row."""
    async with session.get("/api/customers?segment=Growth-Potential&sort=clv&limit=1&max_clv=14") as answer:
        item = (await answer.json())["items"][0]
    parts = ("clv", "desc", round(item["clv"] * 100), item["customer_id"])
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


async def _ask(session: aiohttp.ClientSession, kind: Kind, seconds: float) -> dict[str, float]:
    """Send requests at their times and return percentiles of the time from when each was due until its answer."""
    rng, loop = random.Random(_SEED), asyncio.get_running_loop()
    taken: list[float] = []

    async def one(due: float) -> None:
        path, body = kind.ask(rng)
        async with session.request("POST" if body else "GET", path, json=body) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path} answered {answer.status}")
        taken.append(loop.time() - due)

    begun, tasks = loop.time() + 0.05, []
    for number in range(round(kind.per_second * seconds)):
        due = begun + number / kind.per_second
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    ms = np.array(taken) * 1000
    figures = {f"p{p}_ms": round(float(np.percentile(ms, p)), 2) for p in (50, 95, 99)}
    return {"per_second": kind.per_second, "requests": len(ms), **figures, "max_ms": round(float(ms.max()), 2)}

"""A shop whose orders went through the core with a published model, stored as the sink does: what the API reads."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from clv import topics
from clv.events import parse_time_ms
from clv.published import POLICY_NAME, SCORER_NAME, version_of
from clv.rules import DAY_MS, Rules
from clv.segments import Policies, SegmentPolicy
from clv.testing import PartitionRig, order, refund, tick
from clv.verdicts import Judgement
from models.bgnbd import TYPICAL
from models.btyd import BtydParams
from models.gamma_gamma import GammaGammaParams
from models.scorer import SnapshotScorer
from models.snapshot import ScorerSnapshot
from storage.artifacts import Artifact, put_artifacts
from storage.sinking import write_batch
from streams.codecs import to_record
from tests.contract.storage.outputs import CHANGELOG, Record, batch

if TYPE_CHECKING:
    from clv.outcomes import Outcome
    from storage.engine import Database

START_MS = parse_time_ms("2024-01-01T00:00:00Z")
CUSTOMERS = 60
DAYS = 150
POLICY = SegmentPolicy("000001-policy", START_MS, 4_000, 1_500)
SNAPSHOT = ScorerSnapshot(
    1,
    START_MS,
    90,
    btyd=BtydParams(TYPICAL, GammaGammaParams(1.0, 2.0, 4_000.0), 1_000, 300),
    champion="btyd",
    weights={"btyd": 1.0},
).named()
ODD_CUSTOMER = "a/b ü'\"<script>&%"
"""An id that only careful escaping survives; it is a plain customer."""


class Traded(NamedTuple):
    """What came of the shop, in order, and the state rows by key."""

    outcomes: list[Outcome]
    states: dict[str, bytes]


@cache
def traded() -> Traded:
    """Run the shop through the core."""
    rig = PartitionRig()
    rig.judgement = Judgement(SnapshotScorer(90, snapshots=[SNAPSHOT]), Policies([POLICY]), Rules(far_ahead_ms=10**15))
    dated = sorted(one for number in range(CUSTOMERS) for one in _history(number))
    outcomes: list[Outcome] = []
    for day in range(DAYS):
        outcomes += rig.feed([one for at_day, _, one in dated if at_day == day])
        outcomes += rig.feed([tick((START_MS + (day + 1) * DAY_MS) / 1000)])
    return Traded(outcomes, dict(rig.rows.rows))


def _history(number: int) -> list[tuple[int, str, tuple[bytes, bytes]]]:
    rng = random.Random(number)
    name = ODD_CUSTOMER if number == 0 else f"c{number:03d}"
    day = rng.uniform(0, 40)
    found: list[tuple[int, str, tuple[bytes, bytes]]] = []
    while day < DAYS:
        at = START_MS / 1000 + round(day * 86_400)
        number_of = f"o{number}-{len(found)}"
        found.append((int(day), number_of, order(name, number_of, at, f"{rng.randint(500, 9_000) / 100:.2f}")))
        if rng.random() < 0.1:
            returned = refund(name, f"r{number_of}", at + 3_600, "1.50", order_id=number_of)
            found.append((int(day), f"r{number_of}", returned))
        if rng.random() < 0.3:
            break
        day += rng.expovariate(1 / rng.uniform(5, 40)) + 0.01
    return found


def fill(database: Database) -> None:
    """Store the shop, its models and three dead letters."""
    policy = msgspec.json.encode(POLICY)
    snapshot = SNAPSHOT.to_bytes()
    put_artifacts(
        database,
        [
            Artifact(POLICY_NAME, version_of(1, Artifact(POLICY_NAME, "", policy, START_MS).digest), policy, START_MS),
            Artifact(SCORER_NAME, SNAPSHOT.version, snapshot, START_MS),
        ],
    )
    found = traded()
    records = []
    for offset, outcome in enumerate(found.outcomes):
        made = to_record(outcome)
        records.append(Record(made.topic, 0, offset, made.key, made.value, tuple(made.headers)))
    records += [Record(CHANGELOG, 0, n, key.encode(), row) for n, (key, row) in enumerate(found.states.items())]
    for offset in range(3):
        headers = (
            ("clv-reason", b"too_late" if offset else b"bad_amount"),
            ("clv-detail", b"an amount is negative"),
            ("clv-topic", topics.ORDERS.encode()),
            ("clv-partition", b"0"),
            ("clv-offset", str(100 + offset).encode()),
        )
        value = b'{"customer_id": "c1", "email": "a@b.example"}'
        records.append(Record(topics.DEAD_LETTERS, 0, offset, b"c1", value, headers))
    write_batch(database, batch(records))

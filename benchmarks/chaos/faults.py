"""The kinds of faults: what is done to a deployment, and how it is undone where it does not mend itself."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.chaos import database
from benchmarks.chaos.stage import WORKERS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from benchmarks.chaos.stage import Stage

FREEZE_SECONDS = (8.0, 14.0)
"""Past the workers' session timeout of six seconds: another has taken over meanwhile."""


class Kind(NamedTuple):
    """A kind of fault: what strikes, and what it needs: ``sqlite``, ``postgresql``, ``disk`` (a mount), or nothing."""

    strike: Callable[[Stage, random.Random], None]
    needs: str = ""


def _kill(name: str) -> Callable[[Stage, random.Random], None]:
    def strike(stage: Stage, draw: random.Random) -> None:
        role = stage.roles[name or draw.choice(WORKERS)]
        role.end()
        stage.wait(draw.uniform(0.0, 2.0))
        role.start()

    return strike


def _term_worker(stage: Stage, draw: random.Random) -> None:
    role = stage.roles[draw.choice(WORKERS)]
    role.end(signal.SIGTERM)
    stage.wait(draw.uniform(0.0, 2.0))
    role.start()


def _freeze(name: str) -> Callable[[Stage, random.Random], None]:
    def strike(stage: Stage, draw: random.Random) -> None:
        role = stage.roles[name or draw.choice(WORKERS)]
        role.send(signal.SIGSTOP)
        stage.wait(draw.uniform(*FREEZE_SECONDS))
        role.send(signal.SIGCONT)

    return strike


def _kill_broker(stage: Stage, draw: random.Random) -> None:
    stage.server.kill()
    stage.wait(draw.uniform(0.0, 4.0))
    stage.server.start()


def _unreachable(stage: Stage, _: random.Random) -> None:
    stage.proxy.is_silent = True
    stage.wait(stage.outage_seconds)
    stage.proxy.is_silent = False


def _slow(stage: Stage, draw: random.Random) -> None:
    stage.proxy.delay_seconds = draw.uniform(0.1, 0.5)
    stage.wait(8)
    stage.proxy.delay_seconds = 0.0


def _reset(stage: Stage, draw: random.Random) -> None:
    for _ in range(5):
        stage.proxy.reset()
        stage.wait(draw.uniform(0.1, 1.0))


def _rebalances(stage: Stage, draw: random.Random) -> None:
    for name in draw.sample(WORKERS, 3):
        stage.roles[name].end(draw.choice([signal.SIGTERM, signal.SIGKILL]))
        stage.wait(draw.uniform(0.0, 1.0))
        stage.roles[name].start()


def _poison(stage: Stage, _: random.Random) -> None:
    stage.feeder.add_poison()
    stage.wait(1)


def _clock_jump(stage: Stage, _: random.Random) -> None:
    stage.feeder.add_futures()
    stage.wait(1)


def _delete_store(stage: Stage, draw: random.Random) -> None:
    role = stage.roles[draw.choice(WORKERS)]
    role.end()
    shutil.rmtree(stage.settings.data_dir / role.name, ignore_errors=True)
    role.start()


def _corrupt_store(stage: Stage, draw: random.Random) -> None:
    """Overwrite the middle of every file of a store: tables, log, manifest."""
    role = stage.roles[draw.choice(WORKERS)]
    role.end()
    for path in Path(stage.settings.data_dir / role.name).rglob("*.rocksdb/*"):
        size = path.stat().st_size if path.is_file() else 0
        if size > 100 and path.name != "LOCK":
            with path.open("r+b") as file:
                file.seek(draw.randrange(size // 2, size - 50))
                file.write(draw.randbytes(50))
    role.start()


KINDS: dict[str, Kind] = {
    "kill_worker": Kind(_kill("")),
    "kill_sink": Kind(_kill("sink")),
    "kill_trainer": Kind(_kill("trainer")),
    "term_worker": Kind(_term_worker),
    "freeze_worker": Kind(_freeze("")),
    "freeze_sink": Kind(_freeze("sink")),
    "kill_broker": Kind(_kill_broker),
    "broker_unreachable": Kind(_unreachable),
    "slow_connections": Kind(_slow),
    "reset_connections": Kind(_reset),
    "rebalances": Kind(_rebalances),
    "poison": Kind(_poison),
    "clock_jump": Kind(_clock_jump),
    "store_deleted": Kind(_delete_store),
    "store_corrupted": Kind(_corrupt_store),
    "database_locked": Kind(database.lock),
    "database_away": Kind(database.remove, "sqlite"),
    "database_killed": Kind(database.disconnect, "postgresql"),
    "database_read_only": Kind(database.refuse_writes, "postgresql"),
    "disk_full": Kind(database.fill_disk, "disk"),
    "artifact_corrupted": Kind(database.corrupt_artifact),
    "announcement_corrupted": Kind(database.corrupt_announcement),
}

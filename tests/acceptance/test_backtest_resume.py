"""An interrupted back-test goes on, and ends with the bytes of one that nobody interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backtest.runlog import RunEnd
from backtest.runner import BacktestOptions, checkpoint_path, run_backtest, run_log_path
from clv.settings import Settings
from tests.unit.backtest.logs import ListLog, order, shop_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backtest.runner import BacktestResult

SETTINGS = Settings(refit_days=45, horizon_days=45)
DAYS = 200


class Crash(Exception):
    """The process is gone, as far as the run is concerned."""


@pytest.fixture(scope="module")
def shop() -> ListLog:
    """Give a made-up shop."""
    return shop_log(140, DAYS)


@pytest.fixture(scope="module")
def expected(shop: ListLog, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Give predictions and run log of a run that nobody interrupts."""
    out = tmp_path_factory.mktemp("whole") / "p.csv"
    run_backtest(shop, BacktestOptions(settings=SETTINGS, out=out))
    assert all(out.read_bytes().splitlines()[-1].split(b",")), "every candidate answers at the end"
    return contents(out)


def contents(out: Path) -> tuple[bytes, bytes]:
    """Return predictions and run log."""
    return out.read_bytes(), run_log_path(out).read_bytes()


def stopping_after(days: int) -> Callable[[], bool]:
    """Return a question that is answered with yes from so many days on."""
    asked = 0

    def is_stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked >= days

    return is_stopping


def run(log: ListLog, out: Path, *, days: int = 10_000, **options: object) -> BacktestResult:
    """Run until so many days have passed in this process."""
    given = {"settings": SETTINGS, "out": out, "is_stopping": stopping_after(days)} | options
    return run_backtest(log, BacktestOptions(**given))  # type: ignore[arg-type]  # options of a test


@pytest.mark.parametrize("days", [[1, 2], [46, 1, 60], [91, 44]], ids=str)
def test_stopped_and_resumed_it_writes_the_same_bytes(
    shop: ListLog, expected: tuple[bytes, bytes], tmp_path: Path, days: list[int]
) -> None:
    """However often it is stopped, before, at and after refits, predictions and run log are those of one run."""
    out = tmp_path / "p.csv"
    for some in days:
        assert run(shop, out, days=some).end is None
        assert not out.exists()
    result = run(shop, out)
    assert result.resumed_from != ""
    assert contents(out) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.run.jsonl"]


def test_after_a_crash_it_goes_on_from_the_last_checkpoint(
    shop: ListLog, expected: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """What was written after the checkpoint is cut off and written again."""
    out, passed = tmp_path / "p.csv", 0

    def crash(_events: int, _at_ms: int) -> None:
        nonlocal passed
        passed += 1
        if passed == 120:
            raise Crash

    with pytest.raises(Crash):
        run(shop, out, observe=crash, save_days=50)
    part = out.with_name("p.csv.part")
    written = part.stat().st_size
    part.write_bytes(part.read_bytes() + b"half a li" + bytes(2 * len(expected[0])))
    result = run(shop, out)
    assert contents(out) == expected
    assert result.moments < result.counts.moments
    assert written < len(expected[0])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: checkpoint_path(out).write_bytes(b"\x81"),
        lambda out: out.with_name("p.csv.part").write_bytes(b"customer"),
        lambda out: run_log_path(out).with_name("p.run.jsonl.part").unlink(),
    ],
    ids=["torn checkpoint", "short predictions", "no run log"],
)
def test_what_cannot_be_gone_on_from_is_begun_anew(
    shop: ListLog, expected: tuple[bytes, bytes], tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """A checkpoint that cannot be read, or whose files are gone, costs time and nothing else."""
    out = tmp_path / "p.csv"
    run(shop, out, days=60)
    spoil(out)
    assert run(shop, out).resumed_from == ""
    assert contents(out) == expected


def test_other_options_begin_anew(shop: ListLog, tmp_path: Path) -> None:
    """A checkpoint counts for its own log, horizon and refit interval; ``--restart`` passes over it."""
    out, head = tmp_path / "p.csv", shop.until(30)
    run(head, out, days=20)
    assert run(head, out, days=1, settings=Settings(refit_days=46, horizon_days=45)).resumed_from == ""
    run(head, out, days=20)
    assert run(shop.until(31), out, days=1).resumed_from == ""
    run(head, out, days=20)
    assert run(head, out, days=1, is_restarted=True).resumed_from == ""
    run(head, out, days=20)
    assert run(head, out).resumed_from != ""


def test_a_wrong_year_makes_nothing_come_true(shop: ListLog, expected: tuple[bytes, bytes], tmp_path: Path) -> None:
    """An order of 2092 is refused, and does not make the log's last days a time whose outcome is known."""
    out = tmp_path / "p.csv"
    result = run(ListLog([*shop.events, order("astray", 25_000, 500)]), out)
    whole = msgspec.json.decode(expected[1].splitlines()[-1], type=RunEnd)
    assert result.end is not None
    assert (result.end.scored_to, result.end.scored) == (whole.scored_to, whole.scored)


@pytest.mark.parametrize("customers", [[], ["a"], ["a", "b", "c"]], ids=len)
def test_a_log_of_hardly_anyone_ends_without_figures(tmp_path: Path, customers: list[str]) -> None:
    """Of nobody, or of three who bought once, there is a file of predictions, and nothing to score."""
    out = tmp_path / "p.csv"
    result = run(ListLog([order(customer, day, 500) for day, customer in enumerate(customers)]), out)
    assert result.end is not None
    assert (result.end.moments, result.end.scored, result.end.coverage) == (len(customers), {}, None)
    assert len(out.read_text().splitlines()) == 1 + len(customers)

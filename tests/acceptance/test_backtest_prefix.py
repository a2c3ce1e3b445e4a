"""The prefix law: what a back-test says up to a day does not change when everything after that day is cut away.

The check is shown to see leaks: labels learned before their horizon has passed, features, histories and
windows from the end.
"""

from __future__ import annotations

import csv
import gzip
import random
from typing import TYPE_CHECKING

import pytest

from backtest.days import days_of
from backtest.engine import Engine
from backtest.learning import Learning
from backtest.partition import MemoryPartition
from backtest.runner import BacktestOptions, run_backtest
from clv.events import parse_time_ms
from clv.outcomes import TrainingExample
from clv.rules import Rules
from clv.settings import Settings
from producers.orderlog import LogOptions, read_order_log
from tests.conftest import ROOT
from tests.unit.backtest.logs import ListLog, order, shop_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from backtest.runner import BacktestLog
    from clv.outcomes import Outcome
    from models.histories import Past

SETTINGS = Settings(refit_days=60, horizon_days=60)
RULES = Rules.from_settings(SETTINGS)
SHOP_DAYS, SHOP_CUTS = 280, (100, 187, 250)
CDNOW_CUTS = ("1997-03-25", "1997-11-09", "1998-03-31")


def predictions(log: BacktestLog, folder: Path, settings: Settings = SETTINGS) -> bytes:
    """Run a back-test and return its file of predictions."""
    out = folder / "predictions.csv"
    assert run_backtest(log, BacktestOptions(settings=settings, out=out, is_restarted=True)).end is not None
    return out.read_bytes()


def all_answer(said: bytes) -> bool:
    """Tell whether every candidate answers in the last line: without models, there would be nothing to leak."""
    return all(said.splitlines()[-1].split(b","))


def first_difference(whole: bytes, cut: bytes) -> str:
    """Return the first line in which a cut log's predictions differ from the whole log's, empty where none does.

    The cut log's file must be the beginning of the whole log's, to the last byte.
    """
    if whole.startswith(cut):
        return ""
    lines = zip(whole.splitlines(), [*cut.splitlines(), b""], strict=False)
    return next((f"{one!r} or {other!r}" for one, other in lines if one != other), "length")


@pytest.fixture(scope="module")
def shop() -> ListLog:
    """Give a made-up shop with refunds, some of them before their orders."""
    return shop_log(160, SHOP_DAYS)


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BacktestLog]:
    """Give a function that reads six hundred of CDNOW's customers up to a date."""
    with gzip.open(ROOT / "data" / "cdnow_orders.csv.gz", "rt", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    chosen = set(random.Random(5).sample(sorted({row[0] for row in rows}), 600))
    folder = tmp_path_factory.mktemp("cdnow")

    def until(date: str) -> BacktestLog:
        path = folder / f"{date}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *(row for row in rows if row[0] in chosen and row[1] <= date)])
        return read_order_log(path, LogOptions())

    return until


def test_nothing_later_reaches_a_prediction_in_a_shop(shop: ListLog, tmp_path: Path) -> None:
    """Cut at three days, among them one of the last refits, the predictions up to the cut are the same bytes."""
    whole = predictions(shop, tmp_path)
    assert all_answer(whole)
    for cut in SHOP_CUTS:
        said = predictions(shop.until(cut), tmp_path)
        assert len(said.splitlines()) > 100
        assert first_difference(whole, said) == ""


@pytest.mark.slow
def test_nothing_later_reaches_a_prediction_in_cdnow(cdnow: Callable[[str], BacktestLog], tmp_path: Path) -> None:
    """Six hundred real customers, cut at three dates: the predictions up to the cut are the same bytes."""
    settings = Settings(refit_days=84)
    whole = predictions(cdnow("1999-01-01"), tmp_path, settings)
    assert all_answer(whole)
    for date in CDNOW_CUTS:
        said = predictions(cdnow(date), tmp_path, settings)
        assert said.splitlines()[-1].split(b",")[1] == date.encode()
        assert first_difference(whole, said) == ""


def with_early_labels(log: ListLog, patch: pytest.MonkeyPatch) -> None:
    """Let each example be learned on the day of its prediction, with the label that the log will give it."""
    found: list[TrainingExample] = []
    take = Learning.take

    def note(self: Learning, outcomes: Iterable[Outcome]) -> None:
        given = list(outcomes)
        found.extend(one for one in given if isinstance(one, TrainingExample))
        take(self, given)

    with pytest.MonkeyPatch.context() as first:
        first.setattr(Learning, "take", note)
        pass_all(log)
    waiting = sorted(found, key=lambda one: (parse_time_ms(one.as_of), one.customer_id))

    def release(_self: Learning, now_ms: int) -> list[TrainingExample]:
        ready = [one for one in waiting if parse_time_ms(one.as_of) < now_ms]
        del waiting[: len(ready)]
        return ready

    patch.setattr(Learning, "_release", release)


def with_last_features(log: ListLog, patch: pytest.MonkeyPatch) -> None:
    """Let features be those of the log's end."""
    end = pass_all(log)
    features = MemoryPartition.features
    patch.setattr(MemoryPartition, "features", lambda _self, customer, as_of_ms: features(end, customer, as_of_ms))


def with_last_histories(log: ListLog, patch: pytest.MonkeyPatch) -> None:
    """Let the base be fitted to the customers as they are at the log's end."""
    end = pass_all(log)

    past = Learning.past

    def leaking(self: Learning, now_ms: int) -> Past | None:
        honest, leaked = past(self, now_ms), end.past(log.events[-1].occurred_ms, RULES)
        return honest and leaked and honest._replace(histories=leaked.histories)

    patch.setattr(Learning, "past", leaking)


def with_last_windows(log: ListLog, patch: pytest.MonkeyPatch) -> None:
    """Let the regression be fitted to windows that last until the log's end."""
    end = pass_all(log)
    past = Learning.past

    def leaking(self: Learning, now_ms: int) -> Past | None:
        honest, leaked = past(self, now_ms), end.past(log.events[-1].occurred_ms, RULES)
        return honest and leaked and honest._replace(windows=leaked.windows)

    patch.setattr(Learning, "past", leaking)


def pass_all(log: ListLog) -> MemoryPartition:
    """Return the partition at the end of a log."""
    engine = Engine(SETTINGS)
    for day in days_of(log):
        engine.pass_day(day)
    return engine.partition


@pytest.mark.parametrize("leak", [with_early_labels, with_last_features, with_last_histories, with_last_windows])
def test_a_leak_is_seen(shop: ListLog, tmp_path: Path, leak: Callable[[ListLog, pytest.MonkeyPatch], None]) -> None:
    """A back-test that peeks, in one of four ways, breaks the law, and the check above says where."""
    said = []
    for log in (shop, shop.until(SHOP_CUTS[1])):
        with pytest.MonkeyPatch.context() as patch:
            leak(log, patch)
            said.append(predictions(log, tmp_path))
    assert first_difference(*said) != ""


def test_the_day_of_the_cut_is_whole(tmp_path: Path) -> None:
    """The last day's predictions are made at its midnight, however early its last event was."""
    log = ListLog([order("a", 0, 500), order("b", 0.5, 700), order("a", 30.01, 500), order("b", 31.9, 100)])
    said = predictions(log.until(30), tmp_path)
    assert [line.split(b",")[:3] for line in said.splitlines()[-2:]] == [
        [b"a", b"2024-01-31", b"order"],
        [b"b", b"2024-01-31", b"tick"],
    ]
    assert first_difference(predictions(log, tmp_path), said) == ""

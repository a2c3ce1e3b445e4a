"""The report: its numbers re-derived by brute force, its page checked for what it must and must not hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from backtest.report.page import Options, verdict, write_report
from tests.unit.backtest import shops

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backtest.report.page import Report

HOSTILE = "<script>alert('$x_{$')</script>"
ALL_SLUGS = {
    *("deviance-over-time", "calibration", "cumulative-gain", "totals-over-time", "ratio-by-order-count", "coverage"),
    *("champion", "importance", "expected-orders", "probability-alive"),
}
IMPORTANCE: dict[str, Any] = {
    "version": "000004-ab",
    "example_count": 1_200,
    "deviance": 2.5,
    "groups": {"value": 0.25, "history": 0.625, "silence": 0.5, HOSTILE: -0.001},
    "features": {f"feature_{number}": number / 100 for number in range(20)} | {"order_count": 0.3},
}
RUN_LOG = [
    {"kind": "refit", "as_of": "2024-04-15", "weights": {"btyd": 1.0}, "importance": IMPORTANCE},
    {
        "kind": "refit",
        "as_of": "2024-05-13",
        "weights": {"btyd": 0.5, "online": 0.5},
        "alarms": [{"detector": "error:order", "at": "2024-05-12T00:00:00Z", "before": 1, "after": 0.4712}],
    },
]


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.within: list[tuple[str, ...]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the tag and where it stands."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.within.append(tuple(self.open))
        if tag not in {"meta", "img", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last, and nothing else."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember the words."""
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def report_of(
    folder: Path,
    rows: shops.Orders,
    given: Iterable[dict[str, object]],
    *,
    columns: Iterable[str] = shops.COLUMNS,
    run_log: Iterable[object] | None = None,
) -> Report:
    """Write a report into ``folder/report``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = shops.write_predictions(folder / "predictions.csv", given, columns)
    log = shops.write_run_log(folder / "run.jsonl", run_log) if run_log is not None else None
    return write_report(shops.net_of(rows), path, folder / "report", run_log=log, options=Options(title="A <b> shop"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Report of a run that tells everything."""
    rows = shops.orders()
    return report_of(tmp_path_factory.mktemp("full"), rows, shops.predictions(rows), run_log=RUN_LOG)


def brute_force(rows: shops.Orders) -> dict[tuple[str, int], tuple[str, float]]:
    """Return kind and label of each scored moment, straight from the protocol's words."""
    net: dict[tuple[str, int], int] = {}
    for name, day, value in rows:
        net[name, day] = net.get((name, day), 0) + value
    bought = {moment for moment, value in net.items() if value > 0}
    due = dict.fromkeys(bought, "order")
    for name in {name for name, _ in bought}:
        first = min(day for other, day in bought if other == name)
        for days in (30, 60, 90, 180, 270, 365):
            due.setdefault((name, first + days), "tick")
    return {
        (name, day): (kind, max(sum(v for (n, d), v in net.items() if n == name and day < d <= day + 90), 0) / 100)
        for (name, day), kind in due.items()
        if 105 <= day <= shops.LAST - 90
    }


def brute_metrics(actual: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the protocol's metrics by textbook formulas and loops."""
    shuffled = np.random.default_rng(0).permutation(len(actual))
    y, p = actual[shuffled], predicted[shuffled]
    floored = np.maximum(p, y.mean() / 1000)
    deviance = 2 * (-4 * np.sqrt(y) + 2 * y / np.sqrt(floored) + 2 * np.sqrt(floored))
    order = np.argsort(-p, kind="stable")
    tenths = [order[[i for i in range(len(y)) if i * 10 // len(y) == k]] for k in range(10)]
    best = np.argsort(-y, kind="stable")

    def area(values: np.ndarray[Any, Any]) -> float:
        return float(2 * (np.cumsum(values) / values.sum()).mean() - 1)

    tied = np.array([y[p == value].mean() for value in p[order]])
    return {
        "n": len(y),
        "mean_actual": y.mean(),
        "deviance": deviance.mean(),
        "mae": np.abs(y - p).mean(),
        "rmse": np.sqrt(((y - p) ** 2).mean()),
        "r2": 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum(),
        "gini": area(tied) / area(y[best]),
        "spearman": float(stats.spearmanr(y, p).statistic),
        "ratio": p.sum() / y.sum(),
        "decile_mape": np.mean([abs(p[t].mean() - y[t].mean()) / max(y[t].mean(), 1e-9) for t in tenths]),
        "top_decile_share": y[order[: len(y) // 10]].sum() / y.sum(),
        "max_predicted": p.max(),
    }


def test_metrics_are_what_the_protocol_says(full: Report) -> None:
    """Labels, kinds and every metric of every model equal a second derivation, to a billionth."""
    rows = shops.orders()
    due = brute_force(rows)
    moments = {shops.day_of(day): day for day in range(shops.LAST + 200)}
    given = {(str(row["customer_id"]), moments[str(row["as_of"])]): row for row in shops.predictions(rows)}
    scored = [(due[moment], row) for moment, row in given.items() if moment in due]
    assert len(scored) == full.metrics["given_moments"] > 100
    assert full.metrics["expected_moments"] == len(due)
    for name in ("predicted", "btyd", "online"):
        for kind in ("all", "order", "tick"):
            part = [(label, row[name]) for (k, label), row in scored if kind in {"all", k} and row[name] != ""]
            expected = brute_metrics(np.array([a for a, _ in part]), np.array([p for _, p in part], dtype=np.float64))
            assert full.metrics["metrics"][name][kind] == pytest.approx(expected, rel=1e-9), (name, kind)


def test_coverage_is_counted(full: Report) -> None:
    """An interval's ends belong to it."""
    rows = shops.orders()
    due = {(name, shops.day_of(day)): label for (name, day), (_, label) in brute_force(rows).items()}
    held = [
        0.0 <= due[moment] <= float(str(row["upper"]))
        for row in shops.predictions(rows)
        if (moment := (str(row["customer_id"]), str(row["as_of"]))) in due
    ]
    assert full.metrics["interval"]["coverage"] == pytest.approx(np.mean(held))
    assert full.metrics["interval"]["nominal"] == 0.9


def test_the_same_inputs_give_the_same_bytes(full: Report, tmp_path: Path) -> None:
    """Nothing depends on the hour, the machine's mood or chance."""
    rows = shops.orders()
    again = report_of(tmp_path, rows, shops.predictions(rows), run_log=RUN_LOG)
    for one, other in zip(
        (full.metrics_path, full.html_path, *full.picture_paths),
        (again.metrics_path, again.html_path, *again.picture_paths),
        strict=True,
    ):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_metrics_json_is_what_was_returned(full: Report) -> None:
    """Whoever reads the file gets the numbers that the caller got."""
    assert json.loads(full.metrics_path.read_text()) == json.loads(json.dumps(full.metrics))
    assert full.metrics["champion_days"].keys() == {"btyd", "online"}


def test_drift_is_a_table_where_there_was_some(full: Report, tmp_path: Path) -> None:
    """The day, the detector, what was expected and what came; nothing without an alarm."""
    said = full.html_path.read_text()
    assert all(part in said for part in ("Detectors that fired", "2024-05-12", "error:order", "0.471"))
    rows = shops.orders()
    calm = report_of(tmp_path, rows, shops.predictions(rows), run_log=RUN_LOG[:1])
    assert "Detectors that fired" not in calm.html_path.read_text()


def test_every_picture_has_words_and_a_table(full: Report) -> None:
    """Each image is embedded and described, and its numbers stand in a folded table behind it."""
    page = Page(full.html_path.read_text())
    images = page.all("img")
    tables = [within for (tag, _), within in zip(page.tags, page.within, strict=True) if tag == "table"]
    assert {path.stem for path in full.picture_paths} == ALL_SLUGS
    assert len(images) == len(ALL_SLUGS) == len(page.all("details"))
    assert sum("details" in within for within in tables) == len(ALL_SLUGS)
    assert all(len(image["alt"]) > 60 and image["src"].startswith("data:image/png;base64,iVBOR") for image in images)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in full.picture_paths)
    assert page.open == []


def test_importance_tells_what_costs_most(full: Report) -> None:
    """Its title names the three groups that the deviance needs most; its table holds all of them and every feature."""
    page = Page(full.html_path.read_text())
    words = " ".join(page.words)
    assert "History counts most: shuffled between customers, it raises the deviance by 62.5 %; silence 50.0 %" in words
    assert {*IMPORTANCE["groups"], *IMPORTANCE["features"]} <= set(page.words)
    assert "−0.1 %" in page.words


def test_the_page_asks_nothing_of_anybody(full: Report) -> None:
    """No script, no address, nothing loaded; it says so to the browser, and suits dark rooms."""
    text = full.html_path.read_text()
    page = Page(re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text))
    assert not re.search(r"https?:|//\w|@import|url\(", "".join(map(str, page.tags)) + "".join(page.words))
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "form"} == set()
    assert "default-src 'none'" in page.all("meta")[-1]["content"]
    assert "prefers-color-scheme: dark" in text
    assert page.all("html") == [{"lang": "en"}]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Names of customers, models and features come from outside: none becomes markup or a formula."""
    rows = [(HOSTILE if name == "c1" else name, day, value) for name, day, value in shops.orders()]
    given = [{**row, HOSTILE: 9.0, "champion": HOSTILE, "predicted": 9.0} for row in shops.predictions(rows)]
    worst = max(brute_force(rows), key=lambda moment: (moment[0] == HOSTILE, -moment[1]))
    given = [{**row, "predicted": 1e6 if row["customer_id"] == worst[0] else 9.0} for row in given]
    columns = ("customer_id", "as_of", "predicted", HOSTILE, "btyd", "champion")
    report = report_of(tmp_path, rows, given, columns=columns, run_log=RUN_LOG)
    text = report.html_path.read_text()
    page = Page(text)
    assert "<script" not in text
    assert page.words.count(HOSTILE) >= 4  # a model's metrics and its days, a feature, a customer
    assert "A <b> shop" in page.words
    assert page.all("b") == []


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """A bare file and no run log leave three pictures out, each with a sentence; the rest is there."""
    rows = shops.orders()
    columns = ("customer_id", "as_of", "predicted")
    stale = tmp_path / "report" / "coverage.png"
    stale.parent.mkdir()
    stale.write_bytes(b"an earlier report's")
    report = report_of(tmp_path, rows, shops.predictions(rows), columns=columns)
    text = report.html_path.read_text()
    assert not stale.exists()
    assert ALL_SLUGS - {path.stem for path in report.picture_paths} == {"coverage", "champion", "importance"}
    assert "has no intervals" in text
    assert "which model answered" in text
    assert "no feature importance" in text
    assert "holds no BTYD column" in text
    assert (report.metrics["interval"], report.metrics["deviance_difference"]) == (None, {})


def test_nothing_came_of_anything(tmp_path: Path) -> None:
    """A log after whose moments nobody bought again still gives a report, with what can be said."""
    rows: shops.Orders = [("first", 0, 1000), *((f"c{n}", 110 + n, 1000) for n in range(30)), ("last", 299, 500)]
    given = [shops.prediction(f"c{n}", 110 + n, 5 + n, btyd=4.0, lower=0, upper=1) for n in range(30)]
    report = report_of(tmp_path, rows, given)
    missing = ALL_SLUGS - {path.stem for path in report.picture_paths}
    assert missing == {"calibration", "cumulative-gain", "ratio-by-order-count", "champion", "importance"}
    assert report.metrics["metrics"]["predicted"]["all"]["ratio"] is None
    assert report.metrics["interval"]["coverage"] == 1.0


def test_a_single_moment_is_enough(tmp_path: Path) -> None:
    """However little there is, nothing breaks."""
    rows = [("first", 0, 1000), ("a", 110, 900), ("a", 120, 500), ("last", 299, 1)]
    report = report_of(tmp_path, rows, [shops.prediction("a", 110, 5, btyd=5.0, champion="btyd")])
    assert report.metrics["metrics"]["predicted"]["all"]["n"] == 1
    assert report.metrics["missing_moments"] == 5


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, -0.1, "The score predicts better"),
        (0.1, 0.2, "BTYD alone predicts better"),
        (-0.1, 0.2, "cannot be told apart"),
    ],
)
def test_the_verdict_follows_the_interval(low: float, high: float, words: str) -> None:
    """Better, worse or not to be told apart: as the bootstrap interval lies below, above or about 0."""
    paired = {"n": 9, "customers": 3, "difference": (low + high) / 2, "ci95": (low, high)}
    assert words in verdict({"deviance_difference": {"btyd": paired}})

"""Alerts and scraping read what the roles show: names, labels and their values; promtool tries every alert."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import generate_latest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.deployment import queries
from tests.docs import pages
from tests.metrics_catalogue import ROLES, catalogue, registries, samples

if TYPE_CHECKING:
    from tests.metrics_catalogue import Described

FOLDER = ROOT / "deploy" / "prometheus"
TRIALS = FOLDER / "alerts.test.yml"
OF_PROMETHEUS = {"up": ("job", "instance"), "ALERTS": ("alertname", "alertstate", "severity")}
OF_PROCESSES = ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds")
OF_TARGETS = {"job", "instance"}
RULES = queries.rules()
PROMTOOL = shutil.which("promtool") or str(ROOT / ".promtool" / "promtool")


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """The labels of every series that is there, by its name."""
    return series_shown(catalogue())


def series_shown(metrics: dict[str, list[Described]]) -> dict[str, set[str]]:
    """Return the labels of every series, those that Prometheus adds included, by its name."""
    found = {name: set(labels) for name, labels in OF_PROMETHEUS.items()} | {
        name: set(OF_TARGETS) for name in OF_PROCESSES
    }
    for metric in (each for of_role in metrics.values() for each in of_role):
        for name in samples(metric):
            found[name] = {*metric.labels, *OF_TARGETS, *(("le",) if name.endswith("_bucket") else ())}
    return found


def unknown(text: str, shown: dict[str, set[str]]) -> list[str]:
    """Return what a query names that there is not: series, or labels of them."""
    query = queries.take_apart(text)
    wrong = [selector.name for selector in query.selectors if selector.name not in shown]
    known = [selector for selector in query.selectors if selector.name in shown]
    wrong += [f"{each.name}.{name}" for each in known for name, _ in each.labels if name not in shown[each.name]]
    return wrong + [name for name in query.grouped_by if not any(name in shown[each.name] for each in known)]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_reads_series_that_there_are(rule: dict[str, Any], shown: dict[str, set[str]]) -> None:
    """Its query is one, and names series, labels and groups that the roles show; so does what it says."""
    assert unknown(rule["expr"], shown) == []
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    query = queries.take_apart(rule["expr"])
    assert told <= set().union(*(shown[selector.name] for selector in query.selectors))


def test_a_query_of_what_is_not_there_is_found_out(shown: dict[str, set[str]]) -> None:
    """A misspelt series, label and group each show, and half a query is none."""
    assert unknown('rate(clv_worker_record_total{outcome="dead"}[5m])', shown) == ["clv_worker_record_total"]
    assert unknown('clv_worker_records_total{reason="dead"}', shown) == ["clv_worker_records_total.reason"]
    assert unknown("sum by (step) (clv_worker_records_total)", shown) == ["step"]
    with pytest.raises(ValueError, match="unclosed"):
        unknown("sum(rate(clv_worker_records_total[5m])", shown)


def test_alerts_ask_for_values_that_there_are() -> None:
    """Whatever word an alert wants a label to be is one that the code gives it, where the code knows them all."""
    wanted = {
        (name, value)
        for rule in RULES
        for selector in queries.take_apart(rule["expr"]).selectors
        for name, matched in selector.labels
        for value in queries.alternatives(matched)
    }
    from observability import ads, sink

    given = {("source", "outputs"), ("outcome", ads.DONE), ("model", "clv")}
    given |= {("status", status) for status in ads.STATUSES} | {("what", what) for what in sink.LAGS}
    assert wanted <= given, wanted - given


def test_an_alert_has_a_severity_and_a_row_on_the_page() -> None:
    """The page's table has every alert, in the file's order, with what to do, and no other."""
    rows = re.findall(r"^\| `(Clv\w+)` \| (\w+) \| (.{20,}) \|$", pages.text_of("docs/observability.md"), re.MULTILINE)

    assert [(name, severity) for name, severity, _ in rows] == [
        (rule["alert"], rule["labels"]["severity"]) for rule in RULES
    ]
    assert {severity for _, severity, _ in rows} <= {"page", "ticket", "note"}


def test_every_alert_is_tried_both_ways() -> None:
    """For each there is a moment at which it must be silent and one at which it must fire."""
    trials = YAML(typ="safe").load(TRIALS.read_text(encoding="utf-8"))["tests"]
    tried = [(each["alertname"], bool(each["exp_alerts"])) for trial in trials for each in trial["alert_rule_test"]]

    assert set(tried) == {(rule["alert"], fires) for rule in RULES for fires in (False, True)}


@pytest.mark.parametrize("role", ROLES)
def test_promtool_finds_nothing_to_say_of_the_names(role: str) -> None:
    """What a role serves is in Prometheus's format, with names, units and help as its conventions want them."""
    if not Path(PROMTOOL).exists():
        pytest.skip("no promtool: make promtool")
    with registries() as found:
        served = generate_latest(found[role])
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=served, capture_output=True, check=False)

    assert (done.returncode, (done.stdout + done.stderr).decode()) == (0, "")


def test_promtool_agrees() -> None:
    """Prometheus's own tool checks rules and scraping, and finds each alert silent and firing when it should."""
    if not Path(PROMTOOL).exists():
        pytest.skip("no promtool: make promtool")
    for arguments in (
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("test", "rules", "alerts.test.yml"),
    ):
        done = subprocess.run([PROMTOOL, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

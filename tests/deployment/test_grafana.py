"""The dashboard's panels read what the roles show, lie beside each other, and between them show everything."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from tests.deployment import queries
from tests.deployment.test_prometheus import series_shown, unknown
from tests.metrics_catalogue import catalogue, samples

DASHBOARD = json.loads(queries.DASHBOARD.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """The labels of every series that is there, by its name."""
    return series_shown(catalogue())


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_reads_series_that_there_are(panel: dict[str, Any], shown: dict[str, set[str]]) -> None:
    """Each query names series and labels that the roles show, from the source that is chosen above; units are given."""
    assert [unknown(target["expr"], shown) for target in panel["targets"]] == [[] for _ in panel["targets"]]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["description"]


def test_every_metric_is_on_the_dashboard() -> None:
    """What a role shows can be seen."""
    read = {
        selector.name
        for panel in PANELS
        for target in panel["targets"]
        for selector in queries.take_apart(target["expr"]).selectors
    }
    metrics = [metric for of_role in catalogue().values() for metric in of_role]

    assert [metric.name for metric in metrics if not samples(metric) & read] == []


def test_panels_lie_side_by_side() -> None:
    """No two lie over each other, none leaves the grid of 24 columns, and each has an id of its own."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    overlapping = [
        (one, other)
        for one, other in combinations(places, 2)
        if one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        if one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    ]

    assert overlapping == []
    assert [place for place in places if place["x"] + place["w"] > 24] == []
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])

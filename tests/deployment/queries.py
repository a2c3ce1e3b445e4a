"""Queries in Prometheus's language, taken apart: which series they name, and by which labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import promql_parser as promql
from ruamel.yaml import YAML

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
_PARTS = ("lhs", "rhs", "expr", "args", "vector_selector", "param")


class Selector(NamedTuple):
    """Series that a query names: their name, and what is asked of their labels (the text after ``=`` or ``=~``)."""

    name: str
    labels: tuple[tuple[str, str], ...]


class Query(NamedTuple):
    """What a query reads, and the labels that it groups or joins by."""

    selectors: list[Selector]
    grouped_by: set[str]


def take_apart(text: str) -> Query:
    """Return what a query reads; raises ``ValueError`` where it is none. Grafana's interval stands for five minutes."""
    nodes = list(_nodes(promql.parse(text.replace("$__rate_interval", "5m"))))
    selectors = [
        Selector(node.name or "", tuple((match.name, match.value) for match in node.matchers.matchers))
        for node in nodes
        if isinstance(node, promql.VectorSelector)
    ]
    grouped = [node.modifier for node in nodes if isinstance(node, promql.AggregateExpr) and node.modifier]
    return Query(selectors, {label for modifier in grouped for label in modifier.labels})


def alternatives(matched: str) -> list[str]:
    """Return the values that a matcher's text means, where it is words with bars between them; else nothing."""
    return matched.split("|") if re.fullmatch(r"[\w|]+", matched) else []


def rules() -> list[dict[str, Any]]:
    """Return every alert."""
    content = YAML(typ="safe").load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def _nodes(node: Any) -> Iterator[Any]:
    if isinstance(node, list):
        for each in node:
            yield from _nodes(each)
    elif isinstance(node, promql.Expr):
        yield node
        for part in _PARTS:
            yield from _nodes(getattr(node, part, None))

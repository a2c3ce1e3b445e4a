"""What the ads role says of itself."""

from __future__ import annotations

from observability.ads import AdsMetrics, Told


def value(metrics: AdsMetrics, name: str, **labels: str) -> float | None:
    """Return one of the figures of the platform ``meta``."""
    return metrics.registry.get_sample_value(f"clv_ads_{name}", {"platform": "meta", **labels})


def test_what_a_platform_took_adds_up_and_what_stands_is_replaced() -> None:
    """Rows of all audiences and runs are summed; how audiences stand is as of the last run."""
    metrics = AdsMetrics("meta")
    metrics.note_done([Told("ready", 5, 0, 1), Told("failed", 2, 3, 0)])
    metrics.note_done([Told("ready", 0, 0, 1), Told("ready", 1, 0, 0)])

    rows = {change: value(metrics, "audience_rows_total", change=change) for change in ("added", "updated", "removed")}
    assert rows == {"added": 8, "updated": 3, "removed": 2}
    assert {s: value(metrics, "audiences", status=s) for s in ("ready", "failed")} == {"ready": 2, "failed": 0}
    assert value(metrics, "synchronisations_total", outcome="done") == 2


def test_a_run_that_failed_is_counted_by_its_reason() -> None:
    """The reason is the error's stable code; nothing else moves."""
    metrics = AdsMetrics("meta")
    metrics.note_failed("audience_throttled")

    assert value(metrics, "synchronisations_total", outcome="audience_throttled") == 1
    assert value(metrics, "synchronisations_total", outcome="done") == 0
    assert metrics.registry.get_sample_value("clv_ads_last_synchronisation_timestamp_seconds") == 0

"""``clv forget``, from the command to the last place that named the customer."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from clv.settings import Settings
from clv.topics import DEAD_LETTERS, ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES, changelog_topic
from storage.engine import Database
from storage.erasure import mentions
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import UNPACED, has_caught_up, run, running, wait_until
from tests.acceptance.sending import Sent, send
from tests.acceptance.totals import csv_totals, stored_totals, write_sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.embedded
@pytest.mark.slow
def test_a_forgotten_customer_is_named_nowhere_and_stays_forgotten(tmp_path: Path) -> None:
    """Neither SQL nor compacted topics hold anything of them, even when the log comes again; all else is as was."""
    log = write_sample(tmp_path / "log.csv", ending="77")
    orders = Counter(pd.read_csv(log, dtype=str)["customer_id"])
    gone, others = orders.most_common(1)[0][0], set(orders) - {orders.most_common(1)[0][0]}
    settings = Settings(data_dir=tmp_path / "data", segment_cutoffs="100,50", ads_window_ms=1_000)
    with running(settings, "up") as up, closing(Database(settings.sql_url)) as database:
        wait_until(lambda: "logs: " in up.output, seconds=60, what="`clv up` has started its roles")
        send(settings, [Sent(gone.encode(), b"{"), Sent(b"another", json.dumps({"customer_id": gone}).encode())])
        run(settings, "replay", str(log), *UNPACED, seconds=90)
        wait_until(lambda: has_caught_up(settings, database), seconds=60, what="all is applied and stored")
        wait_until(lambda: "audience_customers" in mentions(database, gone), seconds=60, what="the ads role knows them")
        before = mentions(database, gone)
        assert {"customers", "customer_states", "dead_letters", "scores", "training_examples"} <= set(before)
        assert before["dead_letters"] == 2

        told = json.loads(run(settings, "forget", gone, "--yes", "--json", seconds=120))
        assert (told["erased"], told["is_through"]) == (1, True)
        wait_until(lambda: not mentions(database, gone), seconds=60, what="no table names them")

        run(settings, "replay", str(log), "--restart", *UNPACED, seconds=90)
        wait_until(lambda: has_caught_up(settings, database), seconds=60, what="the log has come again")
        assert mentions(database, gone) == {}
        expected = csv_totals(log)
        assert stored_totals(database) == {customer: expected[customer] for customer in others}
        looked = json.loads(run(settings, "forget", gone, "--look", "--json", seconds=120))
        changelog = read_topic(settings, changelog_topic(settings.group))
        scores = read_topic(settings, SCORES)
    assert looked["in_sql"] == {}
    assert set(looked["in_topics"]) == {
        *(ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES, DEAD_LETTERS, changelog_topic(settings.group))
    }
    for records in (changelog, scores):  # what compaction leaves of a key is its last record
        assert [record.value for record in records if record.key == gone.encode()][-1] is None
    assert up.output.count("Traceback") == 0

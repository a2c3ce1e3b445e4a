"""Clearing a broker between tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tenacity

from streams.admin import admin_client

if TYPE_CHECKING:
    from clv.settings import Settings


def delete_topics(settings: Settings, *, prefix: str = "") -> None:
    """Delete the topics whose names begin with ``prefix``, and wait until the broker has forgotten them.

    Kafka answers a deletion before every broker knows of it: a test that makes the topic again would find the old one.
    """
    with admin_client(settings) as admin:
        names = {name for name in admin.list_topics() if name.startswith(prefix) and not name.startswith("__")}
        if not names:
            return
        admin.delete_topics(list(names), raise_errors=False)
        for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(20.0), wait=tenacity.wait_fixed(0.05)):
            with attempt:
                assert not names & set(admin.list_topics()), "topics are still being deleted"

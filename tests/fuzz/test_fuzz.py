"""A short run of the fuzz campaign, and Hypothesis's own search over events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import events, http
from tests.fuzz.campaign import TARGETS, Campaign, Tally, resumed
from tests.fuzz.mutate import AMOUNTS, NUMBERS, TEXTS, TIMES
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

INPUTS = {
    "event decoder": 4_000,
    "event bytes": 6_000,
    "pipeline": 1_500,
    "output topics": 500,
    "sink and SQL": 100,
    "changelog rows": 1_000,
    "cursors": 1_000,
    "files": 80,
    "API": 150,
}
ODD = st.one_of(
    *(st.sampled_from(each) for each in (NUMBERS, AMOUNTS, TIMES, TEXTS)),
    *(st.none(), st.text(max_size=20), st.integers(), st.floats(), st.lists(st.integers(), max_size=2)),
)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_crashes(name: str) -> None:
    """Thousands of bent and broken inputs: each gets a documented verdict, and more than one verdict is seen."""
    campaign = Campaign(7, {name: INPUTS[name]})
    campaign.run(lambda *_: None)
    assert campaign.tallies[name].crashes == []
    assert len(campaign.tallies[name].verdicts) > 1


@st.composite
def bent_events(draw: st.DrawFn) -> tuple[bytes | None, bytes]:
    """Draw an event with up to three fields replaced, dropped or added."""
    body: dict[str, Any] = events.sample(draw(st.randoms(use_true_random=False)))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*body, "unknown"]))
        if draw(st.booleans()):
            body[name] = draw(ODD)
        else:
            body.pop(name, None)
    key = str(body.get("customer_id", "ann")).encode("utf-8", "surrogatepass")
    return key, json.dumps(body).encode()


@given(bent_events())
@settings(max_examples=300, deadline=None)
def test_no_event_that_hypothesis_finds_crashes(pair: tuple[bytes | None, bytes]) -> None:
    """Decoder and pipeline, with what breaks them made as small as it goes."""
    events.decode(pair)
    events.Pipeline().take(pair)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_no_text_is_a_crash_as_a_cursor(text: str) -> None:
    """Any text is a cursor or is refused."""
    http.read_cursor(text)


def test_a_crash_is_found_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A target that breaks over one input in ten is reported with the input, and the campaign goes on."""

    def fragile(given_number: int) -> str:
        if given_number == 3:
            raise ZeroDivisionError
        return "taken"

    def opened(_folder: Path) -> AbstractContextManager[Target]:
        from contextlib import contextmanager

        @contextmanager
        def target() -> Iterator[Target]:
            yield Target(lambda rng: rng.randint(0, 9), fragile)

        return target()

    monkeypatch.setitem(TARGETS, "fragile", opened)
    whole, kept = Campaign(1, {"fragile": 3_000}), tmp_path / "kept.json"
    whole.run(lambda *_: None)
    tally = whole.tallies["fragile"]
    assert tally.crash_count + tally.verdicts["taken"] == 3_000
    assert tally.crash_count > 200
    assert {crash["input"] for crash in tally.crashes} == {"3"}

    class _Ended(Exception): ...

    def end(_name: str, _tally: Tally) -> None:
        first.save(kept)
        raise _Ended

    first = Campaign(1, {"fragile": 3_000})
    with pytest.raises(_Ended):
        first.run(end)
    second = resumed(kept, 1, {"fragile": 3_000})
    assert 0 < second.tallies["fragile"].inputs < 3_000
    second.run(lambda *_: None)
    assert second.tallies["fragile"].verdicts == tally.verdicts
    assert second.crash_count == whole.crash_count

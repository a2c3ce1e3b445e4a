"""What the trainer does at a moment: refits, cut-offs, budget, versions; from what SQL holds and nothing later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from clv.errors import ConfigError, StoreUnavailable
from clv.outcomes import BudgetSignal, ModelAnnounced, Score, rfc3339
from clv.published import POLICY_NAME, SCORER_NAME, sequence_of, version_bound
from clv.rules import DAY_MS, Rules
from clv.segments import SegmentPolicy
from clv.settings import Settings
from models.ensemble import Ensemble
from models.snapshot import ScorerSnapshot
from storage.overview import clv_quantiles, newest_score_ms
from streams.codecs import to_record
from streams.histories import read_past, stored_through_ms
from streams.rows import PARTITION_KEY
from streams.trainer_store import learn
from streams.training import Publication, TrainerState, Training
from tests.unit.streams.shop import CUSTOMERS, PARTITIONS, START_MS, Shop, open_database, shop, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.btyd import BtydParams
    from storage.artifacts import Artifact
    from storage.engine import Database

SETTINGS = Settings(partitions=PARTITIONS)
RULES = Rules()


def at_day(day: int) -> int:
    """Return the beginning of a day of the shop."""
    return START_MS + day * DAY_MS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give an empty database."""
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def named(published: Publication, name: str) -> list[Artifact]:
    """Return the artifacts of a name."""
    return [artifact for artifact in published.artifacts if artifact.name == name]


def signals(published: Publication) -> list[BudgetSignal]:
    """Return the budget signals."""
    return [event for event in published.events if isinstance(event, BudgetSignal)]


def announcements(published: Publication) -> list[ModelAnnounced]:
    """Return the announcements of models and policies."""
    return [event for event in published.events if isinstance(event, ModelAnnounced)]


def test_histories_hold_nothing_later_than_the_moment(database: Database) -> None:
    """States of day 60 and states of day 200 give the same histories and windows of day 59."""
    store(database, shop(60))
    early = read_past(database, at_day(59), RULES)
    store(database, Shop({}, shop(200).states))
    late = read_past(database, at_day(59), RULES)
    assert early is not None
    assert late is not None
    for seen_late, seen_early in ((late.histories, early.histories), (late.windows, early.windows)):
        assert [column.tolist() for column in seen_late] == [column.tolist() for column in seen_early]
    assert len(early.histories.x) == CUSTOMERS
    assert len(early.windows.value_minor) > CUSTOMERS


def test_a_refit_waits_for_the_states_of_its_moment(database: Database) -> None:
    """While the sink is behind in one partition, a refit is refused as something to be tried again."""
    behind = shop(60).states | {key: row for key, row in shop(50).states.items() if key[0] == 1}
    store(database, shop(60), states=behind)
    with pytest.raises(StoreUnavailable, match=r"partition 1 are stored up to 2024-02-19.*needs them up to 2024-02-29"):
        read_past(database, at_day(59), RULES)
    assert stored_through_ms(database, SETTINGS) == at_day(49)


def test_a_partition_without_states_has_no_time(database: Database) -> None:
    """As long as one partition's own row is missing, nothing is known to be complete."""
    store(database, shop(60), states={key: row for key, row in shop(60).states.items() if key != (1, PARTITION_KEY)})
    assert stored_through_ms(database, SETTINGS) == -1


def test_without_customers_nobody_is_fitted(database: Database) -> None:
    """An empty database gives no histories, no cut-offs, no signals; a forced step publishes the prior."""
    assert read_past(database, at_day(59), RULES) is None
    training = Training(SETTINGS, database, TrainerState())
    assert training.step(at_day(59)) == Publication([], [])
    published = training.step(at_day(60), is_forced=True)
    snapshot = ScorerSnapshot.from_bytes(named(published, SCORER_NAME)[0].payload)
    assert (snapshot.champion, snapshot.btyd) == ("prior", None)


def test_a_refit_uses_what_has_matured_and_no_more(database: Database) -> None:
    """A refit for day 180, on day 200, fits what it would have on day 181: base, examples, weights."""
    store(database, shop(181))
    on_the_day = Training(SETTINGS, database, TrainerState()).step(at_day(180), is_forced=True)
    later = Shop({p: list(shop(200).topic(p)) for p in range(PARTITIONS)}, shop(200).states)
    store(database, later)
    afterwards = Training(SETTINGS, database, TrainerState()).step(at_day(180), is_forced=True)
    assert btyd_of(afterwards) == btyd_of(on_the_day)
    assert ensemble_of(afterwards) == ensemble_of(on_the_day)


def btyd_of(published: Publication) -> BtydParams | None:
    """Return the published base."""
    return ScorerSnapshot.from_bytes(named(published, SCORER_NAME)[0].payload).btyd


def ensemble_of(published: Publication) -> tuple[int, dict[str, float]]:
    """Return how many examples the ensemble has seen, and its members' weights, which follow from each of them."""
    artifact = Ensemble(named(published, "ensemble")[0].payload).artifact
    return artifact.example_count, artifact.weights


def test_refits_come_by_the_schedule(database: Database) -> None:
    """The first refit comes a refit interval after the first step, the next one an interval later."""
    store(database, shop(200))
    training = Training(SETTINGS, database, TrainerState())
    refitted = []
    for day in range(60, 130):
        training.step(at_day(day))
        if training.state.refit_ms == at_day(day):
            refitted.append(day)
    assert refitted == [88, 116]


def test_cut_offs_are_nearest_rank_percentiles_at_most_weekly(database: Database) -> None:
    """High-CLV begins at the 80th, Growth-Potential at the 50th percentile; in force behind all scores given out."""
    store(database, shop(100))
    training = Training(SETTINGS, database, TrainerState())
    published = {day: named(training.step(at_day(day)), POLICY_NAME) for day in range(99, 115)}
    assert [day for day, found in published.items() if found] == [99, 106, 113]
    policy = msgspec.json.decode(published[99][0].payload, type=SegmentPolicy)
    newest = [score.clv_minor for score in sorted(_newest_scores(shop(100)), key=lambda score: score.clv_minor)]
    count = len(newest)
    assert policy.high_minor == newest[-(-80 * count // 100) - 1]
    assert policy.growth_minor == newest[-(-50 * count // 100) - 1]
    assert [policy.high_minor, policy.growth_minor] == clv_quantiles(database, [80, 50])
    assert policy.effective_ms == max(at_day(99), newest_score_ms(database))
    assert policy.version == published[99][0].version


def _newest_scores(given: Shop) -> list[Score]:
    newest = {o.customer_id: o for found in given.outcomes.values() for o in found if isinstance(o, Score)}
    return list(newest.values())


def test_a_policy_is_announced_with_the_time_from_which_it_counts(database: Database) -> None:
    """Scores that SQL held already have influenced the cut-offs: nobody earlier may use them."""
    store(database, shop(100))
    published = Training(SETTINGS, database, TrainerState()).step(at_day(80))
    found = {event.name: event.learned_through_at for event in announcements(published)}
    assert found[SCORER_NAME] == rfc3339(at_day(80))
    until_ms = at_day(80) + SETTINGS.allowed_lateness_ms + SETTINGS.far_ahead_days * DAY_MS
    counted = newest_score_ms(database, until_ms=until_ms)
    assert at_day(80) < counted < newest_score_ms(database)
    assert found[POLICY_NAME] == rfc3339(counted)


def test_fixed_cut_offs_and_few_customers_publish_no_policy(database: Database) -> None:
    """Where the deployment sets amounts, or percentiles would mean nothing, there is no policy."""
    store(database, shop(3))
    assert named(Training(SETTINGS, database, TrainerState()).step(at_day(2)), POLICY_NAME) == []
    store(database, Shop({0: [], 1: shop(100).outcomes[1]}, {}))
    fixed = Settings(partitions=PARTITIONS, segment_cutoffs="50,20")
    assert named(Training(fixed, database, TrainerState()).step(at_day(99)), POLICY_NAME) == []


def test_signals_add_up_and_come_on_change_only(database: Database) -> None:
    """The amounts sum to the budget in exact minor units; an unchanged mix gives no second proposal."""
    store(database, shop(100))
    settings = Settings(partitions=PARTITIONS, budget_total="9999.99")
    training = Training(settings, database, TrainerState())
    first = signals(training.step(at_day(99)))
    assert [s.signal.segment for s in first] == ["High-CLV", "Growth-Potential", "Low-CLV"]
    assert sum(s.signal.amount_minor for s in first) == 999_999 == first[0].total_budget_minor
    assert sum(s.signal.customers for s in first) == len(_newest_scores(shop(100)))
    assert len({s.proposal_id for s in first}) == 1
    assert len({s.event_id for s in first}) == 3
    assert signals(training.step(at_day(100))) == []
    store(database, shop(160))
    second = signals(training.step(at_day(159)))
    assert sum(s.signal.amount_minor for s in second) == 999_999
    assert second[0].proposal_id != first[0].proposal_id


@pytest.mark.parametrize("budget", ["much", "-1", "1.001"])
def test_an_impossible_budget_names_its_setting(database: Database, budget: str) -> None:
    """A budget that is no amount stops the start, not the first signal."""
    with pytest.raises(ConfigError, match="CLV_BUDGET_TOTAL"):
        Training(Settings(budget_total=budget), database, TrainerState())


def test_versions_sort_by_their_sequence(database: Database) -> None:
    """Snapshots and policies of all steps, each sorted as text, are in the order of publication."""
    store(database, shop(200))
    training = Training(SETTINGS, database, TrainerState())
    published = [training.step(at_day(day), is_forced=day in (80, 120)) for day in range(80, 200, 4)]
    for name in (SCORER_NAME, POLICY_NAME):
        versions = [artifact.version for step in published for artifact in named(step, name)]
        assert versions == sorted(versions)
        assert [sequence_of(version) for version in versions] == sorted({sequence_of(version) for version in versions})
        assert len(versions) > 1
        assert version_bound(sequence_of(versions[0])) < versions[1]


def test_the_scorer_is_announced_last_and_each_version_once(database: Database) -> None:
    """When the scorer is announced, all that it stands on has been; what did not change is not announced again."""
    store(database, shop(150))
    training = Training(SETTINGS, database, TrainerState())
    first = [event.name for event in announcements(training.step(at_day(149), is_forced=True))]
    again = [event.name for event in announcements(training.step(at_day(149), is_forced=True))]
    assert first[-1] == SCORER_NAME
    assert {"btyd", POLICY_NAME} < set(first)
    assert again == [SCORER_NAME]


def test_the_outbox_holds_the_last_of_each(database: Database) -> None:
    """However many steps, a start repeats one announcement a name and one signal a segment."""
    store(database, shop(150))
    training = Training(SETTINGS, database, TrainerState())
    training.step(at_day(140), is_forced=True)
    published = training.step(at_day(149), is_forced=True)
    outbox = training.state.outbox
    models = [event for event in outbox if isinstance(event, ModelAnnounced)]
    assert sorted({event.name for event in models}) == sorted(event.name for event in models)
    assert announcements(published) == [event for event in models if event in published.events]
    assert sum(isinstance(event, BudgetSignal) for event in outbox) == 3


def test_a_repeated_announcement_is_the_same_bytes(database: Database) -> None:
    """What a trainer announces, and what it announces again from its stored state after a start."""
    store(database, shop(150))
    training = Training(SETTINGS, database, TrainerState())
    learn(training, shop(150).examples())
    published = training.step(at_day(140), is_forced=True)
    kept = msgspec.json.decode(msgspec.json.encode(training.state), type=TrainerState)
    assert {to_record(event).value for event in published.events} <= {to_record(event).value for event in kept.outbox}


def test_examples_of_another_build_are_left_out(database: Database) -> None:
    """Examples of another horizon or feature list, left in SQL, neither train the ensemble nor stop it."""
    given = shop(200)
    foreign = [
        msgspec.structs.replace(one, event_id=f"x{n}", features=[1.0, 2.0], feature_digest="other")
        for n, one in enumerate(given.examples())
    ]
    store(database, given)
    expected = Training(SETTINGS, database, TrainerState()).step(at_day(199), is_forced=True)
    store(database, Shop({2: list(foreign)}, {}))
    found = Training(SETTINGS, database, TrainerState()).step(at_day(199), is_forced=True)
    assert ensemble_of(found) == ensemble_of(expected)

"""What a trainer without a database learns of the one before from the topics."""

from __future__ import annotations

import msgspec

from clv.published import POLICY_NAME, SCORER_NAME
from streams.succession import predecessor
from tests.contract.storage.outputs import announcement, budget_signal


def _announced(name: str, version: str) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(announcement(version), name=name))


def _proposed(proposal_id: str, segment: str, amount_minor: int) -> bytes:
    proposal = budget_signal(f"{proposal_id}-{segment}")
    signal = msgspec.structs.replace(proposal.signal, segment=segment, amount_minor=amount_minor)
    return msgspec.json.encode(msgspec.structs.replace(proposal, proposal_id=proposal_id, signal=signal))


def test_the_highest_sequence_and_the_last_proposal_count() -> None:
    """Members' versions are no sequences, repeats count once, and rubbish says nothing."""
    announced = [
        _announced(SCORER_NAME, "000041-aa"),
        _announced(POLICY_NAME, "000042-bb"),
        _announced("btyd", "no sequence"),
        b"rubbish",
        None,
        _announced(SCORER_NAME, "000007-cc"),
    ]
    proposed = [
        _proposed("p1", "High-CLV", 1),
        _proposed("p2", "High-CLV", 2),
        b"rubbish",
        _proposed("p2", "Low-CLV", 3),
        _proposed("p2", "High-CLV", 2),
    ]
    found = predecessor(announced, proposed)
    assert found.sequence == 42
    assert [(signal.segment, signal.amount_minor) for signal in found.signals] == [("High-CLV", 2), ("Low-CLV", 3)]
    assert predecessor([], []) == (0, [])

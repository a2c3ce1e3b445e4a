"""How peers are started, and what is said where they are not built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.peers.commands import PEERS, are_built, command
from clv.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("peer", ["quix", "kafka_streams"])
def test_a_peer_that_is_not_built_says_how(peer: str, tmp_path: Path) -> None:
    """Before anything is measured."""
    with pytest.raises(InputError) as refused:
        command(peer, tmp_path)
    assert "make peers" in refused.value.hint


def test_peers_that_are_built_can_be_started(tmp_path: Path) -> None:
    """Each by a command of its own; those that are not are left out."""
    assert are_built(tmp_path) == ["stock_faust", "per_record_loop"]
    (tmp_path / "quix" / "bin").mkdir(parents=True)
    (tmp_path / "quix" / "bin" / "python").touch()
    (tmp_path / "kafka-streams").mkdir()
    commands = [tuple(command(peer, tmp_path)) for peer in PEERS]
    assert len(set(commands)) == len(PEERS)
    assert any(f"{tmp_path / 'kafka-streams'}/*" in each for each in commands)

"""How each peer is started, and what must have been built for that."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.job import OUTPUT_TOPIC
from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS = ("stock_faust", "quix", "per_record_loop", "kafka_streams")
"""Names in the report."""
ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".peers"
"""Where ``make peers`` puts what is not Python of ours."""


def command(peer: str, built: Path = BUILT) -> list[str]:
    """Return the command that runs a peer.

    Raises
    ------
    InputError
        When there is no such peer, or it must be built first.
    """
    if peer not in PEERS:
        raise InputError(f"there is no peer {peer!r}", f"known: {', '.join(PEERS)}")
    if peer == "quix":
        return [_present(built / "quix" / "bin" / "python", peer), "-m", "benchmarks.peers.quix"]
    if peer == "kafka_streams":
        folder = _present(built / "kafka-streams", peer)
        return ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{folder}/*", "peers.Totals"]
    return [sys.executable, "-m", f"benchmarks.peers.{peer}"]


def are_built(built: Path = BUILT) -> list[str]:
    """Return the peers that can be started."""
    found = []
    for peer in PEERS:
        with contextlib.suppress(InputError):
            command(peer, built)
            found.append(peer)
    return found


def check(peers: Sequence[str]) -> None:
    """Refuse peers that cannot be started, before anything is measured.

    Raises
    ------
    InputError
        As ``command``.
    """
    for peer in peers:
        command(peer)


def environment(broker: str, topic: str, group: str) -> dict[str, str]:
    """Return what tells a peer where to read and write."""
    named = {"PEER_BROKER": broker, "PEER_TOPIC": topic, "PEER_GROUP": group, "PEER_OUTPUT": OUTPUT_TOPIC}
    return named | {"PYTHONPATH": str(ROOT)}


def _present(path: Path, peer: str) -> str:
    if not path.exists():
        raise InputError(f"the peer {peer} is not built", "build it with `make peers`")
    return str(path)

"""The same minimal job on other engines: a customer's count, sum, first and last order, a changelog, one record out.

Each runs as a process of its own (``python -m benchmarks.peers.NAME``) in its best honest configuration, at least once:
offsets are committed behind what they stand for. ``job`` says what all of them do.
"""

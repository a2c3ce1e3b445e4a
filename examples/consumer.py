"""Follow customers' scores as they change: a downstream system in some thirty lines of kafka-python.

Example: ``python examples/consumer.py localhost:9092``, with the address that ``clv up`` prints
"""  # noqa: INP001  # a script, not a package

import json
import sys

from kafka import KafkaConsumer


def main(broker: str) -> None:
    """Print each score once, from where this group left off; the newest of a customer replaces those before."""
    consumer = KafkaConsumer(
        "clv.scores.v1",
        bootstrap_servers=broker,
        group_id="clv-example",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    print(f"waiting for scores on {broker}, Ctrl-C ends", file=sys.stderr)  # noqa: T201  # a script's output
    seen: set[str] = set()
    for record in consumer:
        customer = record.key.decode()
        if record.value is None:
            print(f"{customer} was erased: forget the customer")  # noqa: T201  # a script's output
            continue
        score = json.loads(record.value)
        if score["event_id"] in seen:  # delivered again after a crash: same id, same content
            continue
        seen.add(score["event_id"])  # a real consumer keeps these in its database, or upserts by customer
        clv = score["clv_minor"] / 100
        print(customer, score["as_of"], score["segment"] or "no segment yet", f"{clv:.2f} {score['currency']}")  # noqa: T201  # as above
        consumer.commit()  # after the work: a crash repeats it rather than losing it


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else sys.exit("usage: python examples/consumer.py HOST:PORT"))

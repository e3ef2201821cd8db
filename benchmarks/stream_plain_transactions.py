"""A plain confluent-kafka loop in transactions of up to 2,000 messages, exactly once while all is well, our Scorer."""

import sys
from pathlib import Path

import confluent_kafka as ck

from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

_BATCH = 2_000
_CALL_S = 30


def main() -> None:
    """Run until killed. Arguments: bundle, brokers, input, output, dead letters."""
    bundle, brokers, source, output, dead = sys.argv[1:]
    answer = MessageScorer(Scorer.open(Path(bundle))).answer
    own = {"group.id": f"plain-{output}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = ck.Consumer({"bootstrap.servers": brokers, **own, "isolation.level": "read_committed"})
    quick = {"compression.type": "lz4", "linger.ms": 5, "retry.backoff.ms": 5, "retry.backoff.max.ms": 100}
    producer = ck.Producer({"bootstrap.servers": brokers, "transactional.id": f"plain-{output}", **quick})
    producer.init_transactions(_CALL_S)
    consumer.subscribe([source])
    while True:
        first = consumer.poll(0.1)
        messages = [m for m in ([first, *consumer.consume(_BATCH - 1, 0)] if first else []) if m.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        for m, a in zip(messages, answer([m.value() or b"" for m in messages]), strict=True):
            target, value = (output, a.decision) if a.refusal is None else (dead, m.value())
            producer.produce(target, value, m.key(), m.partition() or 0)
        offsets = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _CALL_S)
        producer.commit_transaction(_CALL_S)


if __name__ == "__main__":
    main()

"""What a good engineer writes in an hour: a plain confluent-kafka loop of 500 messages, at-least-once, our Scorer."""

import sys
from pathlib import Path

import confluent_kafka as ck

from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

_BATCH = 500


def main() -> None:
    """Run until killed. Arguments: bundle, brokers, input, output, dead letters."""
    bundle, brokers, source, output, dead = sys.argv[1:]
    answer = MessageScorer(Scorer.open(Path(bundle))).answer
    connection = {"bootstrap.servers": brokers}
    own = {"group.id": f"plain-{output}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = ck.Consumer({**connection, **own})
    producer = ck.Producer({**connection, "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5})
    consumer.subscribe([source])
    while True:
        messages = [m for m in consumer.consume(_BATCH, 0.1) if m.error() is None]
        if not messages:
            continue
        for m, a in zip(messages, answer([m.value() or b"" for m in messages]), strict=True):
            target, value = (output, a.decision) if a.refusal is None else (dead, m.value())
            producer.produce(target, value, m.key(), m.partition() or 0)
        producer.flush()
        consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main()

"""Quix Streams as its tutorials have it, in an environment of its own: our Scorer applied to each message."""

import sys
from pathlib import Path
from typing import Any

from quixstreams import Application

from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer


def main() -> None:
    """Run until killed. Arguments: bundle, brokers, input, output."""
    bundle, brokers, source, output = sys.argv[1:]
    answer = MessageScorer(Scorer.open(Path(bundle))).answer

    def decide(message: bytes) -> Any:
        return answer([message])[0].decision

    app = Application(
        broker_address=brokers,
        consumer_group=f"quix-{output}",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        use_changelog_topics=False,
    )
    decisions = app.topic(output, value_serializer="bytes")
    app.dataframe(app.topic(source, value_deserializer="bytes")).apply(decide).filter(bool).to_topic(decisions)
    app.run()


if __name__ == "__main__":
    main()

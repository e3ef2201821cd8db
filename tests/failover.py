"""publish, a worker and redrive, one after the other, while brokers break: each waits, and sends each message once."""

from collections import Counter
from collections.abc import Callable

from stream.publish import Publishing, publish
from stream.redrive import DeadLetters, Pending, Resend
from stream.settings.settings import TopicSettings, load_settings
from tests.kafka_broker import read_topic
from tests.killed_publish import messages
from tests.stage import Stage, bad

PARTITION = 1  # of the messages that are refused


def publish_decide_and_redrive(
    stage: Stage, fails: Callable[[str, int], None], heals: Callable[[], None] = lambda: None
) -> None:
    """Run them. `fails`: break what leads this partition of a topic; called in the middle of both. `heals`: after."""
    source, output, dead = stage.topics
    names = {"input": source, "output": output, "dead_letters": dead, "group": stage.name}
    settings = load_settings(TopicSettings, {"brokers": stage.address, **names}, None)
    paused, chosen = list[float](), list[Pending]()

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 1:
            fails(source, PARTITION)

    assert publish(settings, source, messages(300), Publishing(per_second=4_000, sleep=pause)) == (300, 0)
    heals()
    assert len(paused) > 1, "it broke between two batches"
    assert Counter(r.value for r in read_topic(stage.address, source)) == Counter(m for _, m in messages(300))
    stage.publish(*bad(30), partition=PARTITION)
    worker = stage.worker()
    stage.wait_for(300, 30)
    assert worker.stop()[0] == 0
    letters = DeadLetters(settings)

    def choose(pending: Pending) -> Resend:
        chosen.append(pending)
        if len(chosen) == 1:
            fails(dead, PARTITION)
        return Resend(pending.message.value)

    assert letters.redrive(choose) == {"sent as they were": 30}
    letters.close()
    heals()
    again = [r.value for r in read_topic(stage.address, source) if "redriven_from" in r.headers]
    assert Counter(again) == Counter(bad(30))
    assert list(DeadLetters(settings).pending()) == []

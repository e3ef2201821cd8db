"""A publish that is killed on its way: a process of its own, which says how many messages it handed over."""

import sys
import time

from stream.publish import Publishing, publish
from stream.settings.settings import ConnectionSettings, load_settings


def messages(count: int) -> list[tuple[str, bytes]]:
    return [(f"customer-{i % 97}", f'{{"application": {i}}}'.encode()) for i in range(count)]


def main() -> None:
    brokers, topic, count = sys.argv[1:]
    settings = load_settings(ConnectionSettings, {"brokers": brokers}, None)

    def pause(seconds: float) -> None:
        sys.stdout.write("a batch has arrived\n")
        sys.stdout.flush()
        time.sleep(seconds)

    publish(settings, topic, messages(int(count)), Publishing(per_second=2_000, sleep=pause))


if __name__ == "__main__":
    main()

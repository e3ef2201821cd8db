"""Consume the same receipts into new logs, each time killed a few steps later: at open, flush, rename and remove.

`python -m tests.killed_consume BROKERS TOPIC SPEC FOLDER EACH` prints, per run, what was about to happen, how it ended,
and the number of receipts in the log, and of different ones, after a second process went on. Each run is a fork.
The spec stands for that of each bundle of the topic.
"""

import os
import sys
from pathlib import Path

import polars as pl

from features.spec.file import parse_spec
from receipts.log.chain import Chain
from receipts.log.read import frames, segments
from stream.client.topic_reader import TopicReader
from stream.receipts.consume import Consume, Sealing
from stream.receipts.receipt_reading import ReceiptReading
from tests.killed_run import KILLED, Killer

IDLE_S = 0.3


def run(brokers: str, topic: str, spec_text: str, log: Path, at: int) -> int:
    child = os.fork()
    if child == 0:
        spec = parse_spec(spec_text)
        reader = TopicReader({"bootstrap.servers": brokers}, topic, "killed")
        log.mkdir(exist_ok=True)
        if at:
            Killer(os.path.realpath(log), at)
        with Chain.open(log, f"stream-{topic}") as chain:
            sealing = Sealing(reading=ReceiptReading(spec_of=lambda _id: spec), seconds=3600)
            Consume(reader, chain, sealing, lambda _head: None).run(lambda: False, IDLE_S)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def account(log: Path) -> str:
    child = os.fork()  # polars is never used before a fork
    if child == 0:
        found = pl.concat(frames(log, columns=["decision_id", "topic", "partition", "offset"]))
        parts = len(segments(log))
        sys.stdout.write(f"{found.height} {found.n_unique()} {parts}\n")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    return ""


def main(brokers: str, topic: str, spec: Path, folder: Path, each: int) -> None:
    text = spec.read_text()
    for at in range(1, 500, each):
        log = folder / f"log-{at}"
        code = run(brokers, topic, text, log, at)
        again = run(brokers, topic, text, log, 0)
        sys.stdout.write(f"{'end' if code == 0 else ''} {code} {again} ")
        sys.stdout.flush()
        account(log)
        if code != KILLED:
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))

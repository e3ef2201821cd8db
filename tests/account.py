"""The account of a stream: what was sent against what became of it."""

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.crowd import Load
from tests.kafka_broker import Seen


@dataclass
class Report:
    sent: int
    lost: int
    doubled: int
    invented: int
    out_of_order: int
    kills_inside_a_transaction: int
    aborted_transactions: int
    faults: Counter[str]
    own_exits: list[int]
    stuck_brokers: int
    seconds: float
    records: dict[str, list[Seen]]

    def line(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items() if name != "records")


def source(record: Seen) -> tuple[int, int]:
    """The place of the application that a decision or dead letter belongs to."""
    h = record.headers
    if "source_offset" in h:
        return int(h["source_partition"]), int(h["source_offset"])
    return int(h["__connect.errors.partition"]), int(h["__connect.errors.offset"])


def one_receipt_each(receipts: list[Seen], decisions: list[Seen]) -> None:
    """Assert that each decision has its receipt, once."""
    assert sorted(map(source, receipts)) == sorted(map(source, decisions)), "one receipt for each decision"
    of = {source(r): json.loads(r.value or b"")["decision"]["decision_id"] for r in receipts}
    assert of == {source(r): json.loads(r.value or b"")["decision_id"] for r in decisions}


def held(load: Load, topic: list[Seen]) -> dict[tuple[int, int], Any]:
    """All that the topic of applications holds, by place: a broker that dies may keep what it did not acknowledge.

    What was acknowledged is there as it was sent.
    """
    found = {(r.partition, r.offset): (r.key, r.value) for r in topic}
    gone = [place for place, pair in load.sent.items() if found.get(place) != pair]
    assert not gone, f"what a broker acknowledged is there: {len(gone)} are not, as {gone[:3]}"
    assert set(load.somewhere) <= set(found.values())
    return found


def account(sent: dict[tuple[int, int], tuple[bytes, bytes]], records: dict[str, list[Seen]]) -> dict[str, int]:
    counted = Counter(source(r) for seen in records.values() for r in seen)
    moved = sum(r.partition != source(r)[0] or r.key != sent[source(r)][0] for s in records.values() for r in s)
    disorder = 0
    for seen in records.values():
        for _, group in itertools.groupby(sorted(seen, key=lambda r: (r.partition, r.offset)), lambda r: r.partition):
            offsets = [source(r)[1] for r in group]
            disorder += sum(b <= a for a, b in itertools.pairwise(offsets))
    return {
        "sent": len(sent),
        "lost": len(sent.keys() - counted.keys()),
        "doubled": sum(count > 1 for count in counted.values()),
        "invented": len(counted.keys() - sent.keys()) + moved,
        "out_of_order": disorder,
    }

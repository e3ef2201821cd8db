"""The proof of delivery: the real command on a real Apache Kafka, killed again and again; nothing lost or doubled.

CREDIT_KILLS=200 (`make soak`) kills more often.
"""

import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from receipts.log.read import frames
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.scorer import Scorer
from stream.dead_letters import HEADROOM_BYTES
from tests.account import one_receipt_each, source
from tests.conftest import PROJECT, Credit
from tests.crowd import Crowd, Load
from tests.kafka_broker import KafkaServer, Seen, read_topic
from tests.kills import Faults, Torture

KILLS = int(os.environ.get("CREDIT_KILLS", "12"))
FAULTS = Faults(kills=KILLS, inside=min(10, KILLS // 3), stops=3, broker_kills=1, rebalances=2)
if KILLS >= 30:
    FAULTS = Faults(kills=KILLS)
PER_SECOND = 200
TOPICS = ("credit.applications", "credit.decisions", "credit.dead-letters", "credit.receipts")


def messages(dataset: Dataset, scorer: Scorer) -> Iterator[tuple[bytes, bytes]]:
    """All applications again and again; every eleventh message is refused."""
    made = [
        (m.customer_id or "", m.body) for m in to_messages(dataset.applications, dataset.events, scorer.bundle.spec)
    ]
    for count in itertools.count():
        customer, body = made[count % len(made)]
        yield customer.encode(), body[:-1] if count % 11 == 0 else body


def same_bits(decisions: list[Seen], batch: pl.DataFrame) -> None:
    """Each decision of the stream equals the batch door's: ids, probabilities to the bit, class, score."""
    lines = pl.DataFrame([json.loads(r.value or b"") for r in decisions], infer_schema_length=None)
    columns = [name for name in batch.columns if name in lines.columns and name != "as_of"]
    assert {"decision_id", "p_good", "credit_class", "credit_score", "bundle_id"} <= set(columns)
    seen = lines.select(pl.col(name).cast(batch.schema[name]) for name in columns).unique(maintain_order=True)
    expected = batch.select(columns).join(seen.select("application_id"), on="application_id", how="semi")
    assert seen.height == expected.height == seen["application_id"].n_unique(), "one decision per application, repeated"
    for name in columns:
        a, b = (f.sort("application_id")[name] for f in (seen, expected))
        if a.dtype == pl.Float32:
            assert (a.to_numpy().view("uint32") == b.to_numpy().view("uint32")).all(), name
        assert a.equals(b), name


@pytest.mark.usefixtures("java")
def test_kills_zombies_broker_crashes_and_rebalances_lose_and_double_nothing(
    bundle: Path,
    scorer: Scorer,
    dataset: Dataset,
    credit: Credit,
    tmp_path: Path,
) -> None:
    server = KafkaServer(tmp_path / "kafka").start()
    server.create(*TOPICS[:2])
    server.create(*TOPICS[2:], largest_message=1_048_588 + HEADROOM_BYTES)
    command = [sys.executable, "-m", "cli.main", "stream", "run", "--bundle", str(bundle), "--brokers", server.address]
    command += ["--input", TOPICS[0], "--output", TOPICS[1], "--dead-letters", TOPICS[2], "--group", "credit-scorer"]
    command += ["--receipts", TOPICS[3]]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    load = Load(server.address, TOPICS[0], messages(dataset, scorer), PER_SECOND).start()
    crowd = Crowd(command, tmp_path / "workers", environment, PROJECT)
    torture = Torture(server, load, crowd, TOPICS[1], TOPICS[2], FAULTS)
    try:
        report = torture.run()
        receipts = read_topic(server.address, TOPICS[3])
        where = ("--brokers", server.address, "--log", tmp_path / "log", "--bundles", bundle)
        consumed = credit("log", "consume", *where, "--stop-when-idle", 2)
        replayed = credit("replay", tmp_path / "log", "--bundles", bundle, "--json")
    finally:
        torture.end()
    sys.stderr.write(f"\nkill test: {report.line()}\n")
    assert (report.lost, report.doubled, report.invented, report.out_of_order) == (0, 0, 0, 0), report.line()
    assert report.faults >= Counter(
        kill=KILLS, stop=FAULTS.stops, broker=FAULTS.broker_kills, rebalance=FAULTS.rebalances
    ), report.line()
    assert report.kills_inside_a_transaction >= FAULTS.inside, report.line()
    decisions = report.records[TOPICS[1]]
    one_receipt_each(receipts, decisions)
    assert consumed.returncode == 0, consumed.stderr
    places = pl.concat(frames(tmp_path / "log", columns=["partition", "offset"]))
    assert sorted(places.iter_rows()) == sorted(map(source, decisions)), "the log holds each once"
    said = json.loads(replayed.stdout)
    assert (replayed.returncode, said["different"], said["receipts"]) == (0, 0, len(decisions)), replayed.stdout[:2000]
    assert len(decisions) > 10_000
    same_bits(decisions, scorer.score(dataset.applications, dataset.events).decisions)

"""The real command far from its broker: batches grow with what a commit costs, and the lag falls.

CREDIT_FAR=0.2 sets the seconds one way, CREDIT_FAR_RATE what is published a second, CREDIT_FAR_SECONDS for how long.
"""

import os
import sys
import time
from pathlib import Path

import pytest

from recipes.dataset import Dataset
from scoring.scorer import Scorer
from stream.dead_letters import HEADROOM_BYTES
from tests.account import account
from tests.availability import Watch
from tests.conftest import PROJECT
from tests.crowd import Crowd, Load
from tests.kafka.test_stream_kills import messages
from tests.kafka_broker import KafkaServer, read_topic
from tests.kafka_cluster import Silence
from tests.slow_link import FarLink
from tests.waiting import PATIENCE_S, free_port

pytestmark = pytest.mark.process

ONE_WAY_S = float(os.environ.get("CREDIT_FAR", "0.1"))
PER_SECOND = int(os.environ.get("CREDIT_FAR_RATE", "150"))
SECONDS = float(os.environ.get("CREDIT_FAR_SECONDS", "10"))
BEFORE = 1_500  # so many lie there when the worker starts
TOPICS = ("applications", "decisions", "dead")


@pytest.mark.usefixtures("java")
def test_far_from_its_broker_the_command_catches_up(
    bundle: Path, scorer: Scorer, dataset: Dataset, tmp_path: Path
) -> None:
    with FarLink(free_port(), ONE_WAY_S) as link:
        server = KafkaServer.behind(tmp_path / "kafka", link.broker_port, link.port).start()
        watch = Watch(server, TOPICS[1:], Silence.of(4))
        try:
            server.create(*TOPICS[:2])
            server.create(TOPICS[2], largest_message=1_048_588 + HEADROOM_BYTES)
            load = Load(server.address, TOPICS[0], messages(dataset, scorer), 500).start()
            while len(load.sent) < BEFORE:
                time.sleep(0.01)
            load.end()
            before = dict(load.sent)
            command = [sys.executable, "-m", "cli.main", "stream", "run", "--bundle", str(bundle)]
            command += ["--brokers", f"127.0.0.1:{link.port}", "--input", TOPICS[0], "--output", TOPICS[1]]
            command += ["--dead-letters", TOPICS[2]]
            environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
            watch.__enter__()
            crowd = Crowd(command, tmp_path / "workers", environment, PROJECT)
            worker = crowd.start()
            crowd.wait_for(worker, b"assigned: partitions [")
            began = time.monotonic()
            waiting = [len(before)]
            load = Load(server.address, TOPICS[0], messages(dataset, scorer), PER_SECOND, sent=before).start()
            for _ in range(5):
                time.sleep(SECONDS / 5)
                waiting.append(len(load.sent) - len(watch.arrived))
            load.end()
            while len(watch.arrived) < len(load.sent):
                assert worker.poll() is None, crowd.logs[0].read_text()[-2000:]
                assert time.monotonic() - began < PATIENCE_S, "it catches up"
                time.sleep(0.2)
            took = time.monotonic() - began
            sys.stderr.write(
                f"\n{ONE_WAY_S} s one way, {PER_SECOND}/s published: waiting, each {SECONDS / 5:.0f} s, {waiting}; "
            )
            sys.stderr.write(f"all {len(load.sent)} decided in {took:.1f} s, {len(load.sent) / took:.0f}/s\n")
            crowd.end(worker)
            assert crowd.own_exits == []
            report = account(load.sent, {t: read_topic(server.address, t) for t in TOPICS[1:]})
            assert (report["lost"], report["doubled"], report["out_of_order"]) == (0, 0, 0)
        finally:
            watch.__exit__()
            server.stop()

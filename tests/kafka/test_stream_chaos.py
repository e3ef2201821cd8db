"""The real command behind a link that is slow, breaks and delivers late at random, its workers killed meanwhile.

CREDIT_CHAOS=100-149 (`make soak`) runs these seeds: even ones with the protocol `consumer`, odd ones with `classic`.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from recipes.dataset import Dataset
from scoring.scorer import Scorer
from stream.dead_letters import HEADROOM_BYTES
from stream.settings.settings import GroupProtocol
from tests.account import one_receipt_each
from tests.conftest import PROJECT
from tests.crowd import Crowd, Load
from tests.kafka.test_stream_kills import TOPICS, messages
from tests.kafka_broker import KafkaServer, read_topic
from tests.kills import Faults, Torture
from tests.slow_link import Chance, Link
from tests.waiting import free_port

pytestmark = pytest.mark.process

FIRST, LAST = (int(n) for n in os.environ.get("CREDIT_CHAOS", "6-6").split("-"))
LONG = "CREDIT_CHAOS" in os.environ
PER_SECOND = 100
SHARES = {  # by API key, how many requests suffer: of writing, of reading, of the group, of asking
    0: 0.02,
    22: 0.1,
    24: 0.03,
    25: 0.03,
    26: 0.05,
    27: 0.01,
    28: 0.05,
    1: 0.01,
    2: 0.06,
    9: 0.15,
    23: 0.3,
    10: 0.05,
    11: 0.1,
    12: 0.02,
    13: 0.2,
    14: 0.1,
    68: 0.05,
    3: 0.02,
    18: 0.01,
    32: 0.01,
}
LONGEST_S = dict.fromkeys((0, 24, 25, 26, 28), 20.0 if LONG else 3.0)  # longer than a transaction may last


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("seed", range(FIRST, LAST + 1))
def test_a_hostile_link_loses_and_doubles_nothing(
    seed: int, bundle: Path, scorer: Scorer, dataset: Dataset, tmp_path: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311
    shares = {api: share * chance.choice((0, 0.2, 1, 1, 4)) for api, share in SHARES.items()}
    with Link(free_port(), Chance(shares, LONGEST_S, seed)) as link:
        between_brokers = "inter.broker.listener.name=LINKED\n" if seed % 4 > 1 else ""  # markers suffer as well
        more = f"group.min.session.timeout.ms=6000\n{between_brokers}"
        server = KafkaServer.behind(tmp_path / "kafka", link.broker_port, link.port, more).start()
        server.create(*TOPICS[:2])
        server.create(*TOPICS[2:], largest_message=1_048_588 + HEADROOM_BYTES)
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
        load = Load(server.address, TOPICS[0], messages(dataset, scorer), PER_SECOND).start()
        crowd = Crowd(command(bundle, link.port, seed), tmp_path / "workers", environment, PROJECT)
        faults = Faults(kills=8, stops=1, broker_kills=0, rebalances=1) if LONG else Faults(2, 0, 0, 0, 1)
        faults.inside, faults.seed = 0, seed
        torture = Torture(server, load, crowd, TOPICS[1], TOPICS[2], faults)
        try:
            report = torture.run()
            receipts = read_topic(server.address, TOPICS[3])
        finally:
            torture.end()
    sys.stderr.write(f"\nhostile link, seed {seed}, {sum(link.done.values())} faults: {report.line()}\n")
    assert (report.lost, report.doubled, report.invented, report.out_of_order) == (0, 0, 0, 0), report.line()
    assert set(report.own_exits) <= {4, 5}
    assert link.done
    one_receipt_each(receipts, report.records[TOPICS[1]])


def command(bundle: Path, port: int, seed: int) -> list[str]:
    values = {"bundle": bundle, "brokers": f"127.0.0.1:{port}", "input": TOPICS[0], "output": TOPICS[1]}
    values |= {"dead-letters": TOPICS[2], "receipts": TOPICS[3], "group": "credit-scorer"}
    classic = {"group-protocol": GroupProtocol.CLASSIC, "client": "session.timeout.ms=6000"} if seed % 2 else {}
    flags = [f"--{name}={value}" for name, value in {**values, **classic}.items()]
    return [sys.executable, "-m", "cli.main", "stream", "run", *flags]

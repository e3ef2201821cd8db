"""What each door that is always on promises, asked over its own sockets; the fourth is one that only the tests have."""

import io
import json
import resource
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import polars as pl
import pytest

from receipts.log.read import frames
from recipes.dataset import Dataset
from scoring.doors import DOORS
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.line_door import LINE, LineDoor
from tests.rest_door import UNHURRIED, running
from tests.rest_door import Door as RestDoor
from tests.waiting import PATIENCE_S, wait_until
from verify.run import REFERENCE, WAYS

NAME = "Zaphod-7f3a"
HOSTILE = (b"no json", b"[]", b"{}", b'{"application_id": "%s", "as_of": 7}' % NAME.encode(), b'"%s"' % b"x" * 99)


class Asked(ABC):
    """A door that runs."""

    log: Path
    name: str

    @abstractmethod
    def ask(self, message: bytes) -> bytes:
        """Return the decision, or an object with the `code` of the refusal."""

    @abstractmethod
    def metrics(self) -> str:
        """Return the metrics in Prometheus' form."""

    @contextmanager
    @abstractmethod
    def without_receipts(self) -> Iterator[None]:
        """Let no receipt be written within the block."""

    def ask_all(self, messages: Sequence[bytes]) -> list[bytes]:
        """Ask from eight sides at once, so that rounds hold several."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.ask, messages))

    def count(self, ending: str) -> float:
        name = DOORS[self.name].metric(ending)
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines() if line.startswith(name))


class Line(Asked):
    name = "line"

    def __init__(self, door: LineDoor, log: Path) -> None:
        self.door, self.log = door, log

    def ask(self, message: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.door.port), PATIENCE_S) as one, one.makefile("rwb") as file:
            file.write(message + b"\n")
            file.flush()
            return file.readline().strip()

    def metrics(self) -> str:
        return self.door.metrics.text().decode()

    @contextmanager
    def without_receipts(self) -> Iterator[None]:
        connection = self.door.outbox._connection
        assert connection is not None
        connection.close()
        yield


class Rest(Asked):
    name = "rest"

    def __init__(self, door: RestDoor, log: Path) -> None:
        self.door, self.log = door, log

    def ask(self, message: bytes) -> bytes:
        return self.door.score(message).body.strip()

    def metrics(self) -> str:
        return self.door.ask("GET", "/metrics").body.decode()

    @contextmanager
    def without_receipts(self) -> Iterator[None]:
        soft, hard = resource.prlimit(self.door.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.door.process.pid, resource.RLIMIT_FSIZE, (1, hard))
        yield
        resource.prlimit(self.door.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def line(bundle: Path, folder: Path) -> Iterator[Asked]:
    door = LineDoor(bundle, folder / "log", io.StringIO())
    yield Line(door, folder / "log")
    door.close()


@contextmanager
def rest(bundle: Path, folder: Path) -> Iterator[Asked]:
    with running(bundle, folder / "door", "fastapi", "--log", folder / "log", rate_limit=0, **UNHURRIED) as door:
        yield Rest(door, folder / "log")


@pytest.fixture(params=[line, rest])
def opened(
    request: pytest.FixtureRequest, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "AbstractContextManager[Asked]":
    monkeypatch.setitem(DOORS, LINE.name, LINE)
    made: AbstractContextManager[Asked] = request.param(bundle, tmp_path)
    return made


@pytest.mark.process
def test_the_contract_of_a_door(
    opened: "AbstractContextManager[Asked]", scorer: Scorer, dataset: Dataset, credit: Credit
) -> None:
    tables = dataset.applications.head(60), dataset.events
    messages = [m.body for m in to_messages(*tables, scorer.bundle.spec)] + list(HOSTILE)
    expected = MessageScorer(scorer).answer(messages)
    decided = [a for a in expected if a.refusal is None]
    with opened as door:
        for answer, said in zip(expected, door.ask_all(messages), strict=True):
            if answer.refusal is None:
                assert said == (answer.decision or b"").strip(), "each bit is the scorer's"
            else:
                assert json.loads(said)["code"] == answer.refusal.code
                assert NAME.encode() not in said, "no value of a customer is repeated"
        assert door.count("decisions_total") == len(decided)
        assert door.count(DOORS[door.name].refusals) == len(messages) - len(decided)
        assert door.count("receipts_total") == len(decided)
        with door.without_receipts():
            assert json.loads(door.ask(messages[0]))["code"] == "receipts_unwritable", "no receipt, no decision"
        assert wait_until(lambda: b"decision_id" in door.ask(messages[0])), "it mends itself"
        log = door.log
    receipts = pl.concat(frames(log, columns=["door", "decision_id"]))
    assert receipts["door"].unique().to_list() == [door.name]
    assert receipts.height == len(decided) + 1
    done = credit("replay", log, "--bundles", scorer.bundle.path.parent, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["different"] == 0
    assert credit("log", "verify", log).returncode == 0


def test_verify_asks_each_door_in_each_of_its_ways() -> None:
    assert {way for door in DOORS.values() for way in door.asked} == {REFERENCE, *WAYS}

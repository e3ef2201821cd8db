"""Another bundle without a restart: no request fails, each is decided by one bundle, and a bad one is refused."""

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from recipes.dataset import Dataset
from tests.conftest import PROJECT, Credit
from tests.receipt_parts import rest_receipts
from tests.rest_door import FRAMEWORKS, Door, running
from tests.two_bundles import TwoBundles
from tests.waiting import wait_until

pytestmark = pytest.mark.process
PATIENT = {"deadline_seconds": 600}  # 200 changes on a machine that does other things
CHANGES = int(os.environ.get("CREDIT_CHANGES", "8"))


@pytest.fixture
def two(bundle: Path, rival: Path, dataset: Dataset, tmp_path: Path) -> TwoBundles:
    return TwoBundles.make(tmp_path / "bundles", bundle, rival, dataset)


class Load:
    """Clients that ask all the time and keep what came back."""

    def __init__(self, door: Door, two: TwoBundles) -> None:
        self.door, self.two = door, two
        self.statuses, self.by, self.ids = Counter[int](), Counter[str](), Counter[str]()
        self.mixed, self.wrong = 0, 0
        self.ended, self._lock = threading.Event(), threading.Lock()
        self.errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._until_ended, args=(self._ask, own)) for own in range(3)]
        self._threads.append(threading.Thread(target=self._until_ended, args=(self._ask_batches, 0)))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def _until_ended(self, ask: Callable[[HTTPConnection, int], None], own: int) -> None:
        try:
            with contextlib.closing(self.door.connect()) as connection:
                while not self.ended.is_set():
                    ask(connection, own)
        except Exception as error:  # noqa: BLE001 - the test looks at them
            self.errors.append(error)

    def _ask(self, connection: HTTPConnection, own: int) -> None:
        for message in list(self.two.messages.values())[own::3]:
            reply = self.door.ask_on(connection, "POST", "/v1/score", message)
            assert reply.status == 200, reply.body
            self._note(reply.status, [reply.json])

    def _ask_batches(self, connection: HTTPConnection, _own: int) -> None:
        """Each is larger than a round, so that changes come while it is half decided."""
        body = b"[" + b",".join([*self.two.messages.values()] * 3) + b"]"
        reply = self.door.ask_on(connection, "POST", "/v1/score/batch", body)
        assert reply.status == 200, reply.body
        self._note(reply.status, [one["decision"] for one in reply.json])

    def _note(self, status: int, decisions: list[dict[str, Any]]) -> None:
        ids = {one["bundle_id"] for one in decisions}
        expected = [self.two.decisions[one["bundle_id"]][one["application_id"]] for one in decisions]
        wrong = sum(one != json.loads(known) for one, known in zip(decisions, expected, strict=True))
        with self._lock:
            self.statuses[status] += 1
            self.by.update(one["bundle_id"] for one in decisions)
            self.ids.update(one["decision_id"] for one in decisions)
            self.mixed += len(ids) > 1
            self.wrong += wrong


def served(door: Door) -> str:
    found: str = door.ask("GET", "/v1/bundle").json["bundle_id"]
    return found


@pytest.mark.parametrize(("framework", "changes"), [("fastapi", CHANGES), ("flask", max(4, CHANGES // 10))])
def test_changes_under_load_fail_no_request_and_mix_no_decision(
    framework: str, changes: int, two: TwoBundles, tmp_path: Path, credit: Credit
) -> None:
    log = tmp_path / "log"
    with running(two.link, tmp_path / "door", framework, "--log", log, round_size=64, rate_limit=0, **PATIENT) as door:
        with Load(door, two) as load:
            for number in range(1, changes + 1):
                target = two.folders[number % 2]
                two.lead_to(target)
                assert wait_until(lambda: served(door) == target.name)  # noqa: B023
                before = load.by[target.name]
                wait_until(lambda: load.errors or load.by[target.name] > before)  # noqa: B023
                assert load.errors == []
                assert load.by[target.name] > before, "the new bundle never decided"
            assert door.process.poll() is None
        metrics = door.metrics()
    assert load.errors == []
    assert load.statuses.keys() == {200}
    assert (load.mixed, load.wrong) == (0, 0)
    assert min(load.by[folder.name] for folder in two.folders) > 0
    assert metrics["credit_bundle_changes_total"] == changes
    for name, count in load.by.items():
        assert metrics[f'credit_bundle_decisions_total{{bundle_id="{name}"}}'] == count
    assert Counter(rest_receipts(log)["decision_id"].to_list()) == load.ids, "an id is that of one bundle's decision"
    verified = credit("log", "verify", log)
    assert verified.returncode == 0, verified.stderr
    replayed = credit("replay", log, "--bundles", two.link.parent)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def refusals(door: Door) -> list[str]:
    return [line["message"] for line in door.lines() if line["event"] == "bundle_refused"]


def is_refused(door: Door) -> bool:
    return wait_until(lambda: door.metrics()["credit_bundle_refused"] == 1)


@pytest.fixture
def spoilt(two: TwoBundles) -> Iterator[Path]:
    """The second bundle, with a policy that was changed after it was signed off; mended at the end."""
    policy = two.folders[1] / "policy.toml"
    good = policy.read_bytes()
    policy.write_bytes(good.replace(b"multiplier = ", b"multiplier = 1"))
    yield two.folders[1]
    policy.write_bytes(good)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_must_not_serve_is_refused_and_the_old_bundle_serves_on(
    framework: str, two: TwoBundles, spoilt: Path, tmp_path: Path
) -> None:
    old = two.folders[0]
    foreign = next(p for p in (PROJECT / "tests/formats/2/bundles").iterdir() if not p.is_symlink())
    with running(two.link, tmp_path / "door", framework) as door:
        for number, (target, says) in enumerate(
            [(two.link.parent / "nowhere", "no such folder"), (spoilt, "policy.toml"), (foreign, "another contract")], 1
        ):
            two.lead_to(target)
            assert is_refused(door)
            assert wait_until(lambda: len(refusals(door)) == number), refusals(door)  # noqa: B023
            assert says in refusals(door)[-1]
            assert door.score(next(iter(two.messages.values()))).json["bundle_id"] == old.name == served(door)
            two.lead_to(old)
            assert wait_until(lambda: door.metrics()["credit_bundle_refused"] == 0)
        two.lead_to(spoilt)
        assert is_refused(door)
        policy = spoilt / "policy.toml"
        policy.write_bytes(policy.read_bytes().replace(b"multiplier = 1", b"multiplier = "))
        door.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: served(door) == spoilt.name)
        assert door.metrics()["credit_bundle_refused"] == 0
        documents = {path: door.ask("GET", path).body.decode() for path in ("/readyz", "/openapi.json", "/metrics")}
        assert door.score(next(iter(two.messages.values()))).json["bundle_id"] == spoilt.name
    for path, text in documents.items():
        assert spoilt.name in text, path
        assert path == "/metrics" or old.name not in text, path
    assert f'credit_bundle_info{{bundle_id="{spoilt.name}"}} 1.0' in documents["/metrics"]
    assert f'credit_bundle_info{{bundle_id="{old.name}"}}' not in documents["/metrics"]


def test_only_a_signed_bundle_is_gone_over_to(two: TwoBundles, tmp_path: Path, credit: Credit) -> None:
    pytest.importorskip("cryptography")
    key = tmp_path / "committee"
    assert credit("bundle", "keygen", "--name", "committee", "--out", key).returncode == 0
    old, new = two.folders
    assert credit("bundle", "sign", old, "--key", f"{key}.pem").returncode == 0
    with running(two.link, tmp_path / "door", "fastapi", "--trust", f"{key}.toml") as door:
        two.lead_to(new)
        assert is_refused(door)
        assert "no trusted key signed" in refusals(door)[-1]
        assert served(door) == old.name
        assert credit("bundle", "sign", new, "--key", f"{key}.pem").returncode == 0
        door.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: served(door) == new.name)


def test_a_worker_that_starts_again_serves_what_the_others_serve(two: TwoBundles, tmp_path: Path) -> None:
    old, new = two.folders
    with running(two.link, tmp_path / "door", "fastapi", "--workers", 2) as door:
        assert door.workers_ready(2)
        two.lead_to(tmp_path / "nowhere")
        assert wait_until(lambda: door.metrics()["credit_bundle_refused"] == 2)
        door.processes()[0].kill()
        assert door.workers_ready(3)
        assert {served(door) for _ in range(20)} == {old.name}
        two.lead_to(new)
        door.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: door.metrics()["credit_bundle_changes_total"] == 2)
        assert {served(door) for _ in range(20)} == {new.name}
        assert door.process.poll() is None

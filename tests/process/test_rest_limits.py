"""Who may ask door 3, how often, and how long an answer may take."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.rates import RateLimit
from tests.conftest import Credit
from tests.rest_door import FRAMEWORKS, Door, running


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_key_that_is_revoked_is_refused_from_the_next_request_on(
    framework: str, bundle: Path, tmp_path: Path, good: bytes, credit: Credit
) -> None:
    with running(bundle, tmp_path, framework) as door:
        made = credit("key", "new", "--keys", door.keys, "--name", "second")
        second = made.stdout.strip()
        assert second not in door.keys.read_text()
        assert door.score(good, **{"X-API-Key": second}).status == 200
        assert door.score(good, **{"X-API-Key": "", "Authorization": f"Bearer {second}"}).status == 200
        forged = second[:12] + second[12:][::-1]
        assert door.score(good, **{"X-API-Key": forged}).json["code"] == "key_unknown"
        listed = credit("key", "list", "--keys", door.keys).stdout
        key_id = second.split("_")[1]
        assert key_id in listed
        assert second not in listed
        assert credit("key", "revoke", key_id, "--keys", door.keys).returncode == 0
        reply = door.score(good, **{"X-API-Key": second})
        assert (reply.status, reply.json["code"]) == (401, "key_unknown")
        assert door.score(good).status == 200
        door.keys.write_text("{")
        assert door.score(good).json["code"] == "keys_unreadable"
        assert door.ask("GET", "/healthz").status == 200


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_too_many_requests_with_a_key_get_429(framework: str, bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, framework, "--rate-limit", 0.02) as door:  # one in 50 s
        replies = [door.score(good) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 429, 429]
        late = replies[-1]
        assert late.json["code"] == "rate_limited"
        assert 0 < int(late.headers["retry-after"]) <= 50


def test_a_rate_lets_so_many_through_at_once_and_so_many_each_second_for_each_key() -> None:
    now = 0.0
    limit = RateLimit(3, lambda: now)
    assert [limit.wait("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert limit.wait("b") == 0
    now = 0.4
    assert [limit.wait("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 1]


def test_a_batch_counts_as_many_as_it_has_and_may_owe_once() -> None:
    now = 0.0
    limit = RateLimit(100, lambda: now)
    assert limit.wait("a") == 0
    assert limit.charge("a", 999) == 0, "let in, but then 900 are owed"
    assert limit.charge("a", 999) == 10, "another that came in at the same time"
    assert (limit.wait("a"), limit.wait("b")) == (10, 0)
    now = 9.5
    assert limit.wait("a") == 0


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_rate_counts_the_applications_of_batches(framework: str, bundle: Path, tmp_path: Path, good: bytes) -> None:
    batch = b"[" + b",".join([good] * 200) + b"]"
    with running(bundle, tmp_path, framework, "--rate-limit", 2) as door:
        assert door.score(batch, "/v1/score/batch").status == 200
        reply = door.score(good)
        assert (reply.status, reply.json["code"]) == (429, "rate_limited")
        assert 90 <= int(reply.headers["retry-after"]) <= 100


@pytest.mark.process
def test_the_deadline_of_a_request_that_waits_is_kept(bundle: Path, tmp_path: Path, good: bytes) -> None:
    batch = b"[" + b",".join([good] * 1000) + b"]"
    for framework in FRAMEWORKS:
        with running(bundle, tmp_path / framework, framework, deadline_seconds=0.001) as door:
            reply = door.score(batch, "/v1/score/batch")
            assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "deadline_exceeded", "1")


@pytest.mark.process
def test_requests_beyond_the_queue_get_503_with_retry_after(bundle: Path, tmp_path: Path, good: bytes) -> None:
    batch = b"[" + b",".join([good] * 1000) + b"]"
    for framework in FRAMEWORKS:
        with running(
            bundle, tmp_path / framework, framework, max_waiting=2, deadline_seconds=120, rate_limit=0
        ) as door:

            def send(_: int, door: Door = door) -> tuple[int, str]:
                reply = door.score(batch, "/v1/score/batch")
                return reply.status, reply.headers.get("retry-after", "")

            with ThreadPoolExecutor(12) as pool:
                outcomes = set(pool.map(send, range(24)))
        assert outcomes == {(200, ""), (503, "1")}

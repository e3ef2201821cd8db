"""Door 3 in service: keys, rates, settings, what is logged and counted, and what never is."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.rates import RateLimit
from monitoring.metrics import REST
from scoring.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.rest_door import FRAMEWORKS, running


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


def test_the_deadline_of_a_request_that_waits_is_kept(bundle: Path, tmp_path: Path, good: bytes) -> None:
    batch = b"[" + b",".join([good] * 1000) + b"]"
    for framework in FRAMEWORKS:
        with running(bundle, tmp_path / framework, framework, deadline_seconds=0.001) as door:
            reply = door.score(batch, "/v1/score/batch")
            assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "deadline_exceeded", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-auth", "--host", "0.0.0.0"), "is not loopback"),  # noqa: S104 - the very mistake
        (("--keys", "absent.json"), "credit key new"),
        (("--framework", "django"), "framework"),
        (("--workers", "0"), "workers"),
        (("--port", "1", "--no-auth", "--host", "192.0.2.1"), "loopback"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2(
    arguments: tuple[str, ...], message: str, bundle: Path, credit: Credit
) -> None:
    done = credit("serve", "--bundle", bundle, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_flags_come_before_the_environment_and_that_before_defaults(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_API_FRAMEWORK", "fastapi")
    with running(bundle, tmp_path, "flask", "--rate-limit", 0.02, rate_limit=1000) as door:
        (ready,) = [line for line in door.lines() if line["event"] == "ready"]
        assert ready["framework"] == "flask"
        assert {door.ask("GET", "/v1/schema").status for _ in range(3)} == {200, 429}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_value_of_a_request_is_in_an_error_or_a_log(
    framework: str, bundle: Path, tmp_path: Path, scorer: Scorer
) -> None:
    application = example_application(scorer.bundle.spec)
    marker = "mArKeR"
    with running(bundle, tmp_path, framework) as door:

        def check(body: bytes, path: str, headers: dict[str, str]) -> None:
            reply = door.ask("POST", path, body, **headers)
            assert reply.status < 500
            if reply.status != 200 and marker in body.decode("latin-1") + path + str(headers):
                assert marker not in reply.body.decode("latin-1")
                assert marker not in str(reply.headers)

        @settings(max_examples=150)
        @given(st.data())
        def plant(data: st.DataObject) -> None:
            message = json.loads(json.dumps(application))
            places = [message, message["attributes"], *message["events"]]
            for _ in range(data.draw(st.integers(1, 3))):
                place = data.draw(st.sampled_from(places))
                name = data.draw(st.sampled_from([*place, marker]))
                values: list[object] = [marker, [marker], {marker: marker}, f"\ud800{marker}", f"7{marker}"]
                place[name] = data.draw(st.sampled_from(values))
            path = data.draw(st.sampled_from(["/v1/score", "/v1/score/batch", f"/v1/{marker}", f"/v1/score?{marker}"]))
            odd = data.draw(st.sampled_from(["Content-Type", "Content-Encoding", "X-API-Key", "Cookie", "User-Agent"]))
            headers = {odd: marker} if data.draw(st.booleans()) else {}
            check(
                data.draw(st.sampled_from([json.dumps(message), json.dumps(message) + marker])).encode(), path, headers
            )

        plant()
        for raw in (
            f"GET /{marker} FOO\r\n\r\n",
            f"{marker} / HTTP/1.1\r\n\r\n",
            f"GET / HTTP/1.1\r\n{marker}\r\n\r\n",
        ):
            reply = door.send_raw(raw.encode())
            assert reply is not None
            assert marker not in reply.body.decode()
    assert door.lines()
    assert marker not in door.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_count_what_all_workers_did(workers: int, bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, "fastapi", "--workers", workers) as door:
        for _ in range(20):
            door.score(good)
        door.score(b"[" + good + b"]", "/v1/score/batch")
        door.score(b"{")
        text = door.ask("GET", "/metrics").body.decode()
    assert 'credit_rest_requests_total{path="/v1/score",status="200"} 20.0' in text
    assert 'credit_rest_problems_total{code="message_not_json"} 1.0' in text
    assert "credit_rest_round_applications_sum 22.0" in text
    assert 'credit_rest_request_seconds_count{path="/v1/score/batch"} 1.0' in text
    for metric in REST:
        assert f"# TYPE {metric.name} {metric.kind}" in text or metric.name == "credit_rest_request_seconds"


def test_every_line_of_the_log_is_json_and_names_the_request(bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, "fastapi") as door:
        door.score(good, **{"X-Request-ID": "trace-1"})
        door.score(b"{", **{"X-Request-ID": "trace 2"})
    requests = [line for line in door.lines() if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 400]
    assert requests[0]["request_id"] == "trace-1"
    assert requests[1]["request_id"] != "trace 2", "an id of another shape could be anything"
    assert requests[0]["key"] == door.key.split("_")[1]

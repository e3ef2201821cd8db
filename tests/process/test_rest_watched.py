"""What door 3 says of itself, in its log and its metrics, and that it never says a value of a request."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.live.metric_names import REST
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.rest_door import FRAMEWORKS, running

pytestmark = pytest.mark.process


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

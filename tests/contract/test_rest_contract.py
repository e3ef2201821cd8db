"""Door 3: one contract, two frameworks, real sockets. Any difference in status, body or our headers is a failure."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.docs_page import problem_rows
from scoring.message.message_scorer import MessageScorer
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.rest_door import FRAMEWORKS, Door, Reply, running
from tests.rest_requests import RAW, Case, body_cases, head_cases

pytestmark = pytest.mark.process

CODES = {code for code, _, _ in problem_rows()}
NOT_OURS = ("date", "connection")


@pytest.fixture(scope="module")
def good(scorer: Scorer) -> dict[str, Any]:
    return example_application(scorer.bundle.spec)


@pytest.fixture(scope="module")
def doors(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("doors")
    with running(bundle, folder / "a", "fastapi") as fastapi, running(bundle, folder / "b", "flask") as flask:
        yield {"fastapi": fastapi, "flask": flask}


def ask(door: Door, case: Case) -> Reply:
    return door.ask(case.method, case.path, case.body, **{"X-Request-ID": "same", **case.headers})


def ours(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    return reply.status, {n: v for n, v in reply.headers.items() if n not in NOT_OURS}, reply.body


def check_problem(reply: Reply, code: str = "") -> None:
    problem = reply.json
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["status"] == reply.status
    assert problem["code"] in CODES
    assert problem["code"] == code or not code
    assert {"type", "title", "detail", "request_id"} <= problem.keys()
    assert problem["type"] == f"/docs#{problem['code']}"


def test_both_answer_each_request_alike(doors: dict[str, Door], good: dict[str, Any]) -> None:
    for case in [*head_cases(good), *body_cases(good)]:
        if case.code == "malformed_http":  # below
            continue
        first, second = (ours(ask(doors[name], case)) for name in FRAMEWORKS)
        assert first == second, case.name
    for name, (request, _) in RAW.items():
        replies = [doors[framework].send_raw(request) for framework in FRAMEWORKS]
        outcomes = [(r.status, r.json["code"], {*r.headers, *NOT_OURS}) if r else None for r in replies]
        assert outcomes[0] == outcomes[1], name


class DoorContract:
    framework: str

    @pytest.fixture
    def door(self, doors: dict[str, Door]) -> Door:
        return doors[self.framework]

    def test_a_head_decides_as_the_contract_says(self, door: Door, good: dict[str, Any]) -> None:
        for case in head_cases(good):
            reply = ask(door, case)
            assert reply.status == case.status, (case.name, reply)
            if case.code:
                check_problem(reply, case.code)
            if reply.status == 405:
                assert reply.headers["allow"], case.name
            if case.code != "malformed_http":
                assert reply.headers["x-request-id"] == case.headers.get("X-Request-ID", "same")
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-store"

    def test_a_bad_body_is_refused_with_a_code_and_a_pointer(self, door: Door, good: dict[str, Any]) -> None:
        for case in body_cases(good):
            reply = ask(door, case)
            assert reply.status in {400, 422}, (case.name, reply)
            check_problem(reply)
            assert reply.json.get("pointer", "").startswith("/") or reply.json.get("pointer", "") == "", case.name

    def test_bytes_that_are_no_request_are_refused(self, door: Door) -> None:
        for name, (request, code) in RAW.items():
            reply = door.send_raw(request)
            assert reply is not None, name
            check_problem(reply, code)

    def test_a_decision_is_that_of_the_scorer(self, door: Door, good: dict[str, Any], scorer: Scorer) -> None:
        body = json.dumps(good).encode()
        (answer,) = MessageScorer(scorer).answer([body])
        assert door.score(body).body == answer.decision
        batch = door.score(b"[" + b",".join([body] * 3) + b"]", "/v1/score/batch").json
        assert batch == [{"decision": json.loads(answer.decision or b"")}] * 3

    def test_a_batch_keeps_order_and_answers_each(self, door: Door, good: dict[str, Any]) -> None:
        messages = [good if i % 3 else {**good, "customer_id": None} for i in range(1000)]
        messages = [{**m, "application_id": f"A{i}"} for i, m in enumerate(messages)]
        answers = door.score(json.dumps(messages).encode(), "/v1/score/batch").json
        assert len(answers) == 1000
        for i, answer in enumerate(answers):
            if i % 3:
                assert answer["decision"]["application_id"] == f"A{i}"
            else:
                assert answer["problem"]["code"] == "customer_id_missing"
                assert answer["problem"]["status"] == 422

    def test_the_documents_describe_what_is_served(self, door: Door, good: dict[str, Any], scorer: Scorer) -> None:
        bundle, schema = door.ask("GET", "/v1/bundle").json, door.ask("GET", "/v1/schema").json
        assert bundle["bundle_id"] == scorer.bundle.bundle_id
        assert bundle["classes"] == list(scorer.bundle.spec.classes)
        assert bundle["policy"]["costs"] == [list(row) for row in scorer.bundle.policy.costs]
        assert {"spec", "metrics", "golden_rows"} <= bundle.keys()
        jsonschema_rs.validate(schema["application"], good)
        jsonschema_rs.validate(schema["decision"], door.score(json.dumps(good).encode()).json)
        openapi = door.ask("GET", "/openapi.json").json
        operation = openapi["paths"]["/v1/score"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        shown = operation["responses"]["200"]["content"]["application/json"]["example"]
        assert door.score(json.dumps(example).encode()).json == shown

    def test_the_page_for_people_needs_nothing_from_elsewhere(self, door: Door) -> None:
        page = door.ask("GET", "/docs").body.decode()
        assert "<script" not in page
        assert "http://" not in page
        assert "https://" not in page
        for code in CODES:
            assert f'id="{code}"' in page

    def test_a_chunked_body_is_a_body(self, door: Door, good: dict[str, Any]) -> None:
        body = json.dumps(good).encode()
        head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: %b\r\n"
        head = head % door.key.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
        reply = door.send_raw(head + chunks)
        assert reply is not None
        assert reply.json["application_id"] == good["application_id"]

    def test_an_offer_of_http_2_as_java_makes_it_does_not_lose_the_body(self, door: Door, good: dict[str, Any]) -> None:
        offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
        assert door.score(json.dumps(good).encode(), **offer).status == 200

    def test_a_tab_around_a_header_is_white_space(self, door: Door) -> None:
        head = b"GET /v1/bundle HTTP/1.1\r\nHost: x\r\nX-API-Key:\t%b\t\r\n\r\n" % door.key.encode()
        reply = door.send_raw(head)
        assert reply is not None
        assert reply.status == 200

    def test_a_client_that_expects_100_continue_gets_it_or_the_refusal(self, door: Door, good: dict[str, Any]) -> None:
        body = json.dumps(good).encode()
        for key, expected in ((door.key, b"HTTP/1.1 100"), ("none", b"HTTP/1.1 ")):
            head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {key}\r\n"
            with door.raw() as connection:
                connection.sendall(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
                assert connection.recv(12).startswith(expected)

    def test_requests_in_a_row_on_one_connection(self, door: Door, good: dict[str, Any]) -> None:
        connection = door.connect()
        body = json.dumps(good).encode()
        statuses = [door.ask_on(connection, "POST", "/v1/score", b).status for b in (body, b"{", body, body)]
        assert statuses == [200, 400, 200, 200]
        connection.close()


class TestFastAPI(DoorContract):
    framework = "fastapi"


class TestFlask(DoorContract):
    framework = "flask"

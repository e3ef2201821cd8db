"""Headers that go with an application: from publish and request through decision and receipt to `credit log find`."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.extra_headers import RESERVED, ExtraHeaders, check_origins
from features.carried_headers import DEFAULT, MOST_BYTES, MOST_NAMES, check_names, text_of
from features.errors import SettingsError
from receipts.line_parts import ReceiptError
from receipts.lines import line_head, line_source, receipt_frames, receipt_line
from receipts.log.chain import Chain
from receipts.log.find_headers import find_by_header
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from stream.client.records import Batch, Message
from stream.routes import Routes
from stream.settings.settings import StreamSettings, load_settings
from tests.conftest import PROJECT, Credit

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = [("traceparent", TRACE.encode()), ("other", b"stays"), ("Correlation-Id", b"run-42"), ("tracestate", b"\xff")]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """A bundle that is committed, so that nothing is trained here."""
    (bundle,) = (PROJECT / "tests/formats/2/bundles").iterdir()
    return Scorer.open(bundle)


@pytest.fixture(scope="module")
def good(scorer: Scorer) -> bytes:
    return json.dumps(example_application(scorer.bundle.spec)).encode()


def routes(**more: Any) -> Routes:
    known = {"output": "out", "dead_letters": "dead", "bundle_id": "b", "group": "g", "receipts": "kept"}
    return Routes(**{**known, "carried": frozenset(DEFAULT), **more})


def records(headers: Any, answer: Answer, **more: Any) -> list[Any]:
    message = Message("in", 0, 7, b"k", b"{}", headers, 0)
    return routes(**more).records(Batch([message], None, {0: 8}), [answer], 0.0)


def test_the_named_headers_go_to_decision_and_receipt_and_no_other() -> None:
    decision, receipt = records(HEADERS, Answer(decision=b'{"d":1}', features=b"", credit_class="Good"))
    carried = [HEADERS[0], HEADERS[2], HEADERS[3]]
    assert [h for h in decision.headers if h in HEADERS] == carried
    assert [h for h in receipt.headers if h in HEADERS] == carried
    line = json.loads(b"".join(receipt.parts))
    assert line["receipt_version"] == 2
    assert line["source"]["headers"] == {"traceparent": TRACE, "Correlation-Id": "run-42", "tracestate": "hex:ff"}


def test_without_such_headers_a_receipt_is_what_it_was() -> None:
    answer = Answer(decision=b'{"d":1}', features=b"", credit_class="Good")
    for headers, names in (((), DEFAULT), (HEADERS[1:2], DEFAULT), (HEADERS, ())):
        _, receipt = records(headers, answer, carried=frozenset(names))
        line = json.loads(b"".join(receipt.parts))
        assert (line["receipt_version"], line["source"]) == (1, {"topic": "in", "partition": 0, "offset": 7})


def test_what_is_too_large_or_too_much_is_left_out_whole() -> None:
    answer = Answer(decision=b"{}", features=b"", credit_class="Good")
    large = [("traceparent", b"x" * (MOST_BYTES + 1)), ("tracestate", b"y" * MOST_BYTES)]
    decision, _ = records(large, answer)
    assert [name for name, _ in decision.headers if name.startswith("trace")] == ["tracestate"]
    decision, _ = records([("tracestate", b"y")] * 99, answer)
    assert sum(name == "tracestate" for name, _ in decision.headers) == MOST_NAMES


def test_names_are_checked_and_own_ones_are_reserved() -> None:
    for names in ("source_topic", "bundle_id", "redriven_proof", "__connect.errors.code", "a b", "x" * 65, "é"):
        with pytest.raises(SettingsError, match="carry_headers"):
            load_settings(StreamSettings, {"brokers": "a", "bundle": Path(), "carry_headers": [names]}, None)
    for name in ("authorization", "X-API-Key", "Set-Cookie", "content-length", "access-control-allow-origin"):
        with pytest.raises(ValueError, match="this product writes itself"):
            check_names([name], RESERVED)
    settings = load_settings(StreamSettings, {"brokers": "a", "bundle": Path(), "carry_headers": ["X-Trace,b3"]}, None)
    assert settings.carry_headers == ["x-trace", "b3"]


def test_a_binary_id_is_kept_as_digits_and_no_control_character_is_kept() -> None:
    assert text_of(b"run-42") == "run-42"
    assert text_of(b"\x00\xff") == "hex:00ff"
    assert text_of(b"a\nb") == "hex:610a62"


def lines_of(scorer: Scorer, good: bytes, headers: dict[str, str]) -> list[bytes]:
    (answer,) = MessageScorer(scorer).answer([good])
    where = b'{"topic":"in","partition":0,"offset":7}'
    return [
        receipt_line(line_head("stream", 0.0), where, good, answer),
        receipt_line(line_head("stream", 0.0, more=True), line_source(where, headers), good, answer),
    ]


def test_receipts_with_and_without_headers_are_sealed_and_found_by_them(
    scorer: Scorer, good: bytes, tmp_path: Path, credit: Credit
) -> None:
    lines = lines_of(scorer, good, {"Correlation-Id": "run-42"})
    spec = scorer.bundle.spec
    for name, wanted in (("mixed", lines), ("none", lines[:1])):
        ((_, frame),) = receipt_frames(wanted, lambda _id: spec, door="stream")
        assert ("headers" in frame.columns) == (name == "mixed")
        with Chain.open(tmp_path / name, "stream-kept") as chain:
            chain.seal(frame)
    ((_, found),) = find_by_header(tmp_path / "mixed", "correlation-id", "run-42")
    assert found["offset"].to_list() == [7]
    assert list(find_by_header(tmp_path / "none", "correlation-id", "run-42")) == []
    done = credit("log", "find", tmp_path / "mixed", "--header", "correlation-id=run-42", "--json")
    assert json.loads(done.stdout)[0]["origin"]["headers"] == {"Correlation-Id": "run-42"}, done.stderr
    assert credit("log", "verify", tmp_path / "mixed").returncode == 0


@pytest.mark.parametrize(
    "headers",
    [{"a b": "x"}, {"a": "line\nend"}, {"a": "x" * 3000}, {f"n{i}": "x" for i in range(17)}, {"a": 1}, ["a"], ""],
)
def test_headers_that_no_door_writes_are_no_receipt(scorer: Scorer, good: bytes, headers: Any) -> None:
    line = lines_of(scorer, good, {"a": "b"})[1].replace(b'{"a":"b"}', json.dumps(headers).encode())
    with pytest.raises(ReceiptError, match="receipt_not_json"):
        receipt_frames([line], lambda _id: scorer.bundle.spec)


def test_a_request_brings_sound_headers_of_bounded_size_and_nothing_else() -> None:
    extra = ExtraHeaders(list(DEFAULT), [])
    asked = {"traceparent": TRACE, "tracestate": "x" * (MOST_BYTES + 1), "correlation-id": "é", "x-other": "y"}
    assert extra.carried(asked) == {"traceparent": TRACE}
    assert extra.of_origin({"origin": "https://a.example"}) == ()


def test_pages_of_other_origins_may_ask_only_where_that_is_set() -> None:
    extra = ExtraHeaders(["traceparent"], check_origins(["https://a.example"]))
    allowed = dict(extra.of_origin({"origin": "https://a.example"}))
    assert allowed["Access-Control-Allow-Origin"] == "https://a.example"
    assert dict(extra.of_origin({"origin": "https://evil.example"})) == {"Vary": "Origin"}
    question = {"origin": "https://a.example", "access-control-request-method": "POST"}
    answer = extra.preflight("OPTIONS", question, ("POST",))
    assert answer is not None
    assert dict(answer.headers)["Access-Control-Allow-Methods"] == "POST"
    assert extra.preflight("OPTIONS", {**question, "origin": "https://evil.example"}, ("POST",)) is None
    assert ExtraHeaders([], []).preflight("OPTIONS", question, ("POST",)) is None
    for origin in ("*", "a.example", "https://a.example/path", "null"):
        with pytest.raises(ValueError, match="expected origins"):
            check_origins([origin])


def test_receipts_of_each_version_are_read_as_they_were_written(scorer: Scorer) -> None:
    """`tests/stream_formats/receipts.json` holds one line of each version, which nothing makes anew."""
    kept = json.loads((PROJECT / "tests/stream_formats/receipts.json").read_text())
    spec = scorer.bundle.spec
    ((_, frame),) = receipt_frames([line.encode() for line in kept["lines"]], lambda _id: spec)
    assert frame["headers"].to_list() == [None, '{"correlation-id":"run-42"}']
    assert [list(row) for row in frame.select("decision_id", "credit_score", "offset").rows()] == kept["read"]

"""Receipts as the doors write them: joined bytes in, the same bits in the log; whatever else is refused whole."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec.contract import Spec
from receipts.frame import feature_matrix
from receipts.line_parts import CODES, ReceiptError, applications_of
from receipts.lines import line_head, receipt_frames, receipt_line
from receipts.log.audit import audit
from receipts.log.chain import Chain
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.receipt_parts import of_bundle

DECIDED = "2026-01-02T03:04:05.000006Z"


@pytest.fixture(scope="module")
def door(scorer: Scorer) -> MessageScorer:
    return MessageScorer(scorer)


@pytest.fixture(scope="module")
def messages(dataset: Dataset, door: MessageScorer, spec: Spec) -> list[bytes]:
    """Those that are decided; what is refused has no receipt."""
    made = [m.body for m in to_messages(dataset.applications.head(300), dataset.events, spec)]
    return [message for message, answer in zip(made, door.answer(made), strict=True) if answer.decision]


def lines_of(messages: list[bytes], answers: list[Answer]) -> list[bytes]:
    head = line_head("stream", datetime.fromisoformat(DECIDED).timestamp())
    source = '{{"topic":"credit.applications","partition":3,"offset":{}}}'
    pairs = zip(messages, answers, strict=True)
    return [receipt_line(head, source.format(i).encode(), m, a) for i, (m, a) in enumerate(pairs)]


@pytest.fixture(scope="module")
def one_line(door: MessageScorer, spec: Spec) -> bytes:
    message = json.dumps(example_application(spec)).encode()
    return lines_of([message], door.answer([message]))[0]


def test_lines_become_receipts_with_the_bits_of_the_decisions(
    door: MessageScorer, messages: list[bytes], dataset: Dataset, scorer: Scorer, spec: Spec
) -> None:
    ((bundle_id, frame),) = receipt_frames(lines_of(messages, door.answer(messages)), lambda _id: spec)
    scored = scorer.score(dataset.applications.head(300), dataset.events)
    assert bundle_id == scorer.bundle.bundle_id
    assert frame.select(scored.decisions.columns).equals(scored.decisions)
    assert feature_matrix(frame).tobytes() == scored.features.tobytes()
    assert set(frame["credit_class"]) == set(spec.classes), "with reasons and without"
    assert frame["offset"].to_list() == list(range(len(messages)))
    assert frame.select("door", "topic", "partition", "request_id").unique().row(0) == (
        "stream",
        "credit.applications",
        3,
        None,
    )
    assert frame["decided_at"].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").unique().to_list() == [DECIDED]


def test_the_application_of_a_receipt_scores_to_the_same_decision_and_has_one_form(
    door: MessageScorer, messages: list[bytes], spec: Spec
) -> None:
    respelled = [json.dumps(dict(reversed(json.loads(m).items())), indent=1).encode() for m in messages]
    ((_, frame),) = receipt_frames(lines_of(messages, door.answer(messages)), lambda _id: spec)
    ((_, other),) = receipt_frames(lines_of(respelled, door.answer(respelled)), lambda _id: spec)
    ((_, alone),) = receipt_frames(lines_of(messages[:1], door.answer(messages[:1])), lambda _id: spec)
    assert other["application"].equals(frame["application"])
    assert alone["application"][0] == frame["application"][0], "whatever stands beside it"
    again = door.answer([text.encode() for text in frame["application"]])
    assert [a.decision for a in again] == [a.decision for a in door.answer(messages)]
    assert [a.features for a in again] == [a.features for a in door.answer(messages)]


def test_receipts_of_several_bundles_are_told_apart(one_line: bytes, scorer: Scorer, spec: Spec) -> None:
    other = of_bundle(one_line, "f" * 64)
    frames = receipt_frames([one_line, other, one_line], lambda _id: spec)
    assert {bundle_id: frame.height for bundle_id, frame in frames} == {scorer.bundle.bundle_id: 2, "f" * 64: 1}


def changed(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda line: json.dumps(json.loads(line) | {key: value}).encode()


def decided(**values: object) -> Callable[[bytes], bytes]:
    return lambda line: json.dumps(json.loads(line) | {"decision": json.loads(line)["decision"] | values}).encode()


def reason(**values: object) -> Callable[[bytes], bytes]:
    """A receipt whose only reason is changed."""
    one = {"code": "C", "text": "t", "contribution": 0.5, "weak": False}
    return lambda line: as_worst(line, [one | values])


def as_worst(line: bytes, reasons: list[dict[str, object]]) -> bytes:
    """The decision of the worst class, with these reasons."""
    receipt = json.loads(line)
    receipt["decision"] |= {"credit_class": "Poor", "reasons": reasons}
    return json.dumps(receipt).encode()


def reasons(count: int) -> Callable[[bytes], bytes]:
    return lambda line: as_worst(line, [{"code": "C", "text": "t", "contribution": 0.5, "weak": False}] * count)


def spelled(old: str, new: str) -> Callable[[bytes], bytes]:
    """The line with another spelling of a part, as JSON would not write it."""
    return lambda line: re.sub(old.encode(), new.encode(), line, count=1)


BROKEN: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda _line: b"", "receipt_not_json"),
    (lambda _line: b'{"receipt_version":1}', "receipt_not_json"),
    (lambda line: line + b"{}", "receipt_not_json"),
    (changed("receipt_version", 4), "receipt_version_unknown"),
    (changed("receipt_version", 3), "receipt_not_json"),
    (changed("kind", "shadow"), "receipt_not_json"),
    (changed("surprise", 1), "receipt_not_json"),
    (changed("door", "batch"), "receipt_not_json"),
    (changed("source", {"partition": 2**31}), "receipt_not_json"),
    (changed("source", {"offset": -1}), "receipt_not_json"),
    (changed("decided_at", "yesterday"), "receipt_instant_unreadable"),
    (changed("features", "AAAA"), "receipt_features_wrong"),
    (changed("features", "?"), "receipt_not_json"),
    (changed("application", {}), "receipt_application_wrong"),
    (changed("decision", {}), "receipt_decision_wrong"),
    (decided(bundle_id="../../etc"), "receipt_decision_wrong"),
    (decided(p_good="high"), "receipt_decision_wrong"),
    (decided(p_good=None), "receipt_decision_wrong"),
    (decided(as_of="2026"), "receipt_decision_wrong"),
    (decided(credit_score=2**40), "receipt_decision_wrong"),
    (decided(reasons=[{}]), "receipt_decision_wrong"),
    (decided(surprise=1), "receipt_decision_wrong"),
    (reasons(0), "receipt_decision_wrong"),
    (reasons(5), "receipt_decision_wrong"),
    (reason(code=""), "receipt_decision_wrong"),
    (reason(text="a\x1b[2Jb"), "receipt_decision_wrong"),
    (reason(text="a\u0085b"), "receipt_decision_wrong"),
    (reason(contribution="0.5"), "receipt_decision_wrong"),
    (reason(contribution=True), "receipt_decision_wrong"),
    (reason(contribution=None), "receipt_decision_wrong"),
    (spelled('"p_good":[^,]*', '"p_good":NaN'), "receipt_not_json"),
    (spelled('"p_good":[^,]*', '"p_good":1e999'), "receipt_decision_wrong"),
    (spelled('"p_good":[^,]*', '"p_good":"0.5"'), "receipt_decision_wrong"),
    (spelled('"credit_score":[^,]*', '"credit_score":' + "9" * 5000), "receipt_decision_wrong"),
    (decided(p_good=1.5), "receipt_decision_wrong"),
    (decided(p_good=-0.1), "receipt_decision_wrong"),
    (decided(credit_score=-5), "receipt_decision_wrong"),
    (decided(credit_score=700.5), "receipt_decision_wrong"),
    (decided(credit_class="Excellent"), "receipt_decision_wrong"),
    (
        decided(credit_class="Good", reasons=[{"code": "C", "text": "t", "contribution": 1.0, "weak": False}]),
        "receipt_decision_wrong",
    ),
    (decided(decision_id="0" * 64), "receipt_decision_wrong"),
    (decided(application_id="another"), "receipt_application_wrong"),
    (decided(customer_id="a\nb"), "receipt_application_wrong"),
    (decided(as_of="0001-01-01T00:00:00.000000Z"), "receipt_decision_wrong"),
    (decided(as_of="2200-01-01T00:00:00.000000Z"), "receipt_decision_wrong"),
    (decided(bundle_id="f" * 64 + "\n"), "receipt_decision_wrong"),
    (changed("decided_at", "0001-01-01T00:00:00.000000Z"), "receipt_instant_unreadable"),
    (changed("source", {"topic": "in\n", "partition": 0, "offset": 1}), "receipt_source_wrong"),
    (changed("source", {"topic": "in", "partition": 0}), "receipt_source_wrong"),
    (changed("source", {"topic": "in", "partition": 0, "offset": 1, "row": 1}), "receipt_source_wrong"),
    (changed("source", {"request_id": "r", "row": 1}), "receipt_source_wrong"),
    (changed("door", "rest"), "receipt_source_wrong"),
]


@pytest.mark.parametrize(("spoil", "code"), BROKEN)
def test_what_is_no_receipt_is_refused_with_a_code_and_its_place(
    spoil: Callable[[bytes], bytes], code: str, one_line: bytes, spec: Spec
) -> None:
    with pytest.raises(ReceiptError, match=CODES[code].split(";")[0]) as caught:
        receipt_frames([one_line, spoil(one_line)], lambda _id: spec)
    assert (caught.value.code, caught.value.place) == (code, 1)


@given(st.data())
def test_half_a_receipt_is_never_read(one_line: bytes, spec: Spec, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(one_line) - 1))
    with pytest.raises(ReceiptError):
        receipt_frames([one_line[:size]], lambda _id: spec)


def test_a_lender_without_attributes_has_receipts_too(one_line: bytes, spec: Spec) -> None:
    bare = json.loads(one_line)["application"] | {"attributes": {}}
    texts = applications_of([0], [json.dumps(bare).encode()], replace(spec, attributes=()))["application"]
    assert json.loads(texts[0]) == bare | {"events": [e | {"recorded_at": None} for e in bare["events"]]}


def test_receipts_of_good_applicants_alone_are_sealed(
    door: MessageScorer, messages: list[bytes], spec: Spec, tmp_path: Path
) -> None:
    """None of them has a reason."""
    ((_, frame),) = receipt_frames(lines_of(messages, door.answer(messages)), lambda _id: spec)
    with Chain.open(tmp_path, "stream-test") as chain:
        assert chain.seal(frame.filter(pl.col("credit_class") == "Good")).rows > 0
    assert not audit(tmp_path, ()).problems

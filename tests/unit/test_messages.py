"""The message: strict, exact, and the same bits as the table that it came from."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InputError
from features.spec.contract import Spec
from recipes.dataset import Dataset
from scoring.decisions import as_frame, decision_lines
from scoring.message.decision_lines import write_lines
from scoring.message.decoder import MessageDecoder, Refusal
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import Answer, MessageScorer, feature_rows
from scoring.message.refusal_codes import CODES, MESSAGE_EXPECTED
from scoring.message.schema import application_schema, decision_json_schema, example_application
from scoring.scorer import Scored, Scorer
from tests.bad_messages import bad_messages, changed, encoded, event
from tests.conftest import PROJECT, Credit


@pytest.fixture(scope="module")
def door(scorer: Scorer) -> MessageScorer:
    return MessageScorer(scorer)


@pytest.fixture(scope="module")
def example(spec: Spec) -> dict[str, Any]:
    message = example_application(spec)
    message["events"][0]["amount"] = "-34.50"  # which the tests replace
    return message


def compare(answers: list[Answer], scored: Scored, applications: pl.DataFrame) -> None:
    """Every row has the decision of the batch door, to the bit, or is refused with the same code."""
    decisions = [json.loads(a.decision) for a in answers if a.decision]
    assert len(decisions) == scored.decisions.height > 0
    for name in scored.decisions.columns:
        ours, theirs = [d[name] for d in decisions], scored.decisions[name]
        if theirs.dtype == pl.Float32:
            assert np.array(ours, dtype=np.float32).tobytes() == theirs.to_numpy().tobytes()
        elif theirs.dtype == pl.Datetime("us", "UTC"):
            assert ours == theirs.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_list()
        elif name == "reasons":
            assert theirs.equals(pl.Series(name, ours, dtype=theirs.dtype))
        else:
            assert ours == theirs.to_list()
    assert [a.features for a in answers if a.decision] == feature_rows(scored.features)
    refused = [(i + 1, a.refusal.code) for i, a in enumerate(answers) if a.refusal]
    assert refused == scored.rejects.filter(table="applications").select("row", "code").rows()
    assert len(answers) == applications.height


def test_a_message_scores_to_the_bits_of_its_row_from_typed_tables_and_from_text(
    door: MessageScorer, scorer: Scorer, dataset: Dataset, spec: Spec
) -> None:
    text = dataset.applications.with_columns(pl.all().cast(pl.String))
    moments = pl.col("occurred_at", "recorded_at").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00")
    for applications, events in (
        (dataset.applications, dataset.events),
        (text, dataset.events.with_columns(moments, pl.col("amount").cast(pl.String))),
        (dataset.applications.with_columns(pl.col("customer_id").cast(pl.Categorical)), dataset.events.head(0)),
    ):
        messages = [message.body for message in to_messages(applications, events, spec)]
        compare(door.answer(messages), scorer.score(applications, events), applications)


def test_unusable_rows_and_events_are_refused_with_the_same_codes(
    door: MessageScorer, scorer: Scorer, dataset: Dataset, spec: Spec
) -> None:
    some = dataset.applications.head(60).with_columns(pl.all().cast(pl.String))
    broken = some.with_row_index().with_columns(
        application_id=pl.when(pl.col("index") == 3).then(pl.lit("")).otherwise("application_id"),
        customer_id=pl.when(pl.col("index") == 4).then(None).otherwise("customer_id"),
        as_of=pl.when(pl.col("index") == 5).then(pl.lit("soon")).otherwise("as_of"),
    )
    amount = pl.when(pl.int_range(pl.len()) == 2).then(pl.lit("1.005")).otherwise(pl.col("amount").cast(pl.String))
    events = dataset.events.with_columns(amount=amount)
    messages = [message.body for message in to_messages(broken, events, spec)]
    scored = scorer.score(broken, events)
    assert set(scored.rejects["code"]) >= {"application_id_missing", "customer_id_missing", "as_of_unreadable"}
    assert "event_amount_too_many_decimals" in set(scored.rejects["code"])
    compare(door.answer(messages), scored, broken)


def test_every_kind_of_bad_message_is_refused_by_code_and_place_and_spoils_no_other(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    bad, good = list(bad_messages(example)), encoded(example)
    answers = door.answer([m for message, _, _ in bad for m in (message, good)])
    (alone,) = door.answer([good])
    assert alone.decision
    for (message, code, pointer), answer in zip(bad, answers[::2], strict=True):
        assert answer.refusal == Refusal(code=code, pointer=pointer, expected=CODES[code]), message[:1000]
    assert all(answer == alone for answer in answers[1::2])
    assert {code for _, code, _ in bad} >= MESSAGE_EXPECTED.keys() - {"events_too_many", "message_tombstone"}


def test_a_required_attribute_is_pointed_at(door: MessageScorer, example: dict[str, Any]) -> None:
    for attribute in door.scorer.bundle.spec.attributes:
        (answer,) = door.answer([encoded(changed(example, attributes={attribute.name: "?"}))])
        assert (answer.decision is None) == attribute.required


def test_numbers_are_read_as_text_and_money_exactly(door: MessageScorer, example: dict[str, Any]) -> None:
    def scored(amount: str, months: str = "41") -> object:
        text = json.dumps(changed(example, attributes={"months_employed": "MONTHS"})).replace('"MONTHS"', months)
        (answer,) = door.answer([text.replace('"-34.50"', amount).encode()])
        return answer.decision

    assert scored('"-34.50"') == scored("-34.5") == scored("-34.500") == scored("-3.45e1") == scored("-3450E-2")
    assert scored('"-34.50"') != scored("-34.51")
    assert scored("0", "41") == scored("0", "41.0") == scored("0", '"41_"') == scored("-0", "4.1e1")
    assert scored("0", "null") == scored("0", '""')
    assert scored("0", "1e400") == scored("0", "12345678901234567890123")  # given, and told otherwise than not given


def test_lines_are_those_of_the_frame_byte_by_byte(scorer: Scorer, dataset: Dataset) -> None:
    odd = dataset.applications.head(300).with_columns(
        application_id=pl.lit('"\\</\u00e9\u2028\U0001f600') + pl.col("application_id")
    )
    decided, _ = scorer.decide(odd, dataset.events)
    assert write_lines(decided) == decision_lines(as_frame(decided))
    told = {line.count(b'"weak"') for line in write_lines(decided)}
    assert {0, 4} <= told <= set(range(5)), "each reason says it, and there are four at most"


def test_two_messages_of_one_customer_do_not_see_each_others_events(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    first, second = encoded(changed(example, events=event())), encoded(changed(example, events=[]))
    assert door.answer([first, second]) == [*door.answer([first]), *door.answer([second])]
    assert door.answer([first]) != door.answer([second])


def test_a_message_with_too_many_events_is_refused_alone(
    door: MessageScorer, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.rfm.windows.MOST_EVENTS", 3)
    crowd = encoded(changed(example, events=event() * 2))
    answers = door.answer([encoded(example), crowd, encoded(example)])
    assert [a.refusal and a.refusal.code for a in answers] == [None, "events_too_many", None]


texts = st.sampled_from(["", ":", '"', '\\"x":', "2026-08-01T00:00:00Z", "\u00e9:\u2028", "x"])


names = ("application_id", "customer_id", "as_of")
styles = st.sampled_from(["", "escaped", " ", "\t", "\r\n "])
fields = st.tuples(st.sampled_from(names), texts, styles)


def written(name: str, text: str, style: str) -> str:
    """A field: each letter of its name may be an escape, which means the same, and white space may stand behind it."""
    quoted = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"' if style == "escaped" else json.dumps(name) + style
    return f"{quoted}:{json.dumps(text)}"


@given(st.lists(fields, max_size=3), st.tuples(styles, styles, styles))
def test_repeated_fields_are_found_whatever_stands_in_them(
    spec: Spec, extra: list[tuple[str, str, str]], usual: tuple[str, str, str]
) -> None:
    identity = [(name, "x", style) for name, style in zip(names, usual, strict=True)]
    body = ",".join(written(*field) for field in [*extra, *identity])
    message = f'{{{body},"attributes":{{}},"events":[]}}'.encode()
    (place,) = MessageDecoder(spec).decode([message]).places
    assert (place == Refusal.of("field_repeated")) == (len(extra) > 0)


values = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)


@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_whatever_raise(spec: Spec, message: bytes) -> None:
    (place,) = MessageDecoder(spec).decode([message]).places
    assert isinstance(place, Refusal)


def test_a_refusal_never_repeats_what_was_sent(door: MessageScorer, example: dict[str, Any]) -> None:
    marker = "Zq7Marker"
    for message, _, _ in bad_messages(example):
        planted = message.replace(b"A-1001", marker.encode()).replace(b"surprise", marker.encode())
        (answer,) = door.answer([planted])
        assert marker not in str(answer.refusal)


def test_the_example_fits_its_schema_and_scores_and_the_decision_fits_its_own(
    door: MessageScorer, spec: Spec, example: dict[str, Any]
) -> None:
    schema = application_schema(spec)
    jsonschema_rs.meta.validate(schema)
    jsonschema_rs.validate(schema, example)
    wrongs: list[Any] = [changed(example, surprise=1), changed(example, events=event(kind="gift")), []]
    for wrong in wrongs:
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(schema, wrong)
    (answer,) = door.answer([encoded(example)])
    jsonschema_rs.validate(decision_json_schema(spec), json.loads(answer.decision or b""))


def test_an_empty_recorded_at_is_a_missing_one_for_schema_and_decoder(
    door: MessageScorer, spec: Spec, example: dict[str, Any]
) -> None:
    recorded: list[dict[str, Any]] = [{}, {"recorded_at": None}, {"recorded_at": ""}]
    messages = [changed(example, events=event(**more)) for more in recorded]
    for message in messages:
        jsonschema_rs.validate(application_schema(spec), message)
    assert len({answer.decision for answer in door.answer([encoded(message) for message in messages])} - {None}) == 1


def test_the_command_prints_both_schemas(credit: Credit, bundle: Path, spec: Spec) -> None:
    printed = json.loads(credit("bundle", "schema", bundle).stdout)
    assert printed | {"examples": []} == application_schema(spec) | {"examples": []}
    example = json.loads(credit("bundle", "schema", bundle, "--example").stdout)
    assert printed["examples"] == [example]
    (salary,) = example["events"]
    assert (salary["kind"], float(salary["amount"]) > 0) == ("salary", True), "a salary comes in"
    assert json.loads(credit("bundle", "schema", bundle, "--decision").stdout) == decision_json_schema(spec)


def test_tables_that_cannot_become_messages_are_refused_by_name(dataset: Dataset, spec: Spec) -> None:
    with pytest.raises(InputError, match="'months_employed' is missing"):
        list(to_messages(dataset.applications.drop("months_employed"), dataset.events, spec))
    with pytest.raises(InputError, match="'amount' is missing"):
        list(to_messages(dataset.applications, dataset.events.drop("amount"), spec))


def test_the_documented_codes_are_those_of_the_product() -> None:
    table = "".join(f"| `{code}` | {text} |\n" for code, text in MESSAGE_EXPECTED.items())
    assert (PROJECT / "docs/messages.md").read_text().endswith("| code | expected |\n| --- | --- |\n" + table)


def test_depth_that_a_repeated_field_hides_is_refused_at_every_number_of_levels(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    whole, hidden = encoded(example), b'{"attributes": {"months_employed": %b%b},'
    messages = [whole.replace(b"{", hidden % (b"[" * n, b"]" * n), 1) for n in range(500, 1001)]
    codes = {answer.refusal.code for answer in door.answer(messages) if answer.refusal}
    assert codes == {"field_repeated", "message_too_deep"}

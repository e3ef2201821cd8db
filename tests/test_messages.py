"""The message: strict, exact, and the same bits as the table that it came from."""

import json
from typing import Any

import polars as pl
import pytest

from features.errors import InputError
from features.spec import Spec
from recipes.dataset import Dataset
from scoring.decisions import as_frame, decision_lines
from scoring.lines import write_lines
from scoring.messages import MessageScorer
from scoring.publish import to_messages
from scoring.schema import example_application
from scoring.scorer import Scorer
from tests.message_parts import changed, compare, encoded, event


@pytest.fixture(scope="module")
def door(scorer: Scorer) -> MessageScorer:
    return MessageScorer(scorer)


@pytest.fixture(scope="module")
def example(spec: Spec) -> dict[str, Any]:
    return example_application(spec)


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


def test_numbers_are_read_as_text_and_money_exactly(door: MessageScorer, example: dict[str, Any]) -> None:
    def scored(amount: str, age: str = "41") -> object:
        text = json.dumps(changed(example, attributes={"age": "AGE"})).replace('"AGE"', age)
        (answer,) = door.answer([text.replace('"-34.50"', amount).encode()])
        return answer.decision

    assert scored('"-34.50"') == scored("-34.5") == scored("-34.500") == scored("-3.45e1") == scored("-3450E-2")
    assert scored('"-34.50"') != scored("-34.51")
    assert scored("0", "41") == scored("0", "41.0") == scored("0", '"41_"') == scored("-0", "4.1e1")
    assert scored("0", "null") == scored("0", '""') == scored("0", "1e400") == scored("0", "12345678901234567890123")


def test_lines_are_those_of_the_frame_byte_by_byte(scorer: Scorer, dataset: Dataset) -> None:
    odd = dataset.applications.head(300).with_columns(
        application_id=pl.lit('"\\</\u00e9\u2028\U0001f600') + pl.col("application_id")
    )
    decided, _ = scorer.decide(odd, dataset.events)
    assert write_lines(decided) == decision_lines(as_frame(decided))
    assert {line.count(b'"weak"') for line in write_lines(decided)} == {0, 4}


def test_two_messages_of_one_customer_do_not_see_each_others_events(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    first, second = encoded(changed(example, events=event())), encoded(changed(example, events=[]))
    assert door.answer([first, second]) == [*door.answer([first]), *door.answer([second])]
    assert door.answer([first]) != door.answer([second])


def test_tables_that_cannot_become_messages_are_refused_by_name(dataset: Dataset, spec: Spec) -> None:
    with pytest.raises(InputError, match="'age' is missing"):
        list(to_messages(dataset.applications.drop("age"), dataset.events, spec))
    with pytest.raises(InputError, match="'amount' is missing"):
        list(to_messages(dataset.applications, dataset.events.drop("amount"), spec))

"""The JSON Schema of messages and decisions, and its example."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from features.spec import Spec
from scoring.messages import MessageScorer
from scoring.schema import application_schema, decision_json_schema, example_application
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.message_parts import changed, encoded, event


@pytest.fixture(scope="module")
def door(scorer: Scorer) -> MessageScorer:
    return MessageScorer(scorer)


@pytest.fixture(scope="module")
def example(spec: Spec) -> dict[str, Any]:
    return example_application(spec)


def test_the_example_fits_its_schema_and_scores_and_the_decision_fits_its_own(
    door: MessageScorer, spec: Spec, example: dict[str, Any]
) -> None:
    schema = application_schema(spec)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example, schema)
    wrongs: list[Any] = [changed(example, surprise=1), changed(example, events=event(kind="gift")), []]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    (answer,) = door.answer([encoded(example)])
    jsonschema.validate(json.loads(answer.decision or b""), decision_json_schema(spec))


def test_an_empty_recorded_at_is_a_missing_one_for_schema_and_decoder(
    door: MessageScorer, spec: Spec, example: dict[str, Any]
) -> None:
    recorded: list[dict[str, Any]] = [{}, {"recorded_at": None}, {"recorded_at": ""}]
    messages = [changed(example, events=event(**more)) for more in recorded]
    for message in messages:
        jsonschema.validate(message, application_schema(spec))
    assert len({answer.decision for answer in door.answer([encoded(message) for message in messages])} - {None}) == 1


def test_the_command_prints_both_schemas(credit: Credit, bundle: Path, spec: Spec) -> None:
    printed = json.loads(credit("bundle", "schema", bundle).stdout)
    assert printed | {"examples": []} == application_schema(spec) | {"examples": []}
    example = json.loads(credit("bundle", "schema", bundle, "--example").stdout)
    assert printed["examples"] == [example]
    (salary,) = example["events"]
    assert (salary["kind"], float(salary["amount"]) > 0) == ("salary", True), "a salary comes in"
    assert json.loads(credit("bundle", "schema", bundle, "--decision").stdout) == decision_json_schema(spec)

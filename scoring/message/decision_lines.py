"""Decisions as lines of JSON, put together from texts; `decision_lines` of a frame gives the same bytes."""

from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from scoring.decisions import Decided, Rules
from scoring.reasons.explainer import MOST_REASONS


def write_lines(decided: Decided) -> list[bytes]:
    """Write one JSON object per decision: numbers in their shortest exact form, instants as RFC 3339 in UTC."""
    applications, ranked, opening = decided.applications, decided.reasons, decided.rules.explainer.openings
    template, width = _template(decided.rules), decided.probabilities.shape[1]
    numbers = _texts(np.concatenate([decided.probabilities, ranked.contributions], axis=1))
    rows = zip(
        decided.ids,
        applications["application_id"].to_list(),
        applications["customer_id"].to_list(),
        np.datetime_as_string(applications["as_of"].to_numpy().astype("datetime64[us]"), unit="us").tolist(),
        decided.assigned.tolist(),
        decided.scores.tolist(),
        ranked.texts.tolist(),
        ranked.weak.tolist(),
        ranked.count.tolist(),
        range(0, len(numbers), width + MOST_REASONS),
        strict=True,
    )
    classes = [_quoted(name) for name in decided.rules.policy.classes]
    lines = []
    for number, application, customer, as_of, assigned, score, texts, weak, count, start in rows:
        given = numbers[start + width : start + width + count]
        reasons = [
            f'{opening[texts[i]]},"contribution":{given[i]},"weak":{"true" if weak[i] else "false"}}}'
            for i in range(count)
        ]
        fields = (number, _quoted(application), _quoted(customer), as_of, *numbers[start : start + width])
        lines.append((template % (*fields, classes[assigned], score, ",".join(reasons))).encode())
    return lines


def _template(rules: Rules) -> str:
    probabilities = "".join(f"{_quoted(name)}:%s," for name in rules.spec.probability_columns)
    return (
        '{"decision_id":"%s","application_id":%s,"customer_id":%s,"as_of":"%sZ",'
        f'{probabilities}"credit_class":%s,"credit_score":%d,"reasons":[%s],"bundle_id":"{rules.bundle_id}"}}'
    )


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _texts(numbers: NDArray[Any]) -> list[str]:
    return pl.Series(numbers.ravel()).cast(pl.String).to_list()

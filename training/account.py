"""What a training run was given and what of it it could use: labels, matches, columns."""

from dataclasses import asdict
from typing import Any

from features.applications import identifier
from features.cells import UNREADABLE
from features.cells.decimal_advice import decimal_advice
from features.errors import InputError
from features.matrix import FeatureTable
from features.rejects import APPLICATIONS
from features.spec.class_values import without_class
from features.spec.contract import Spec
from training.data import TrainingData


def account(data: TrainingData, table: FeatureTable, spec: Spec) -> dict[str, Any]:
    """Count usable applications with and without a label, labels that say nothing or fit none, and matches."""
    ids = data.labels.select(identifier(data.labels.schema, "labels", "application_id")).to_series()
    blank = without_class(data.labels["credit_class"], spec)
    labelled = table.applications["application_id"].is_in(ids.filter(~blank).implode())
    known = data.applications.select(identifier(data.applications.schema, APPLICATIONS, "application_id")).to_series()
    return {
        "labels": {
            "labelled_applications": int(labelled.sum()),
            "unlabelled_applications": int((~labelled).sum()),
            "labels_without_class": int(blank.sum()),
            "labels_without_application": int((~ids.is_in(known.implode())).sum()),
        },
        "matches": asdict(table.matches),
    }


def refuse_empty_columns(data: TrainingData, table: FeatureTable, spec: Spec) -> None:
    """Refuse to learn from a column in which no cell is usable: nothing tells it from a column that was read wrongly.

    Raises:
        InputError: naming the column, the causes and the lines of the spec.

    """
    height = len(table.matrix)
    for attribute in spec.attributes:
        causes = {c: n for t, column, c, n in table.counted if (t, column) == (APPLICATIONS, attribute.name)}
        if height and sum(causes.values()) == height:
            found = ", ".join(f"{cause} {cells:,}" for cause, cells in causes.items())
            advice = decimal_advice(data.applications, spec, {attribute.name: causes.get(UNREADABLE, 0)})
            decimal = "".join(f" Or {text}." for text in advice)
            raise InputError(
                f"applications: column {attribute.name!r} has no usable cell ({found}). Correct its source or its kind "
                f"in the spec; if it is truly empty, delete [attributes.{attribute.name}] from the spec.{decimal}"
            )

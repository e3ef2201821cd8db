"""What a training says of what it was given: tables, labels, the join, and what a person should know."""

from typing import TYPE_CHECKING, Any

from batch import look_at_tables
from cli.console import note, say, say_table, warn
from cli.doors.score import match_rows
from features.spec.contract import Spec

if TYPE_CHECKING:
    from training.data import TrainingData
    from training.run import Trained


def say_given(evaluation: dict[str, Any], data: "TrainingData", spec: Spec) -> None:
    """Say what of the tables could be used; warn if the join found nobody."""
    labels, matches = evaluation["labels"], evaluation["matches"]
    rows: list[tuple[object, ...]] = [(name.replace("_", " "), count) for name, count in labels.items()]
    say_table((), rows + match_rows(matches))
    if spec.groups and matches["applications"] and not matches["matched_applications"]:
        found = look_at_tables((data.applications, data.events), lambda: iter([data.events]), spec)
        warn(
            "warning: the spec measures events, and no application has a usable one, so the model learned that nobody "
            f"has a history. {found.text()}"
        )
    say()


def say_notes(trained: "Trained", data: "TrainingData") -> None:
    """Say what a person should know before the model is used."""
    from training.evaluate.notes import training_notes

    for text in training_notes(data, trained.features, trained.spec):
        note(text)

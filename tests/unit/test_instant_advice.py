"""Instants in a form that is not declared are not discovered as 800 rejects: the line to add is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from features.errors import InputError, RejectLimitError
from features.spec.contract import Spec
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from tests.conftest import Credit
from training.data import TrainingData, label_examples

DAY = r"^(\d{4})-(\d\d)-(\d\d).*$"


def german(path: Path | None, column: str) -> None:
    assert path is not None
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(pl.col(column).str.replace(DAY, "${3}.${2}.${1}")).write_csv(path)


FORMS: list[tuple[Callable[[BatchJob], None], str]] = [
    (
        lambda job: german(job.applications, "as_of"),
        r'as_of is written as 31\.12\.2026\. Add as_of_format = "%d\.%m\.%Y" to the spec\.',
    ),
    (
        lambda job: german(job.events, "occurred_at"),
        r'occurred_at is written as 31\.12\.2026\. Add occurred_at_format = "%d\.%m\.%Y" to the spec\.',
    ),
]


@pytest.mark.parametrize(("spoil", "advice"), FORMS)
def test_a_run_and_a_check_say_the_line_to_add(
    spoil: Callable[[BatchJob], None], advice: str, job: BatchJob, scorer: Scorer, credit: Credit
) -> None:
    spoil(job)
    with pytest.raises(RejectLimitError, match=advice):
        run_batch(replace(job, max_reject_share=0.05), scorer)
    files = ("--applications", job.applications, "--events", job.events or "")
    done = credit("check", "--bundle", scorer.bundle.path, *files)
    assert done.returncode == 3
    assert "to the spec." in done.stderr


def test_training_says_it_instead_of_too_few_customers(dataset: Dataset, spec: Spec) -> None:
    own = dataset.applications.with_columns(pl.col("as_of").cast(pl.String).str.replace(DAY, "${3}/${2}/${1}"))
    data = TrainingData(own, dataset.events, dataset.labels)
    with pytest.raises(InputError, match=r'instants are not read\. as_of .* Add as_of_format = "%d/%m/%Y" to the spec'):
        label_examples(data, spec)

"""What a training says about its data: empty labels, protected attributes, columns that tell the class."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.draft import Tables, draft_spec
from features.matrix import build_features
from features.spec.file import parse_spec
from features.spec.telling import telling
from scoring.bundle.folder import read_bundle
from tests.conftest import Credit
from training.data import TrainingData, check_labels
from training.evaluate.notes import training_notes

ROWS = 400


def lender(**columns: object) -> TrainingData:
    generator = np.random.default_rng(3)
    worth = generator.normal(size=ROWS)
    bad = (worth + generator.normal(size=ROWS) < -0.5).astype(int)
    identity = {"application_id": [f"A{i}" for i in range(ROWS)], "customer_id": [f"C{i}" for i in range(ROWS)]}
    made = {name: value(bad) if callable(value) else value for name, value in columns.items()}
    applications = pl.DataFrame({**identity, "as_of": "2026-01-15", "income": np.round(3000 + 800 * worth, 2), **made})
    events = pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String))
    labels = pl.DataFrame({"application_id": identity["application_id"], "credit_class": bad})
    return TrainingData(applications, events, labels)


def written(bad: np.ndarray) -> np.ndarray:
    """Days of the recovery, known afterwards: long for those who defaulted, in no order for the others."""
    return np.where(bad == 1, 300, 10) + np.random.default_rng(0).integers(0, 100, ROWS)


@pytest.mark.parametrize("column", [lambda bad: bad, lambda bad: np.where(bad == 1, "closed", "open"), written])
def test_a_column_that_tells_the_class_is_said_by_draft_and_train(column: object) -> None:
    data = lender(recovered=column)
    draft = draft_spec(Tables.of(data.applications, None, data.labels))
    (look,) = [look for look in draft.looks if look.startswith("recovered: ")]
    assert "tells the class by itself" in look
    spec = parse_spec(draft.text)
    said = list(training_notes(data, build_features(data.applications, data.events, spec), spec))
    assert [text.split(" tells")[0] for text in said] == ["recovered"]


def test_a_column_that_only_helps_is_not_accused() -> None:
    data = lender()
    draft = draft_spec(Tables.of(data.applications, None, data.labels))
    assert not any("tells the class" in look for look in draft.looks)


def test_telling_needs_fifty_rows_of_the_rarer_class_and_is_out_of_fold() -> None:
    actual = np.array([1] * 49 + [0] * 500)
    rows = np.arange(len(actual))
    assert telling(actual.astype(float), actual, rows) == 0.5
    more = np.array([1] * 50 + [0] * 500)
    assert telling(more.astype(float), more, np.arange(len(more))) == 1
    unique = np.random.default_rng(0).permutation(len(more))
    assert telling(unique, more, np.arange(len(more))) < 0.7, "each value is new to the fold that it is judged in"
    missing = np.where(more == 1, np.nan, 5.0)
    assert telling(missing, more, np.arange(len(more))) == 1, "that a cell is missing may tell too"


@pytest.mark.slow
def test_a_protected_attribute_is_said_at_each_training_and_in_the_model_card(tmp_path: Path, credit: Credit) -> None:
    data = lender(age=np.random.default_rng(1).integers(18, 80, ROWS))
    draft = draft_spec(Tables.of(data.applications, None, data.labels)).text
    block = draft.index('# [attributes."age"]')
    end = draft.index("\n\n", block)
    for name in ("applications", "labels"):
        getattr(data, name).write_csv(tmp_path / f"{name}.csv")
    labels = (tmp_path / "labels.csv").read_text().splitlines()
    labels[1], labels[2] = labels[1].split(",")[0] + ",", labels[2].split(",")[0] + ","
    (tmp_path / "labels.csv").write_text("\n".join([*labels[:-1], ""]))
    taken_in = draft[:block] + draft[block:end].replace("# [", "[").replace("\n# ", "\n") + draft[end:]
    (tmp_path / "spec.toml").write_text(taken_in)
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    assert "age (age)" in done.stderr
    assert re.search(r"labels without class +2\n", done.stdout), "empty labels are counted and said"
    assert re.search(r"unlabelled applications +3\n", done.stdout)
    bundle = read_bundle(Path(done.stdout.splitlines()[-1]))
    assert "Protected attributes among the inputs: `age` (age)." in (bundle.path / "model_card.md").read_text()


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.Boolean, pl.String])
def test_labels_of_any_type_are_one_class(kind: type[pl.DataType]) -> None:
    data = lender()
    draft = draft_spec(Tables.of(data.applications, None, data.labels)).text
    spec = parse_spec(draft)
    typed = data.labels.with_columns(pl.col("credit_class").cast(pl.Float64).cast(kind))
    assert check_labels(typed, spec).equals(check_labels(data.labels, spec))
    assert check_labels(typed, spec)["actual"].to_list() == [1 - bad for bad in data.labels["credit_class"]]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory, credit: Credit) -> Path:
    """A lender whose labels are 0 and 1, with a bundle, decisions and their log."""
    folder = tmp_path_factory.mktemp("flags")
    data = lender()
    for name in ("applications", "labels"):
        getattr(data, name).write_csv(folder / f"{name}.csv")
    tables = ("--applications", folder / "applications.csv")
    assert (
        credit("spec", "draft", *tables, "--labels", folder / "labels.csv", "--out", folder / "spec.toml").returncode
        == 0
    )
    done = credit("train", folder, "--bundles", folder / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    (folder / "current").symlink_to(done.stdout.splitlines()[-1])
    scored = ("--bundle", folder / "current", "--out", folder / "decisions.csv", "--log", folder / "log")
    assert credit("score", *tables, *scored).returncode == 0
    return folder


@pytest.mark.parametrize("kind", [pl.Float64, pl.Boolean])
@pytest.mark.slow
def test_evaluate_and_outcomes_take_labels_of_any_type(
    decided: Path, tmp_path: Path, credit: Credit, kind: type[pl.DataType]
) -> None:
    labels = lender().labels.with_columns(pl.col("credit_class").cast(kind))
    labels.write_parquet(tmp_path / "typed.parquet")
    labels.write_csv(tmp_path / "text.csv")
    plain = credit("evaluate", "--decisions", decided / "decisions.csv", "--labels", decided / "labels.csv", "--json")
    assert plain.returncode == 0, plain.stderr
    for file in ("typed.parquet", "text.csv"):
        done = credit("evaluate", "--decisions", decided / "decisions.csv", "--labels", tmp_path / file, "--json")
        assert done.stdout == plain.stdout, done.stderr
        done = credit("outcomes", "add", decided / "log", "--labels", tmp_path / file, "--backfilled")
        assert done.returncode == 0, done.stderr
    assert "400 were there already" in done.stdout

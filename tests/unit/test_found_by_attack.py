"""What an attacker found, each with a guard."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from features.errors import BundleError, DeliveryError, InputError, SettingsError, SpecError
from features.matrix import build_features
from features.spec.file import parse_spec
from model_export.export import export
from recipes.dataset import Dataset
from recipes.kaggle import _CATEGORIES, _NUMBERS
from scoring.bundle.folder import read_bundle
from scoring.evaluate_files import evaluate_decisions
from scoring.scorer import Scorer
from serving.keys import KeyFile
from tests.conftest import Credit
from tests.unit.test_features import SPEC, applications, events
from tests.unit.test_instants import read_instants
from tests.unit.test_values import attribute, read
from training.data import TrainingData
from training.run import train


def test_white_space_around_an_identifier_does_not_lose_the_history() -> None:
    plain = build_features(applications({}), events({}), SPEC)
    spaced = build_features(applications({"customer_id": "C1 "}), events({"customer_id": " C1"}), SPEC)
    assert spaced.matrix.tobytes() == plain.matrix.tobytes()
    assert spaced.applications["customer_id"].to_list() == ["C1"]


def test_a_date_far_out_does_not_wrap_into_the_range() -> None:
    days = pl.Series([213_503_983, -213_503_983], dtype=pl.Int32).cast(pl.Date)
    assert read_instants(days) == [(None, "out_of_range")] * 2


def test_99_months_are_no_part_of_a_year_and_a_list_without_a_member_is_missing() -> None:
    assert read(["1 Years and 99 Months"], attribute("duration")) == [(None, "unreadable")]
    lists = pl.Series([["A", None]], dtype=pl.List(pl.String))
    assert read(lists, attribute("list", values=("A",))) == [(None, "missing")]


def test_evaluate_takes_the_truth_from_the_labels_and_the_order_from_the_policy(
    scorer: Scorer, dataset: Dataset
) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    policy = scorer.bundle.policy
    expected = evaluate_decisions(decisions, dataset.labels, policy)
    named = decisions.with_columns(actual=pl.lit("Good"))
    turned = decisions.select(
        *[c for c in decisions.columns if not c.startswith("p_")], "p_good", "p_standard", "p_poor"
    )
    assert evaluate_decisions(named, dataset.labels, policy) == expected
    assert evaluate_decisions(turned, dataset.labels, policy) == expected


@pytest.mark.parametrize(
    "change",
    [
        pl.lit(None, dtype=pl.String).alias("credit_class"),
        pl.lit(3.0).alias("p_poor"),
        pl.lit("x").alias("p_poor"),
        pl.concat_list("customer_id").alias("customer_id"),
        pl.struct("p_poor").alias("p_poor"),
        pl.lit("a note").alias("p_note"),
    ],
)
def test_decisions_that_are_none_are_refused(change: pl.Expr, scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions.with_columns(change)
    with pytest.raises(InputError, match=r"decisions: "):
        evaluate_decisions(decisions, dataset.labels, scorer.bundle.policy)


@pytest.mark.slow
def test_a_model_without_any_split_is_exported(dataset: Dataset, tmp_path: Path) -> None:
    text = dataset.spec_text
    attributes, policy = text.index("[attributes.months_employed]"), text.index("# What each mistake costs")
    attribute = '[attributes.months_employed]\nkind = "integer"\n[events]\nkinds = []\nignored = ["salary"]\n'
    reason = text[text.index("[reasons.EMPLOYMENT]") : text.index("[reasons.INCOME]")]
    only_one = text[:attributes] + attribute + text[policy : text.index("# Reasons: ")] + reason
    constant = dataset.applications.with_columns(months_employed=pl.lit("30"))
    no_events = dataset.events.head(0)
    trained = train(TrainingData(constant, no_events, dataset.labels), parse_spec(only_one))
    scorer = Scorer.open(export(trained, tmp_path))
    decisions = scorer.score(constant, no_events).decisions
    assert decisions["p_good"].n_unique() == 1
    adverse = decisions.filter(pl.col("credit_class") != "Good").explode("reasons").unnest("reasons")
    assert adverse["weak"].all(), "nothing was learned, so nothing spoke against anybody"


def test_enum_values_are_not_repeated_in_messages() -> None:
    secret = applications({}).with_columns(pl.lit("SECRET").cast(pl.Enum(["SECRET"])).alias("as_of"))
    with pytest.raises(InputError) as error:
        build_features(secret, events({}), SPEC)
    assert "SECRET" not in str(error.value)


def test_specs_that_no_bundle_could_hold_are_refused() -> None:
    text = SPEC.text
    for old, new in (
        ('code = "EUR"', 'code = "E\\"R"'),
        ('"Standard"', '"Stand\\u0001ard"'),
        ("base_score = 600", f"base_score = 1{'0' * 400}"),
        ("base_score = 600", f"base_score = 1{'0' * 5000}"),
        ("spec_version = 1", "spec_version = " + "[" * 5000),
        ("[attributes.months_employed]", '[attributes."*"]'),
    ):
        assert old in text
        with pytest.raises(SpecError):
            parse_spec(text.replace(old, new))


def test_a_bundle_holds_plain_files_only(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    (copy / "model.onnx").unlink()
    (copy / "model.onnx").symlink_to(bundle / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx: is not a plain file"):
        read_bundle(copy)


def test_a_folder_above_a_bundle_is_no_bundle_and_nothing_in_it_is_called_litter(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bundle)
    with pytest.raises(BundleError, match=r"manifest\.json is missing, so this is not a bundle") as raised:
        read_bundle(tmp_path)
    assert "remove" not in str(raised.value).lower()


def test_a_bad_cell_of_a_recipe_is_no_traceback_and_is_not_repeated(tmp_path: Path, credit: Credit) -> None:
    columns = ("Customer_ID", "Month", "Credit_Score", *_NUMBERS, *_CATEGORIES)
    pl.DataFrame({name: ["SECRET"] for name in columns}).write_csv(tmp_path / "panel.csv")
    done = credit("dataset", "kaggle", tmp_path / "panel.csv", "--out", tmp_path)
    assert (done.returncode, "SECRET" in done.stderr, "Traceback" in done.stderr) == (1, False, False)


def test_a_folder_in_the_manifests_place_is_refused_before_anything_is_written(tonight: Path, scorer: Scorer) -> None:
    out = tonight / "decisions.csv"
    (tonight / "decisions.run.json").mkdir()
    with pytest.raises(DeliveryError, match=r"decisions\.run\.json: is a folder"):
        run_batch(BatchJob(applications=tonight / "applications.csv", events=tonight / "events.csv", out=out), scorer)
    assert not out.exists()


def test_an_application_never_gets_the_events_of_a_neighbour_that_was_rejected() -> None:
    late: dict[str, str | None] = {"occurred_at": "2025-06-01", "recorded_at": "2026-01-01"}
    own = events({"occurred_at": "2025-05-01"}, late)
    foreign = events({"customer_id": "C2", "amount": "9"}, {"customer_id": "C2", "amount": "no number"})
    alone = build_features(applications({}), own, SPEC)
    both = build_features(applications({}, {"customer_id": "C2"}), pl.concat([own, foreign]), SPEC)
    assert both.rejects["code"].to_list() == ["event_amount_unreadable"]
    assert both.matrix.tobytes() == alone.matrix.tobytes()
    carried = [frame.with_columns(application_row=row) for row, frame in ((1, own), (2, foreign))]
    message = build_features(applications({}, {"customer_id": "C2"}), pl.concat(carried), SPEC)
    assert message.matrix.tobytes() == alone.matrix.tobytes()


@pytest.mark.parametrize("kind", ["number", "integer", "money"])
def test_a_token_of_a_stripped_zero_is_missing_and_only_what_a_cell_can_say_is_a_number(kind: str) -> None:
    zero = attribute(kind, missing_tokens=("$0",), strip="$")
    assert [cause for _, cause in read(["$0", " $0", "$5"], zero)] == ["missing_token", "missing_token", None]
    assert [cause for _, cause in read(["99", " 99"], attribute(kind, missing_tokens=("9_9",)))] == [None, None]


@pytest.mark.parametrize("damaged", ["[" * 100_000, '"sha256": "ü"'])
def test_a_damaged_file_of_keys_is_a_setting_to_repair_not_a_fault(tmp_path: Path, damaged: str) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.new("test", "2026-01-01")
    content = keys.path.read_text()
    keys.path.write_text(damaged if damaged[0] == "[" else re.sub('"sha256": "[0-9a-f]+"', damaged, content))
    with pytest.raises(SettingsError, match="is not a file of keys"):
        KeyFile(keys.path).find(key)

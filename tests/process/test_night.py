"""Events that match nobody and columns that no cell fits: seen by the batch, against what training froze."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from features.errors import RejectLimitError, SettingsError
from scoring.bundle.reference import read_reference
from scoring.scorer import Scorer
from tests.batch_parts import REST, outputs
from tests.conftest import PROJECT, Credit


def changed(job: BatchJob, table: str, *columns: pl.Expr) -> BatchJob:
    path: Path = getattr(job, table)
    pl.read_csv(path, infer_schema=False).with_columns(columns).write_csv(path)
    return job


def before(job: BatchJob, scorer: Scorer) -> tuple[bytes, bytes, bytes]:
    """Run an ordinary night and return what it wrote, for the next one must leave it."""
    run_batch(job, scorer)
    return (*outputs(job), job.manifest_path.read_bytes())


def test_a_run_counts_the_applications_with_a_usable_event_and_the_events_they_use(
    job: BatchJob, scorer: Scorer
) -> None:
    manifest = run_batch(job, scorer)
    assert job.events is not None
    decisions = pl.read_csv(job.out).select(
        "application_id", "customer_id", pl.col("as_of").str.to_datetime(time_zone="UTC")
    )
    events = (
        pl.read_csv(job.events, infer_schema=False)
        .filter(pl.col("kind") != "note")
        .with_columns(
            pl.col("occurred_at").str.to_datetime(time_zone="UTC"),
            pl.coalesce("recorded_at", "occurred_at").str.to_datetime(time_zone="UTC").alias("k"),
        )
    )
    seen = decisions.join(events.with_row_index(), on="customer_id").filter(
        pl.col("occurred_at") < pl.col("as_of"), pl.col("k") <= pl.col("as_of")
    )
    matches = manifest["matches"]
    assert matches["applications"] == decisions.height
    assert matches["customers"] == decisions["customer_id"].n_unique()
    assert matches["matched_applications"] == seen["application_id"].n_unique()
    assert matches["matched_customers"] == seen["customer_id"].n_unique()
    by_kind = dict(seen.unique("index")["kind"].value_counts().iter_rows())
    assert matches["events"] == by_kind
    assert matches["share"] == matches["matched_applications"] / matches["applications"]
    assert matches["share_at_training"] > 0.9


def test_partitions_change_no_count(job: BatchJob, scorer: Scorer) -> None:
    whole = run_batch(job, scorer)["matches"]
    assert run_batch(replace(job, partition_bytes=4096, threads=2), scorer)["matches"] == whole


@pytest.mark.parametrize(
    "column",
    [pl.col("customer_id") + ".0", pl.col("customer_id").str.to_lowercase(), "X" + pl.col("customer_id")],
    ids=["float", "case", "prefix"],
)
def test_events_that_match_nobody_end_the_run_and_leave_the_previous_output(
    column: pl.Expr, job: BatchJob, scorer: Scorer
) -> None:
    kept = before(job, scorer)
    job = changed(job, "events", column.alias("customer_id"))
    with pytest.raises(RejectLimitError, match=r"events: 0 of \d+ applications .*--allow-empty-events"):
        run_batch(job, scorer)
    assert (*outputs(job), job.manifest_path.read_bytes()) == kept
    assert job.rejects_path.with_name("decisions.rejects.csv.failed").exists()
    manifest = run_batch(replace(job, allow_empty_events=True), scorer)
    assert manifest["matches"]["matched_applications"] == 0
    assert any(note.startswith("events: 0 of") for note in manifest["notes"])


def test_an_events_file_without_rows_ends_the_run_and_leaves_the_previous_output(job: BatchJob, scorer: Scorer) -> None:
    kept = before(job, scorer)
    assert job.events is not None
    job.events.write_text(job.events.read_text().splitlines()[0] + "\n")
    with pytest.raises(RejectLimitError, match=r"header but no rows.*--allow-empty-events"):
        run_batch(job, scorer)
    assert (*outputs(job), job.manifest_path.read_bytes()) == kept
    assert run_batch(replace(job, allow_empty_events=True), scorer)["events"] == 0


def test_three_new_customers_never_stop_a_night(job: BatchJob, scorer: Scorer) -> None:
    header = job.applications.read_text().splitlines()[0]
    job.applications.write_text(f"{header}\n" + "".join(f"X{i},N{i},2025-06-30,{REST}\n" for i in range(3)))
    assert run_batch(job, scorer)["decisions"] == 3


def test_events_that_are_all_later_than_the_applications_end_the_run(job: BatchJob, scorer: Scorer) -> None:
    late = [pl.lit("2031-01-01T00:00:00Z").alias("occurred_at"), pl.lit("").alias("recorded_at")]
    with pytest.raises(RejectLimitError, match=r"0 of .* have a usable event"):
        run_batch(changed(job, "events", *late), scorer)


def test_events_of_long_ago_that_no_window_reaches_end_the_run(job: BatchJob, scorer: Scorer) -> None:
    old = [pl.lit("2011-01-01T00:00:00Z").alias("occurred_at"), pl.lit("").alias("recorded_at")]
    with pytest.raises(RejectLimitError, match=r"0 of .* have an event recent enough"):
        run_batch(changed(job, "events", *old), scorer)


def test_a_share_of_matches_below_the_least_ends_the_run(job: BatchJob, scorer: Scorer) -> None:
    assert run_batch(replace(job, min_matched=0.9), scorer)["decisions"]
    customers = pl.read_csv(job.applications)["customer_id"].unique().sort()
    gone = pl.col("customer_id").is_in(customers.head(len(customers) // 2).implode())
    job = changed(job, "events", pl.when(gone).then(pl.lit("nobody")).otherwise("customer_id").alias("customer_id"))
    assert any("at training" in note for note in run_batch(job, scorer)["notes"])
    with pytest.raises(RejectLimitError, match=r"expected 90.0% at least \(--min-matched\)"):
        run_batch(replace(job, min_matched=0.9), scorer)


def test_a_column_of_weight_that_no_cell_fits_ends_the_run_unless_it_is_allowed(job: BatchJob, scorer: Scorer) -> None:
    kept = before(job, scorer)
    job = changed(job, "applications", (pl.col("credit_utilisation") + " %%").alias("credit_utilisation"))
    with pytest.raises(RejectLimitError, match=r"'credit_utilisation': 0.0% .*--allow-degraded credit_"):
        run_batch(job, scorer)
    assert (*outputs(job), job.manifest_path.read_bytes()) == kept
    manifest = run_batch(replace(job, allow_degraded=("credit_utilisation",)), scorer)
    assert any("'credit_utilisation'" in note for note in manifest["notes"])


def test_a_column_without_weight_is_a_note(job: BatchJob, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read_reference(scorer.bundle)
    light = tuple(replace(column, importance=0.0) for column in known.health or ())
    monkeypatch.setattr("batch.night.read_reference", lambda _bundle: replace(known, health=light))
    manifest = run_batch(changed(job, "applications", pl.lit("pilot").alias("occupation")), scorer)
    assert any("column 'occupation': 0.0% of its cells are usable" in note for note in manifest["notes"])


def test_an_unknown_column_cannot_be_allowed(job: BatchJob, scorer: Scorer) -> None:
    with pytest.raises(SettingsError, match="--allow-degraded incme"):
        run_batch(replace(job, allow_degraded=("incme",)), scorer)


def test_an_ordinary_night_has_no_note(job: BatchJob, scorer: Scorer) -> None:
    assert run_batch(job, scorer)["notes"] == []


def test_the_command_says_matches_and_ends_with_3(job: BatchJob, bundle: Path, credit: Credit) -> None:
    command: list[Any] = ["score", "--bundle", bundle, "--applications", job.applications, "--out", job.out, "--events"]
    done = credit(*command, job.events)
    assert done.returncode == 0, done.stderr
    assert "applications with a usable event" in done.stdout
    assert "events used: salary" in done.stdout
    kept = outputs(job)
    refused = credit(*command, changed(job, "events", (pl.col("customer_id") + ".0")).events)
    assert refused.returncode == 3
    assert "have a usable event" in refused.stderr
    assert outputs(job) == kept
    assert credit(*command, job.events, "--allow-empty-events").returncode == 0


def test_a_bundle_without_frozen_rates_is_not_compared_and_says_so_once(tmp_path: Path, credit: Credit) -> None:
    old = PROJECT / "tests" / "formats" / "2"
    (bundle,) = (old / "bundles").iterdir()
    tables = ["--applications", old / "applications.csv", "--events", old / "events.csv"]
    done = credit("score", "--bundle", bundle, *tables, "--out", tmp_path / "decisions.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("holds no match rate") == 1
    assert len(json.loads((tmp_path / "decisions.run.json").read_text())["notes"]) == 1


@pytest.mark.process
def test_verify_features_and_monitor_say_how_many_match(
    job: BatchJob, bundle: Path, tmp_path: Path, credit: Credit
) -> None:
    tables: list[Any] = ["--bundle", bundle, "--applications", job.applications, "--events", job.events]
    assert credit("score", *tables, "--out", job.out).returncode == 0
    matched = json.loads(job.manifest_path.read_text())["matches"]["matched_applications"]
    matrix = credit("features", *tables, "--out", tmp_path / "matrix.csv")
    assert re.search(rf"applications with a usable event \(.*\) +{matched}\n", matrix.stdout)
    page = tmp_path / "monitor.html"
    watched = credit("monitor", *tables, "--decisions", job.out, "--out", page, "--fail-on", "none")
    assert f"{matched} of {matched} applications have a usable event" in watched.stdout
    assert json.loads(page.with_suffix(".json").read_text())["matches"]["matched_applications"] == matched
    verified = credit("verify", *tables, "--json")
    assert json.loads(verified.stdout)["matches"]["matched_applications"] == matched


@pytest.mark.slow
def test_train_counts_labels_and_matches_and_warns_if_nobody_matches(
    training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    folder = Path(shutil.copytree(training_folder, tmp_path / "train"))
    labels = pl.read_parquet(folder / "labels.parquet")
    labels.with_columns(pl.when(pl.int_range(pl.len()) >= 5).then("credit_class").alias("credit_class")).slice(
        3
    ).write_parquet(folder / "labels.parquet")
    events = pl.read_parquet(folder / "events.parquet")
    events.with_columns(pl.col("customer_id") + ".0").write_parquet(folder / "events.parquet")
    done = credit("train", folder, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    assert re.search(r"labels without class +2\n", done.stdout)
    assert re.search(r"unlabelled applications +5\n", done.stdout)
    assert re.search(r"applications with a usable event \(0.0%\) +0\n", done.stdout)
    assert "no application has a usable one" in done.stderr
    assert "a suffix .0" in done.stderr


def test_train_refuses_a_column_without_a_usable_cell_and_names_the_line(
    training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    folder = Path(shutil.copytree(training_folder, tmp_path / "train"))
    table = pl.read_parquet(folder / "applications.parquet")
    table.with_columns(pl.lit("pilot").alias("occupation")).write_parquet(folder / "applications.parquet")
    done = credit("train", folder, "--bundles", tmp_path / "bundles")
    assert done.returncode == 1
    assert "column 'occupation' has no usable cell (unknown_category" in done.stderr
    assert "delete [attributes.occupation]" in done.stderr
    assert not list((tmp_path / "bundles").glob("*"))

"""`credit check`: what a run would make of tables, and why their join fails; ids are never shown."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from batch.check import Check, check_tables
from batch.id_repairs import form_of
from batch.job import BatchJob, run_batch
from batch.night import Accepted, frozen
from features.errors import RejectLimitError
from features.spec.contract import Spec
from scoring.scorer import Scorer
from tests.conftest import Credit

NUMBER = pl.col("customer_id").str.slice(3)  # of ids such as C7-0000042
BARE = NUMBER.str.strip_chars_start("0")
SAME = pl.col("customer_id")
REPAIRS = {
    "floats": (BARE, BARE + ".0", ["a suffix .0"], "Int64"),
    "floats with a prefix": (SAME, SAME + ".0", ["a suffix .0"], "Int64"),
    "lost zeros": (NUMBER, BARE, ["leading zeros"], "keep it as text"),
    "padded behind a prefix": (SAME, "C7-" + BARE, ["leading zeros"], "keep it as text"),
    "case": (SAME, SAME.str.to_lowercase(), ["upper and lower case"], "same case"),
    "white space": (SAME, SAME.str.slice(0, 2) + " " + SAME.str.slice(2), ["white space or hyphens inside"], "without"),
    "prefix": (SAME, NUMBER, ["the prefix C7-"], "each id of the applications begins with C7-"),
    "suffix": (SAME, SAME + "/X", ["the suffix /X"], "each id of the events ends with /X"),
    "prefix and zeros": (SAME, BARE, ["the prefix C7-", "leading zeros"], "keep it as text"),
}


def rewritten(job: BatchJob, applications: pl.Expr, events: pl.Expr) -> BatchJob:
    for path, ids in ((job.applications, applications), (job.events, events)):
        assert path is not None
        pl.read_csv(path, infer_schema=False).with_columns(ids.alias("customer_id")).write_csv(path)
    return job


def check(job: BatchJob, scorer: Scorer) -> Check:
    spec = scorer.bundle.spec
    return Check(
        spec=spec,
        applications=job.applications,
        events=job.events,
        accepted=Accepted(),
        reference=frozen(scorer.bundle),
    )


@pytest.mark.parametrize("case", REPAIRS)
def test_the_usual_repairs_are_named_and_no_id_is_shown(case: str, job: BatchJob, scorer: Scorer) -> None:
    applications, events, names, advice = REPAIRS[case]
    ids = pl.read_csv(rewritten(job, applications, events).applications, infer_schema=False)["customer_id"]
    found = check_tables(check(job, scorer))
    assert found["exit_code"] == 3
    assert found["join"]["repair"] == names
    assert found["join"]["repaired_share"] > 0.95
    with pytest.raises(RejectLimitError) as refused:
        run_batch(job, scorer)
    for text in (*found["refusals"], str(refused.value)):
        assert "The form of customer_id" in text
        assert advice in text
        assert not any(id_ in text.split() for id_ in ids.drop_nulls() if len(id_) > 3)


def test_mixed_forms_within_one_column_are_a_note_with_the_repair(job: BatchJob, scorer: Scorer) -> None:
    lower = pl.when(NUMBER.str.slice(6) < "5").then(SAME.str.to_lowercase()).otherwise(SAME)
    found = check_tables(check(rewritten(job, SAME, lower), scorer))
    assert found["exit_code"] == 0
    assert found["join"]["repair"] == ["upper and lower case"]
    assert any("upper and lower case" in note for note in found["notes"])


@pytest.mark.parametrize(("year", "said"), [(2031, "All events are after the applications"), (2011, "older than")])
def test_events_of_another_time_are_said(year: int, said: str, job: BatchJob, scorer: Scorer) -> None:
    assert job.events is not None
    other = [pl.lit(f"{year}-01-01").alias("occurred_at"), pl.lit("").alias("recorded_at")]
    pl.read_csv(job.events, infer_schema=False).with_columns(other).write_csv(job.events)
    found = check_tables(check(job, scorer))
    assert found["exit_code"] == 3
    assert said in found["join"]["times"]
    assert f"{year}-01-01" in found["refusals"][0]
    with pytest.raises(RejectLimitError, match=said):
        run_batch(job, scorer)


def test_local_dates_are_recognised_with_the_line_to_add(job: BatchJob, scorer: Scorer) -> None:
    assert job.events is not None
    for path, name in ((job.applications, "as_of"), (job.events, "occurred_at")):
        table = pl.read_csv(path, infer_schema=False)
        local = pl.col(name).str.replace(r"^(\d{4})-(\d\d)-(\d\d).*", "$3.$2.$1")
        table.with_columns(local.alias(name)).write_csv(path)
    found = check_tables(check(job, scorer))
    assert found["exit_code"] == 3
    assert any('as_of_format = "' in text for text in found["dates"])
    assert any('occurred_at_format = "' in text for text in found["dates"])


def test_a_part_file_of_ten_that_is_missing_is_a_note(job: BatchJob, scorer: Scorer) -> None:
    assert job.events is not None
    events = pl.read_csv(job.events, infer_schema=False)
    parts = job.events.with_name("parts")
    parts.mkdir()
    for i, part in enumerate(events.sort("customer_id").iter_slices(-(-events.height // 10))):
        part.write_csv(parts / f"part-{i}.csv")
    job = replace(job, events=parts)
    assert check_tables(check(job, scorer))["notes"] == []
    (parts / "part-7.csv").unlink()
    (parts / "part-8.csv").unlink()  # of ten, of 100 customers: one is within chance
    notes = run_batch(job, scorer)["notes"]
    assert any("have a usable event" in note for note in notes)


def test_check_and_score_agree_in_every_count(job: BatchJob, scorer: Scorer) -> None:
    found = check_tables(replace(check(job, scorer), partition_bytes=4096, threads=2))
    manifest = run_batch(job, scorer)
    for name in ("applications", "rejected_applications", "events", "rejects_by_code", "matches", "notes"):
        assert found[name] == manifest[name]


def test_with_a_spec_a_column_without_a_usable_cell_is_refused(job: BatchJob, spec: Spec) -> None:
    table = pl.read_csv(job.applications, infer_schema=False)
    table.with_columns(pl.lit("pilot").alias("occupation")).write_csv(job.applications)
    alone = Check(spec=spec, applications=job.applications, events=job.events, accepted=Accepted(), alone=True)
    found = check_tables(alone)
    assert found["exit_code"] == 3
    assert "delete [attributes.occupation]" in found["refusals"][0]
    assert check_tables(replace(alone, accepted=Accepted(degraded=("occupation",))))["exit_code"] == 0


def test_the_command_ends_with_0_or_3_and_prints_a_table_or_json(
    job: BatchJob, bundle: Path, training_folder: Path, credit: Credit
) -> None:
    tables = ["--applications", job.applications, "--events", job.events]
    well = credit("check", "--bundle", bundle, *tables)
    assert well.returncode == 0, well.stderr
    assert "at training" in well.stdout
    assert "A run would decide these." in well.stdout
    rewritten(job, SAME, SAME + ".0")
    ill = credit("check", "--spec", training_folder / "spec.toml", *tables, "--json")
    assert ill.returncode == 3
    assert json.loads(ill.stdout)["join"]["repair"] == ["a suffix .0"]
    both = credit("check", "--spec", training_folder / "spec.toml", "--bundle", bundle, *tables)
    assert both.returncode == 2
    assert not list(job.applications.parent.glob("*.part"))


def test_a_form_says_what_ids_look_like() -> None:
    form = form_of(pl.Series(["0A-12", "0b-34", "0C-56", None]))
    assert form is not None
    assert form.text() == "5 characters, 67% of the form 9A-99, 100% begin with 0"
    assert form_of(pl.Series([None], dtype=pl.String)) is None

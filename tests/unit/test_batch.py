"""Door 1: files in, files out; the same bytes twice, and every row is decided or rejected with its place."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from features.errors import CreditError, DeliveryError, RejectLimitError, SettingsError
from scoring.scorer import Scored, Scorer
from tests.batch_parts import REST, outputs, rejects, with_rows
from tests.conftest import Credit


def test_a_run_accounts_for_every_row_and_says_what_it_read_and_wrote(job: BatchJob, scorer: Scorer) -> None:
    manifest = run_batch(job, scorer)
    assert manifest == json.loads(job.manifest_path.read_text())
    assert manifest["applications"] == 200 == manifest["decisions"] + manifest["rejected_applications"]
    assert sum(manifest["decisions_by_class"].values()) == manifest["decisions"]
    assert manifest["bundle_id"] == scorer.bundle.bundle_id
    assert {d["column"] for d in manifest["dirt"] if d["cause"] == "out_of_range"} >= {
        "annual_income",
        "credit_utilisation",
    }
    assert set(manifest["seconds"]) == {"read", "score", "write"}
    for path in (job.out, job.rejects_path):
        assert manifest["outputs"][path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["inputs"][0]["sha256"] == hashlib.sha256(job.applications.read_bytes()).hexdigest()


def test_a_scorer_that_loses_a_row_ends_the_run(job: BatchJob, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scorer.score

    def losing(applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        scored = real(applications, events)
        return replace(scored, decisions=scored.decisions.head(-1))

    monkeypatch.setattr(scorer, "score", losing)
    with pytest.raises(CreditError, match=r"200 applications came in, .* Nothing was written"):
        run_batch(job, scorer)
    assert not job.out.exists()


def test_decisions_come_in_input_order_and_a_rerun_gives_the_same_bytes(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    first = outputs(job)
    ids = pl.read_csv(job.applications)["application_id"].to_list()
    rejected = set(pl.read_csv(job.rejects_path, infer_schema=False)["application_id"])
    assert pl.read_csv(job.out)["application_id"].to_list() == [i for i in ids if i not in rejected]
    run_batch(job, scorer)
    assert outputs(job) == first
    assert sorted(p.name for p in job.out.parent.iterdir()) == [
        "applications.csv",
        "decisions.csv",
        "decisions.rejects.csv",
        "decisions.run.json",
        "events.csv",
    ]


def test_csv_reads_back_to_the_bits_of_parquet(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    parquet = replace(job, out=job.out.with_suffix(".parquet"))
    run_batch(parquet, scorer)
    exact = pl.read_parquet(parquet.out)
    text = pl.read_csv(job.out, schema_overrides=dict.fromkeys(("p_poor", "p_standard", "p_good"), pl.Float32))
    for name in ("p_poor", "p_standard", "p_good"):
        assert text[name].reinterpret(signed=False).equals(exact[name].reinterpret(signed=False))
    assert text["as_of"].str.to_datetime(time_zone="UTC").cast(pl.Datetime("us", "UTC")).equals(exact["as_of"])


def test_csv_parquet_and_folders_of_parts_give_the_same_bytes(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    expected = outputs(job)
    applications = pl.read_csv(job.applications, infer_schema=False)
    events = pl.read_csv(job.applications.with_name("events.csv"), infer_schema=False)
    folder = job.out.parent
    applications.write_parquet(folder / "applications.parquet")
    events.with_columns(
        pl.col("occurred_at", "recorded_at").str.to_datetime(time_zone="UTC"), pl.col("amount").cast(pl.Decimal(12, 2))
    ).write_parquet(folder / "events.parquet")
    run_batch(replace(job, applications=folder / "applications.parquet", events=folder / "events.parquet"), scorer)
    assert outputs(job)[0] == expected[0]
    for name, frame in (("applications", applications), ("events", events)):
        (folder / name).mkdir()
        (folder / name / "_SUCCESS").touch()
        half = frame.height // 2
        frame.head(half).write_csv(folder / name / "part-0.csv")
        frame.tail(-half).write_csv(folder / name / "part-1.csv")
    run_batch(replace(job, applications=folder / "applications", events=folder / "events"), scorer)
    assert outputs(job)[0] == expected[0]


def test_every_row_of_a_repeated_application_is_rejected_and_located(job: BatchJob, scorer: Scorer) -> None:
    before = run_batch(job, scorer)["rejected_applications"]
    job = with_rows(
        job,
        f"X1,C9,2025-06-30,{REST}",
        f"X2,C9,2025-06-30,{REST}",
        f"X1,C8,2025-07-30,{REST}",
        f",C8,2025-07-30,{REST}",
    )
    manifest = run_batch(job, scorer)
    assert manifest["rejected_applications"] == before + 3
    assert manifest["rejects_by_code"]["application_id_repeated"] == 2
    rows = {(r["row"], r["application_id"], r["code"]) for r in rejects(job)}
    assert rows >= {
        (201, "X1", "application_id_repeated"),
        (203, "X1", "application_id_repeated"),
        (204, None, "application_id_missing"),
    }


def test_a_reject_in_a_folder_names_file_row_and_event(job: BatchJob, scorer: Scorer) -> None:
    folder = job.out.parent / "parts"
    folder.mkdir()
    events = job.applications.with_name("events.csv").read_text().splitlines(keepends=True)
    (folder / "a.csv").write_text("".join(events))
    (folder / "b.csv").write_text(events[0] + "C9,2025-01-01,salary,1,\nC9,2025-01-01,gift,1,\n")
    run_batch(replace(with_rows(job, f"X1,C9,2025-06-30,{REST}"), events=folder), scorer)
    (reject,) = [r for r in rejects(job) if r["application_id"] == "X1"]
    assert reject["file"] == "applications.csv"
    assert (reject["row"], reject["event_file"], reject["event_row"]) == (201, "b.csv", 2)
    assert (reject["column"], reject["code"]) == ("events.kind", "event_kind_unknown_category")


def test_the_share_of_rejects_is_strict_and_leaves_the_previous_output(job: BatchJob, scorer: Scorer) -> None:
    lines = job.applications.read_text().splitlines(keepends=True)
    job.applications.write_text(
        "".join(lines[:1]) + "".join(f"X{i},C9,2025-06-30,{REST}\n" for i in range(19)) + f"X19,,2025-06-30,{REST}\n"
    )
    assert run_batch(replace(job, max_reject_share=0.05), scorer)["rejected_applications"] == 1
    before = outputs(job)
    with pytest.raises(RejectLimitError, match=r"1 of 20 applications were rejected \(5.0%\), .*customer_id_missing 1"):
        run_batch(replace(job, max_reject_share=0.049), scorer)
    assert outputs(job) == before
    failed = job.rejects_path.with_name("decisions.rejects.csv.failed")
    assert "customer_id_missing" in failed.read_text()


@pytest.mark.parametrize("cell", ["NaN", "inf", "-Infinity", "1e400", "12.345", "ten"])
def test_dirty_optional_cells_are_scored_and_counted(cell: str, job: BatchJob, scorer: Scorer) -> None:
    before = run_batch(job, scorer)
    manifest = run_batch(with_rows(job, f"X1,C9,2025-06-30,41,{cell},nurse,,12.5,2,Good,1000,none"), scorer)

    def cells(m: dict[str, Any]) -> int:
        return sum(d["cells"] for d in m["dirt"] if d["column"] == "annual_income")

    assert cells(manifest) == cells(before) + 1
    assert manifest["decisions"] == before["decisions"] + 1


def test_the_output_is_checked_before_anything_is_read(job: BatchJob, scorer: Scorer) -> None:
    unread = replace(job, applications=Path("absent.csv"))
    with pytest.raises(DeliveryError, match="nowhere: no such folder"):
        run_batch(replace(unread, out=job.out.parent / "nowhere" / "decisions.csv"), scorer)
    (job.out.parent / "folder.csv").mkdir()
    with pytest.raises(DeliveryError, match="is a folder"):
        run_batch(replace(unread, out=job.out.parent / "folder.csv"), scorer)
    with pytest.raises(DeliveryError, match="/proc: cannot be written to"):
        run_batch(replace(unread, out=Path("/proc/decisions.csv")), scorer)


def test_the_input_is_never_the_output(job: BatchJob, scorer: Scorer) -> None:
    before = job.applications.read_bytes()
    with pytest.raises(SettingsError, match=r"applications\.csv: is or lies in the input"):
        run_batch(replace(job, out=job.applications), scorer)
    with pytest.raises(SettingsError, match="is or lies in the input"):
        run_batch(replace(job, events=job.out.parent), scorer)
    assert job.applications.read_bytes() == before


def test_exit_codes(job: BatchJob, bundle: Path, credit: Credit) -> None:
    arguments: dict[str, object] = {
        "--bundle": bundle,
        "--applications": job.applications,
        "--events": job.events,
        "--out": job.out,
    }

    def run(**changes: object) -> "subprocess.CompletedProcess[str]":
        merged = {**arguments, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
        return credit("score", *[part for item in merged.items() for part in item])

    assert run().returncode == 0
    done = run(applications="absent.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: absent.csv: no such file or folder. Expected the applications as CSV or Parquet.\n"
    assert run(bundle="absent").returncode == 2
    assert run(out=job.out.with_suffix(".txt")).returncode == 2
    assert run(max_reject_share="many").returncode == 2
    assert run(out=job.out.parent / "nowhere" / "d.csv").returncode == 4
    with_rows(job, *[f"X{i},,2025-06-30,{REST}" for i in range(30)])
    done = run()
    assert done.returncode == 3
    assert "--max-reject-share" in done.stderr
    assert "Traceback" not in done.stderr

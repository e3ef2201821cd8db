"""The batch door's receipts: one for each decision, before it is delivered, whatever happens to the run."""

import hashlib
import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from batch.receipts import LogSettings
from features.errors import DeliveryError, RejectLimitError
from receipts.frame import feature_matrix, receipt_schema
from receipts.log.audit import audit
from receipts.log.chain import Chain
from receipts.log.read import frames, segments
from scoring.decisions import decision_schema
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.process.test_log_removal import killed
from tests.receipt_parts import NOON

SMALL = 40_000  # bytes: the 200 applications become several partitions


@pytest.fixture
def job(tonight: Path) -> BatchJob:
    return BatchJob(
        applications=tonight / "applications.csv",
        events=tonight / "events.csv",
        out=tonight / "decisions.parquet",
        partition_bytes=SMALL,
        threads=2,
        log=LogSettings(log=tonight / "log", clock=lambda: NOON),
    )


def read(job: BatchJob) -> pl.DataFrame:
    assert job.log is not None
    return pl.concat(list(frames(job.log.log))).sort("row")


def test_each_decision_has_a_receipt_with_its_feature_row(job: BatchJob, scorer: Scorer) -> None:
    run = run_batch(job, scorer)
    receipts, decisions = read(job), pl.read_parquet(job.out)
    spec = scorer.bundle.spec
    assert receipts.schema == receipt_schema(spec)
    assert receipts.select(decision_schema(spec).names()).equals(decisions, null_equal=True)
    events = pl.read_csv(job.applications.with_name("events.csv"), infer_schema=False)
    applications = pl.read_csv(job.applications, infer_schema=False)
    expected = scorer.score(applications, events)
    assert feature_matrix(receipts).tobytes() == expected.features.tobytes()
    assert receipts["input_sha256"].unique().to_list() == [hashlib.sha256(job.applications.read_bytes()).hexdigest()]
    named = applications["application_id"].str.strip_chars().gather(receipts["row"] - 1)
    assert named.to_list() == receipts["application_id"].to_list()
    assert (receipts["decided_at"] == NOON).all()
    assert run["receipts"]["receipts"] == decisions.height
    parts = segments(job.log.log)  # type: ignore[union-attr]
    assert len(parts) > 1
    dirt = (
        pl.concat([pl.DataFrame(part.dirt) for part in parts if part.dirt])
        .group_by("column")
        .agg(pl.col("cells").sum())
    )
    stated = pl.DataFrame(run["dirt"]).group_by("column").agg(pl.col("cells").sum())
    assert dirt.sort("column").equals(stated.sort("column"))


def test_rows_are_those_of_the_part_file(job: BatchJob, scorer: Scorer, tmp_path: Path) -> None:
    lines = job.applications.read_text().splitlines(keepends=True)
    (tmp_path / "parts").mkdir()
    for number, part in enumerate((lines[1:120], lines[120:])):
        (tmp_path / f"parts/{number}.csv").write_text("".join([lines[0], *part]))
    run_batch(replace(job, applications=tmp_path / "parts"), scorer)
    named = {
        hashlib.sha256(p.read_bytes()).hexdigest(): pl.read_csv(p, infer_schema=False)
        for p in (tmp_path / "parts").iterdir()
    }
    receipts = read(job)
    assert receipts["input_sha256"].n_unique() == 2
    for sha256, row, name in receipts.select("input_sha256", "row", "application_id").iter_rows():
        assert named[sha256]["application_id"][row - 1].strip() == name


def test_full_receipts_replay_from_the_application(job: BatchJob, bundle: Path, credit: Credit) -> None:
    options = ["--bundle", bundle, "--applications", job.applications, "--events", job.events]
    log = job.out.with_name("full")
    done = credit("score", *options, "--out", job.out, "--log", log, "--receipts", "full")
    assert (done.returncode, f"receipts     {log}: " in done.stdout) == (0, True), done.stderr
    run = json.loads(job.manifest_path.read_text())["receipts"]
    assert run["head"] in done.stdout
    report = json.loads(credit("replay", log, "--bundles", bundle, "--json").stdout)
    assert (report["different"], report["from_applications"]) == (0, run["receipts"])
    assert credit("log", "verify", log, "--head", run["head"]).returncode == 0


def test_the_output_does_not_depend_on_the_log(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    logged = job.out.read_bytes(), job.rejects_path.read_bytes()
    run_batch(replace(job, log=None), scorer)
    assert (job.out.read_bytes(), job.rejects_path.read_bytes()) == logged


def test_a_run_that_ends_with_too_many_rejects_leaves_no_receipt(job: BatchJob, scorer: Scorer) -> None:
    with pytest.raises(RejectLimitError):
        run_batch(replace(job, max_reject_share=0), scorer)
    assert job.log is not None
    assert not segments(job.log.log)
    assert not audit(job.log.log).problems


def test_runs_continue_one_chain_and_runs_at_once_have_their_own(job: BatchJob, scorer: Scorer) -> None:
    assert job.log is not None
    heads = [run_batch(job, scorer)["receipts"] for _ in range(2)]
    assert [head["writer"] for head in heads] == ["batch-1"] * 2
    with Chain.open(job.log.log, "batch-1"):
        assert run_batch(job, scorer)["receipts"]["writer"] == "batch-2"
    assert not audit(job.log.log, [head["head"] for head in heads]).problems


@pytest.mark.process
def test_killed_at_every_step_no_delivered_decision_lacks_a_receipt(
    tonight: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    template = tmp_path_factory.mktemp("template") / "in"
    template.mkdir()
    for name, rows in (("applications", 30), ("events", 800)):
        lines = (tonight / f"{name}.csv").read_text().splitlines(keepends=True)
        (template / f"{name}.csv").write_text("".join(lines[: rows + 1]))
    steps = killed("score", template, tmp_path_factory.mktemp("kills"), bundle)
    delivered = steps[-1][0]["delivered"]
    assert (delivered, steps[-1][0]["receipts"], steps[-1][0]["lacking"]) == (29, 29, 0)
    for number, found in enumerate(steps):
        for left in found:
            assert (left["problems"], left["lacking"]) == ([], 0), number
        assert [left["delivered"] for left in found[1:]] == [delivered] * (len(found) - 1)
    repeated = [found[-1]["receipts"] for found in steps[:-1]]
    assert set(repeated) >= {29, 58}, "run again after it was sealed, a run leaves its receipts twice"


def test_a_full_disk_ends_the_run_with_the_log_as_it_was(job: BatchJob, scorer: Scorer) -> None:
    assert job.log is not None
    run_batch(job, scorer)
    before, log = job.out.read_bytes(), job.log.log
    receipts = read(job).height
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in log.rglob("*.parquet"))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, hard))
        with pytest.raises(DeliveryError):
            run_batch(job, scorer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (job.out.read_bytes(), read(job).height, audit(log).problems) == (before, receipts, [])


def no_log(folder: Path) -> Path:
    (folder / "strange").mkdir()
    (folder / "strange/notes.txt").write_text("mine")
    return folder / "strange"


def newer(folder: Path) -> Path:
    (folder / "newer").mkdir()
    (folder / "newer/log.json").write_text('{"format_version": 2}')
    return folder / "newer"


@pytest.mark.parametrize("make", [no_log, newer])
def test_a_log_that_cannot_be_used_ends_the_run_before_reading(
    job: BatchJob, bundle: Path, credit: Credit, make: Callable[[Path], Path]
) -> None:
    log = make(job.out.parent)
    options: list[Any] = ["--bundle", bundle, "--applications", "nowhere.csv", "--events", job.events]
    done = credit("score", *options, "--out", job.out, "--log", log)
    assert (done.returncode, str(log) in done.stderr) == (2, True), done.stderr
    assert not job.out.exists()
    shutil.rmtree(log)

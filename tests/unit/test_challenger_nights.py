"""`credit challenger report` on what `credit score --challenger` wrote, and why each decision would change."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch import BatchJob
from recipes.dataset import Dataset
from tests.conftest import Credit

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Night:
    """A night beside which the rival decided for most customers."""

    job: BatchJob
    bundle: Path
    rival: Path
    bundles: Path
    credit: Credit

    @property
    def tables(self) -> tuple[object, ...]:
        return "--applications", self.job.applications, "--events", self.job.events

    def report(self, challenger: Path, *more: object) -> tuple[int, str, dict[str, Any]]:
        page = self.bundles.parent / "challenger.html"
        where = ("--challenger", challenger.name[:8], "--bundles", self.bundles, "--out", page)
        done = self.credit("challenger", "report", self.job.out, *where, *more)
        found = json.loads(page.with_suffix(".json").read_text()) if done.returncode == 0 else {}
        return done.returncode, done.stdout + done.stderr, found


@pytest.fixture
def night(job: BatchJob, bundle: Path, rival: Path, credit: Credit, tmp_path: Path) -> Night:
    night = Night(job, bundle, rival, tmp_path / "bundles", credit)
    night.bundles.mkdir()
    for path in (bundle, rival):
        (night.bundles / path.name).symlink_to(path)
    beside = ("--challenger", rival, "--challenger-share", 0.8)
    done = credit("score", "--bundle", bundle, *night.tables, "--out", job.out, *beside)
    assert done.returncode == 0, done.stderr
    return night


def test_figures_are_those_of_the_files_and_parts_those_of_why_changed(
    night: Night, dataset: Dataset, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    dataset.labels.write_csv(labels)
    code, said, found = night.report(night.rival, "--labels", labels, *night.tables)
    assert code == 0, said
    before, after = (pl.read_csv(path) for path in (night.job.out, *beside(night)))
    both = before.join(after, on="application_id", suffix=":after")
    assert found["applications"] == both.height == after.height < before.height
    changed = both.filter(pl.col("credit_class") != pl.col("credit_class:after"))
    assert found["changed"]["value"] == pytest.approx(changed.height / both.height, abs=1e-6)
    assert (found["challenger"], found["champions"]) == (night.rival.name, [night.bundle.name])
    judged = both.join(dataset.labels, on="application_id")
    assert found["outcomes"]["applications"] == judged.height > 0
    why = found["why"]
    assert why["changed"] == changed.height > 0
    assert sum(part["decisions"] for part in why["parts"]) == pytest.approx(changed.height)
    whole = json.loads(night.credit("why-changed", night.bundle, night.rival, *night.tables, "--json").stdout)
    assert [part["name"] for part in why["parts"]] == [part["name"] for part in whole["parts"]]
    assert "put down to" in said
    assert "put down to" in (tmp_path / "challenger.html").read_text()


def test_ids_are_read_as_the_night_reads_them(night: Night, tmp_path: Path) -> None:
    numbered, out = tmp_path / "applications.parquet", tmp_path / "numbered.csv"
    applications = pl.read_csv(night.job.applications, infer_schema=False)
    applications.with_columns(application_id=1000.0 + pl.int_range(pl.len())).write_parquet(numbered)
    tables = ("--applications", numbered, "--events", night.job.events)
    beside = ("--challenger", night.rival)
    assert night.credit("score", "--bundle", night.bundle, *tables, "--out", out, *beside).returncode == 0
    code, said, found = replace(night, job=replace(night.job, out=out)).report(night.rival, *tables)
    assert code == 0, said
    assert found["why"]["changed"] > 0


def beside(night: Night) -> list[Path]:
    return list(night.job.out.parent.glob("*.challenger-*.csv"))


def test_what_is_not_there_is_said(night: Night, tmp_path: Path) -> None:
    code, said, _ = night.report(night.bundle)
    assert (code, f"no file of this challenger. There are those of {night.rival.name[:12]}" in said) == (1, True), said
    absent = replace(night, job=replace(night.job, out=tmp_path / "absent.csv"))
    code, said, _ = absent.report(night.rival)
    assert (code, "absent.csv: not there. Expected a decision log, or the decisions" in said) == (1, True), said
    code, said, _ = night.report(night.rival, "--events", night.job.events)
    assert (code, "expected --applications as well" in said) == (2, True), said
    strange = tmp_path / "labels.csv"
    strange.write_text("application_id,credit_class\nA,Excellent\n")
    code, said, _ = night.report(night.rival, "--labels", strange)
    assert (code, "none of the bundles'" in said) == (1, True), said
    (path,) = beside(night)
    path.write_text("application_id\nA\n")
    code, said, _ = night.report(night.rival)
    assert (code, "not what a batch writes" in said) == (1, True), said

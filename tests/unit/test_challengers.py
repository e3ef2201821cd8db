"""Challengers of a batch: the output stays what it is, and their files are what they decide alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch import BatchJob, challengers, run_batch
from scoring.challengers import sampled
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.variants import variant


@pytest.fixture
def other(rival: Path) -> Scorer:
    return Scorer.open(rival)


def run(job: BatchJob, folder: str, scorer: Scorer, **changes: Any) -> tuple[dict[str, Any], Path]:
    """Run into a folder of its own; return what the run says and the output."""
    out = job.out.parent / folder / job.out.name
    out.parent.mkdir()
    return run_batch(replace(job, out=out, **changes), scorer), out


def beside(out: Path, challenger: Scorer) -> Path:
    return out.with_name(f"{out.stem}.challenger-{challenger.bundle.bundle_id[:12]}{out.suffix}")


@pytest.mark.parametrize("partition_bytes", [1 << 30, 20_000])
def test_the_output_is_what_it_is_and_the_challenger_decides_as_alone(
    partition_bytes: int, job: BatchJob, scorer: Scorer, other: Scorer
) -> None:
    _, plain = run(job, "plain", scorer, partition_bytes=partition_bytes)
    _, alone = run(job, "alone", other)
    told, out = run(job, "both", scorer, partition_bytes=partition_bytes, threads=2, challengers=(other,))
    for name in ("decisions.csv", "decisions.rejects.csv"):
        assert (out.parent / name).read_bytes() == (plain.parent / name).read_bytes()
    manifests = [json.loads((path.parent / "decisions.run.json").read_text()) for path in (out, plain)]
    assert [one | {"seconds": 0} for one in manifests[:1]] == [one | {"seconds": 0} for one in manifests[1:]]
    assert beside(out, other).read_bytes() == alone.read_bytes()
    (account,) = told["challengers"]
    pair = [pl.read_csv(path)["credit_class"] for path in (plain, alone)]
    assert account["changed"] == (pair[0] != pair[1]).sum() > 0
    assert account["decisions"] == len(pair[0])
    assert account["failed"] == ""


def test_another_spec_decides_on_its_own_features(job: BatchJob, scorer: Scorer, bundle: Path, tmp_path: Path) -> None:
    def narrower(text: str) -> str:
        return text.replace("range = [0, 150]", "range = [0, 20]", 1)

    strict = Scorer.open(variant(bundle, tmp_path / "bundles", spec=narrower))
    _, alone = run(job, "alone", strict)
    told, out = run(job, "both", scorer, challengers=(strict,), partition_bytes=20_000)
    assert beside(out, strict).read_bytes() == alone.read_bytes()
    assert not pl.read_csv(out)["p_poor"].equals(pl.read_csv(beside(out, strict))["p_poor"])
    assert told["challengers"][0]["failed"] == ""


def test_a_share_of_the_customers_is_always_the_same_one(job: BatchJob, scorer: Scorer, other: Scorer) -> None:
    _, whole = run(job, "whole", scorer, challengers=(other,))
    told, out = run(job, "some", scorer, challengers=(other,), challenger_share=0.3, partition_bytes=20_000)
    every, some = (pl.read_csv(beside(path, other)) for path in (whole, out))
    kept = every.filter(pl.Series(sampled(every["customer_id"].to_list(), 0.3)))
    assert some.equals(kept)
    assert 0 < some.height < every.height
    assert told["challengers"][0]["decisions"] == some.height
    names = [f"C-{i}" for i in range(20_000)]
    assert abs(sampled(names, 0.3).mean() - 0.3) < 0.02
    assert not (sampled(names, 0.1) & ~sampled(names, 0.3)).any()


@pytest.mark.parametrize("fault", [ZeroDivisionError("a fault"), MemoryError()])
def test_a_challenger_that_fails_is_said_and_changes_nothing(
    fault: Exception, job: BatchJob, scorer: Scorer, other: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_table: object) -> None:
        raise fault

    _, plain = run(job, "plain", scorer)
    (job.out.parent / "both").mkdir()
    stale = beside(job.out.parent / "both" / job.out.name, other)
    stale.write_text("of another night")
    monkeypatch.setattr(other, "decide_on", fail)
    out = job.out.parent / "both" / job.out.name
    told = run_batch(replace(job, out=out, challengers=(other,)), scorer)
    assert out.read_bytes() == plain.read_bytes()
    assert type(fault).__name__ in told["challengers"][0]["failed"]
    assert not stale.exists()
    assert type(fault).__name__ in json.loads(stale.with_name(f"{stale.stem}.run.json").read_text())["failed"]


def test_a_slow_challenger_is_left_out_and_counted(
    job: BatchJob, scorer: Scorer, other: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challengers, "GRACE_S", -1.0)
    monkeypatch.setattr(challengers, "MOST_TIMES", 0.0)
    told, out = run(job, "slow", scorer, challengers=(other,), partition_bytes=20_000)
    (account,) = told["challengers"]
    assert account["dropped"] == account["applications"] > 0
    assert account["decisions"] == 0
    assert pl.read_csv(beside(out, other)).is_empty()


def test_the_command_leaves_out_what_does_not_verify(
    credit: Credit, job: BatchJob, bundle: Path, rival: Path, tmp_path: Path
) -> None:
    tables = ("--applications", job.applications, "--events", job.events, "--out", job.out)
    more = [part for path in (rival, bundle, tmp_path / "nowhere") for part in ("--challenger", path)]
    done = credit("score", "--bundle", bundle, *tables, *more)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is left out") == 2
    assert f"decisions.challenger-{rival.name[:12]}.csv" in done.stdout
    assert "decided otherwise" in done.stdout

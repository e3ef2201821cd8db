"""`credit score` from and to Delta tables: the same decisions, one commit, and what is not read is refused by name."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.conftest import Credit
from tests.killed_delivery import deliver
from tests.s3_server import KEY, S3

pytestmark = pytest.mark.process


@pytest.fixture
def tables(tonight: Path) -> Path:
    """Tonight's applications, one of them twice, as Parquet files by month and as a Delta table of the same files."""
    applications = pl.read_csv(tonight / "applications.csv", infer_schema=False)
    applications = pl.concat([applications, applications[5]]).with_columns(month=pl.lit("a b/c"))
    events = pl.read_csv(tonight / "events.csv", infer_schema=False)
    write_deltalake(str(tonight / "lake" / "applications"), applications, partition_by=["month"])
    write_deltalake(str(tonight / "lake" / "events"), events.head(10))
    write_deltalake(str(tonight / "lake" / "events"), events, mode="overwrite")
    return tonight / "lake"


def plain(tables: Path, name: str) -> Path:
    """The same rows in a folder that is no table."""
    found = tables.parent / f"plain-{name}"
    found.mkdir()
    pl.DataFrame(DeltaTable(str(tables / name)).to_pyarrow_table()).write_parquet(found / "part-0.parquet")
    return found


def score(bundle: Path, tables: str, out: object, *more: object) -> list[object]:
    inputs = ["--applications", f"{tables}/applications", "--events", f"{tables}/events"]
    return ["score", "--bundle", bundle, *inputs, "--out", out, *more]


def fill(s3: S3, tables: Path) -> None:
    for file in tables.rglob("*"):
        if file.is_file():
            s3.lake[str(file.relative_to(tables))] = file.read_bytes()


def test_decisions_from_and_in_a_table_are_those_from_files(
    s3: S3,
    bundle: Path,
    tables: Path,
    tonight: Path,
    credit: Credit,
) -> None:
    local = ["--applications", plain(tables, "applications"), "--events", plain(tables, "events")]
    done = credit("score", "--bundle", bundle, *local, "--out", tonight / "decisions.parquet")
    assert done.returncode == 0, done.stderr
    fill(s3, tables)
    for number in range(2):
        done = credit(*score(bundle, "delta+s3://lake", "delta+s3://lake/decisions"))
        assert done.returncode == 0, done.stderr
        table = DeltaTable("s3://lake/decisions")
        assert table.version() == number
        (file,) = table.file_uris()
        assert s3.lake[file.removeprefix("s3://lake/")] == (tonight / "decisions.parquet").read_bytes()
    names = [name for name in s3.lake if name.startswith("decisions/_credit/")]
    assert len(names) == 4
    rejects = [s3.lake[name] for name in names if name.endswith(".rejects.csv")]
    here = pl.read_csv(tonight / "decisions.rejects.csv", infer_schema=False)
    for content in rejects:
        assert pl.read_csv(content, infer_schema=False).drop("file").equals(here.drop("file"))
    manifest = json.loads(next(s3.lake[name] for name in names if name.endswith(".run.json")))
    logs = b"".join(s3.lake[f"decisions/_delta_log/{version:020}.json"] for version in range(2)).decode()
    assert all(f'"credit.run":"{name.split("/")[2]}"' in logs for name in names)
    assert {(one["table"], one["version"]) for one in manifest["inputs"]} == {("applications", 0), ("events", 1)}
    assert "month" in "".join(manifest["notes"])
    done = credit(*score(bundle, tables.as_uri().replace("file:", "delta+file:"), tonight / "here.parquet"))
    assert done.returncode == 0, done.stderr
    assert (tonight / "here.parquet").read_bytes() == (tonight / "decisions.parquet").read_bytes()
    read = DeltaTable("s3://lake/decisions").to_pyarrow_table()
    assert pl.DataFrame(read).equals(pl.read_parquet(tonight / "decisions.parquet"))


def rewritten(table: Path, protocol: dict[str, Any] | None, settings: dict[str, str], deleted: bool) -> None:  # noqa: FBT001
    (log,) = (table / "_delta_log").glob("*0.json")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for row in rows:
        if "protocol" in row and protocol:
            row["protocol"] = protocol
        if "metaData" in row:
            row["metaData"]["configuration"] = settings
            schema = json.loads(row["metaData"]["schemaString"])
            for number, column in enumerate(schema["fields"] if "delta.columnMapping.mode" in settings else (), 1):
                names = {"id": number, "physicalName": column["name"]}
                column["metadata"] = {f"delta.columnMapping.{key}": value for key, value in names.items()}
            row["metaData"]["schemaString"] = json.dumps(schema)
        if "add" in row and deleted:
            vector = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"  # the example of the Delta protocol
            row["add"]["deletionVector"] = {
                "storageType": "i",
                "pathOrInlineDv": vector,
                "sizeInBytes": 40,
                "cardinality": 6,
            }
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))


def of_features(*names: str) -> dict[str, Any]:
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": names, "writerFeatures": names}


@pytest.mark.parametrize(
    ("protocol", "settings", "deleted", "said"),
    [
        (of_features("deletionVectors"), {"delta.enableDeletionVectors": "true"}, True, "uses deletion vectors"),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, {"delta.columnMapping.mode": "name"}, False, "column mapping"),
        (of_features("madeUp"), {}, False, "madeUp"),
    ],
)
def test_what_a_table_says_beyond_its_files_is_refused_by_name(  # noqa: PLR0913, PLR0917
    bundle: Path,
    tables: Path,
    tonight: Path,
    credit: Credit,
    protocol: dict[str, Any],
    settings: dict[str, str],
    deleted: bool,  # noqa: FBT001
    said: str,
) -> None:
    rewritten(tables / "applications", protocol, settings, deleted)
    done = credit(*score(bundle, f"delta+file://{tables}", tonight / "here.parquet"))
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert "which is not read here" in done.stderr
    assert not (tonight / "here.parquet").exists()


def test_a_table_that_may_have_deletion_vectors_and_has_none_is_read(
    bundle: Path, tables: Path, tonight: Path, credit: Credit
) -> None:
    protocol, settings = of_features("deletionVectors"), {"delta.enableDeletionVectors": "true"}
    rewritten(tables / "applications", protocol, settings, deleted=False)
    done = credit(*score(bundle, f"delta+file://{tables}", tonight / "here.parquet"))
    assert done.returncode == 0, done.stderr


def test_no_table_an_empty_one_and_no_permission_are_said(
    s3: S3,
    bundle: Path,
    tables: Path,
    tonight: Path,
    credit: Credit,
) -> None:
    def refused(said: str) -> None:
        done = credit(*score(bundle, "delta+s3://lake", tonight / "here.parquet"))
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
        assert KEY not in done.stderr

    refused("delta+s3://lake/applications: no Delta table lies there")
    DeltaTable(str(tables / "applications")).delete()
    fill(s3, tables)
    refused("delta+s3://lake/applications: the Delta table holds no row in its version 1")
    s3.fault = lambda *_: "AccessDenied"
    refused("delta+s3://lake/applications: the store does not permit it (AccessDenied)")


def test_one_of_two_runs_wins_a_kill_leaves_the_old_version_and_the_next_run_cleans(
    s3: S3,
    bundle: Path,
    tables: Path,
) -> None:
    """Each time killed before, or just after, one more of the puts of a delivery."""
    fill(s3, tables)
    words = [*map(str, score(bundle, "delta+s3://lake", "delta+s3://lake/decisions"))]

    def rival(method: str, key: str) -> None:
        if method == "PUT" and "/_delta_log/" in key and key not in s3.lake:
            first = s3.lake["decisions/_delta_log/00000000000000000000.json"]
            s3.lake[key] = first.splitlines()[0]  # another one's commit

    assert deliver(s3, words)[0] == 0
    for kill_at, after in [*((step, False) for step in range(1, 6)), (5, True)]:  # after one is before the next
        before = DeltaTable("s3://lake/decisions").version()
        deliver(s3, words, kill_at, after=after)
        table = DeltaTable("s3://lake/decisions")
        assert table.version() - before == after
        assert table.file_uris()[0].removeprefix("s3://lake/") in s3.lake
    code, said = deliver(s3, words, meanwhile=rival)
    assert code == 4, said
    assert "another run delivered this output while this one worked" in said
    assert deliver(s3, words)[0] == 0
    assert not [name for name in s3.lake if name.endswith("/begun")]
    table = DeltaTable("s3://lake/decisions")
    data = [name for name in s3.lake if name.startswith("decisions/credit-")]
    assert len(data) == 3  # the first one's, the one that was killed behind its commit, and the last one's

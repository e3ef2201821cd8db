"""`credit score` on Apache Spark: the same bits, whatever cuts the tables; the output appears whole or not at all."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from scoring.scorer import Scorer
from tests.conftest import PROJECT
from tests.s3_server import KEY, S3, SECRET
from tests.spark_cluster import SparkCluster, script, spark_cluster, spark_submit
from tests.spark_night import SparkNight, made_night
from tests.unit.test_bundle import republish
from verify import Question, verify

pytestmark = [pytest.mark.process, pytest.mark.slow]
CUSTOMERS = 2_500
PIECE = 300_000


@pytest.fixture(scope="module")
def nights(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SparkNight]:
    folder = tmp_path_factory.mktemp("nights")
    return {s: made_night(folder / s, scorer, f".{s}", CUSTOMERS) for s in ("csv", "parquet")}


def run_all(master: str, bundle: Path, jobs: list[dict[str, Any]]) -> list[list[str]]:
    """Run jobs in one session; return class and text of the error of each, empty without."""
    process = spark_submit(master, PROJECT / "tests/spark_runs.py", bundle, json.dumps(jobs, default=str))
    said, warned = process.communicate()
    assert process.returncode == 0, warned[-3000:]
    return [json.loads(line) for line in said.splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def fill(s3: S3, name: str, folder: Path) -> None:
    """Put the files of a folder into the store."""
    for path in folder.rglob("*"):
        if path.is_file():
            s3.lake[f"{name}/{path.relative_to(folder)}"] = path.read_bytes()


def changed(night: SparkNight, folder: Path, part: int, text: str) -> Path:
    """A copy of the events, with one part file replaced."""
    events = shutil.copytree(night.events, folder)
    (events / f"part-{part}.csv").write_text(text)
    return events


def test_the_same_bits_and_the_same_refusals(nights: dict[str, SparkNight], bundle: Path, tmp_path: Path) -> None:
    night = nights["csv"]
    assert night.manifest["rejects_by_code"]["application_id_repeated"] == 8
    assert night.manifest["decisions"] > 4_500
    same: list[dict[str, Any]] = [
        {"applications": nights[s].applications, "events": nights[s].events, "out": tmp_path / f"{s}-{n}", "buckets": n}
        for s, n in (("csv", 1), ("csv", 7), ("parquet", 3))
    ]
    same[1]["piece_bytes"] = same[2]["piece_bytes"] = PIECE  # so that files are read by several tasks
    job = {**same[1], "out": tmp_path / "csv-7", "piece_bytes": 1 << 30}
    nobody = changed(night, tmp_path / "nobody", 0, "customer_id,occurred_at,amount,kind,recorded_at\n")
    for number in (1, 2, 3):
        (nobody / f"part-{number}.csv").write_bytes((nobody / "part-0.csv").read_bytes())
    text = (night.events / "part-2.csv").read_text()
    short = changed(night, tmp_path / "short", 2, f"{text}C1,2025-01-01\n")
    other = changed(night, tmp_path / "other", 3, text.replace("kind", "sort", 1))
    refused: list[dict[str, Any]] = [
        {**job, "max_reject_share": 0.0001},
        {**job, "events": nobody},
        {**job, "events": short},
        {**job, "events": other},
        {**job, "applications": tmp_path / "nowhere"},
        {**job, "applications": "ftp://lake/applications"},
    ]
    said = run_all("local[2,4]", bundle, [*same, *refused, {**same[2], "max_reject_share": 0.5}])
    assert said[:3] == [["", ""]] * 3
    for one in same:
        assert nights[one["out"].name.split("-")[0]].differences(one["out"]) == [], one
    kinds = ["RejectLimitError", "RejectLimitError", "InputError", "InputError", "InputError", "SettingsError"]
    assert [kind for kind, _ in said[3:9]] == kinds, said
    for found, part in zip(
        said[3:9], ("application_id_repeated", "no rows", "line", "part-3.csv", "nowhere", "ftp://lake"), strict=True
    ):
        assert part in found[1]
    assert "_rejects.csv.failed" in content(tmp_path / "csv-7")
    assert night.differences(tmp_path / "csv-7") == []
    assert len(pl.read_parquet(tmp_path / "csv-7" / "*.parquet")) == night.manifest["decisions"]
    assert [p.name for p in (tmp_path / "csv-7").iterdir() if p.is_dir()] == []
    assert said[9] == ["", ""]
    assert nights["parquet"].differences(tmp_path / "parquet-3") == []  # another run replaced the first one's files
    assert len(pl.read_parquet(tmp_path / "parquet-3" / "*.parquet")) == night.manifest["decisions"]


def test_the_script_gives_the_same_bits_from_and_in_an_object_store_and_passes_the_exit_code_on(
    nights: dict[str, SparkNight], bundle: Path, s3: S3
) -> None:
    night = nights["csv"]
    fill(s3, f"models/{bundle.name}", bundle)
    s3.lake["models/current"] = f"{bundle.name}\n".encode()
    fill(s3, "night", night.applications.parent)
    given = (script(), "--bundle", "s3://lake/models/current", "--applications", "s3://lake/night/applications/")
    ends = [
        spark_submit("local[1]", *given, "--events", f"s3://lake/{events}", "--out", f"s3://lake/{out}")
        for events, out in (("night/events", "out"), ("nowhere", "other"))
    ]
    said = [process.communicate() for process in ends]
    assert [process.returncode for process in ends] == [0, 1], said
    assert "application_id_repeated" in said[0][0]
    assert "s3://lake/nowhere: nothing lies there" in said[1][0]  # spark-submit passes all on as standard output
    assert night.differences_there(s3.lake, "out") == []
    assert not [name for name in s3.lake if name.startswith("other/") or name.endswith(("/begun", ".arrow"))]
    manifest = s3.lake["out/decisions.run.json"].decode()
    assert '"s3://lake/night/events/part-3.csv"' in manifest
    assert not [word for word in (KEY, SECRET, "credit-object", "s3:/l") if word in manifest + "".join(said[0])]


def test_large_objects_and_delta_tables_give_the_same_bits(
    nights: dict[str, SparkNight], bundle: Path, s3: S3, tmp_path: Path
) -> None:
    night = nights["parquet"]
    fill(s3, "night", night.applications.parent)
    for name in ("applications", "events"):
        for file in sorted(night.applications.with_name(name).glob("*.parquet")):
            write_deltalake(str(tmp_path / name), pl.read_parquet(file), mode="append")
        fill(s3, f"delta/{name}", tmp_path / name)
    s3.lake["out/decisions.runs/0123/part-00000-1.parquet"] = b"left by a run that was killed"
    s3.lake["table/credit-0123/part-00000-1.parquet"] = s3.lake["table/_credit/0123/begun"] = b"left by another"
    common: dict[str, Any] = {
        "applications": "s3://lake/night/applications",
        "events": "s3://lake/night/events",
        "buckets": 3,
    }
    lake = {**common, "out": "s3://lake/out", "piece_bytes": PIECE}
    delta = {n: f"delta+s3://lake/delta/{n}" for n in ("applications", "events")} | {"out": "delta+s3://lake/table"}
    s3.lake["closed/part-0.parquet"] = b"not to be read"
    fill(s3, "moving", night.events)

    def fault(method: str, key: str, _number: int) -> str | None:
        if method == "GET" and key == "moving/part-1.parquet":
            s3.lake[key] = bytes(len(s3.lake[key]))
        if method == "PUT" and "late/" in key and "part-" in key:
            return "ExpiredToken"
        return "AccessDenied" if method == "GET" and key.startswith("closed/") else None

    s3.fault = fault
    refused: list[dict[str, Any]] = [
        {**common, "max_reject_share": 0.0001, "out": "s3://lake/out"},
        {**common, "applications": "s3://lake/closed/"},
        {**common, "out": "s3://lake/late"},
        {**common, "events": "s3://lake/moving"},
    ]
    jobs: list[dict[str, Any]] = [lake, delta, *({"out": "s3://lake/no", **one} for one in refused)]
    said = run_all("local[2,2]", bundle, jobs)
    assert said[:2] == [["", ""]] * 2
    assert [kind for kind, _ in said[2:]] == ["RejectLimitError", "InputError", "DeliveryError", "InputError"], said
    texts = ("lake/out/decisions.rejects", "not permit it", "credentials", "moving/part-1.parquet: was replaced")
    for found, part in zip(said[2:], texts, strict=True):
        assert part in found[1]
    assert night.differences_there(s3.lake, "out") == []
    assert s3.lake["out/decisions.rejects.csv.failed"] == night.local.rejects_path.read_bytes()
    assert not [name for name in s3.lake if "0123" in name or name.startswith(("no/", "late/"))]
    table = DeltaTable("s3://lake/table")
    run = next(name for name in s3.lake if name.endswith("/decisions.run.json") and "_credit" in name)
    assert len(table.file_uris()) > 1
    manifest = json.loads(s3.lake[run])
    files = {name: s3.lake[f"table/{name}"] for name in manifest["outputs"]}
    assert night.otherwise(manifest, files, renamed=True) == []
    assert {f"s3://lake/table/{n}" for n in files if "part-" in n} == set(table.file_uris())
    assert len(pl.DataFrame(table.to_pyarrow_table())) == night.manifest["decisions"]


def test_a_worker_killed_in_mid_stage_changes_no_bit(
    nights: dict[str, SparkNight], bundle: Path, tmp_path: Path
) -> None:
    night = nights["parquet"]
    with spark_cluster(tmp_path / "cluster") as cluster:
        for attempt in range(4):
            out = tmp_path / f"out-{attempt}"
            given = ("--applications", night.applications, "--events", night.events, "--out", out, "--buckets", 12)
            run = spark_submit(cluster.master, script(), "--bundle", bundle, *given)
            killed = _kill_while_scoring(cluster, out, run.poll)
            _, warned = run.communicate()
            assert run.returncode == 0, warned[-3000:]
            assert night.differences(out) == []
            if killed and "Lost task" in warned:
                assert "in stage" in warned
                return
    raise AssertionError("no task was lost in four runs")


ANOTHER_MACHINE = "import scoring.machine; scoring.machine.cpu_family = lambda: 'another'"


def test_a_worker_on_which_golden_rows_differ_refuses_the_bundle(
    nights: dict[str, SparkNight], bundle: Path, tmp_path: Path
) -> None:
    """A bundle of another CPU family, near enough for the driver; workers of that family see that it is not theirs."""
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    golden = pl.read_parquet(copy / "golden.parquet")
    moved = pl.col("decision").struct.with_fields((pl.field("p_good") + 3e-7).cast(pl.Float32))
    golden.with_columns(moved).write_parquet(copy / "golden.parquet")
    foreign = republish(copy, lambda manifest: manifest.update(cpu_family="another"))
    assert not Scorer.open(foreign).golden.bits
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "sitecustomize.py").write_text(ANOTHER_MACHINE)
    night, out = nights["parquet"], tmp_path / "out"
    given = ("--bundle", foreign, "--applications", night.applications, "--events", night.events, "--out", out)
    run = spark_submit("local[1]", "--conf", f"spark.executorEnv.PYTHONPATH={tmp_path / 'machine'}", script(), *given)
    said, warned = run.communicate()
    assert run.returncode == 2, said + warned
    assert "golden rows come out differently here" in said
    assert list(out.glob("part-*")) == []


FAULTY = """
import sys
sys.path.insert(0, {project!r})
import polars as pl
if "spark" in sys.argv:
    from batch.spark.publish import OutputFolder
    real = OutputFolder.publish
    def publish(self, *arguments):
        made = real(self, *arguments)
        path = min(self.path.glob("part-*"))
        part = pl.read_parquet(path)
        more = pl.when(pl.int_range(pl.len()) == 3).then(1).otherwise(0)
        part.with_columns((pl.col("credit_score") + more).cast(pl.Int32)).write_parquet(path)
        return made
    OutputFolder.publish = publish
from cli.main import main
main()
"""


def test_verify_finds_one_bit_that_spark_changes(bundle: Path, tonight: Path, tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY.format(project=str(PROJECT)))
    command = (sys.executable, str(tmp_path / "faulty.py"))
    applications, events = tonight / "applications.csv", tonight / "events.csv"
    question = Question(bundle=bundle, applications=applications, events=events, command=command)
    report = verify(question, spark=True)
    found = {c.door: c for c in report.comparisons}
    assert found["Spark"].compared > 150
    assert found.pop("Spark").by_column == {"credit_score": 1}
    assert all(c.different == 0 for c in found.values()), "the others agree"


def _kill_while_scoring(cluster: SparkCluster, out: Path, ended: Any) -> bool:
    """Kill the Python workers once the first part file lies in the stage, while other buckets are being scored."""
    while ended() is None:
        if any(out.glob(".run-*/part-*.parquet")):
            workers = cluster.python_workers()
            for worker in workers:
                worker.kill()
            return bool(workers)
        time.sleep(0.005)
    return False

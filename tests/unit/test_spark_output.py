"""The output folder of a run on Spark, and what a run refuses before it begins."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyspark import SparkFiles
from pyspark.sql import DataFrame

from batch.partitions import ROW, numbered_from
from batch.spark.crossing import Crossing, Kind, crossings, raise_first
from batch.spark.publish import OutputFolder, PartFile
from batch.spark.scoring import ScoreTask, score_bucket
from batch.spark.session import open_session
from batch.spark.stages import FolderStage
from features.errors import BundleError, DeliveryError, SettingsError
from recipes.dataset import Dataset
from storage.frames import packed
from tests.conftest import Credit


class KilledError(BaseException):
    """What ends a run at once."""


def publish(output: OutputFolder, text: str) -> dict[str, Any]:
    output.begin()
    content = f"part of {text}".encode()
    digest, size = output.stage.write("a", lambda file: file.write(content))
    part = PartFile("a", 1, size, digest)

    def manifest(digests: dict[Path, str]) -> dict[str, Any]:
        return {"run": text, "outputs": {path.name: digest for path, digest in digests.items()}}

    return output.publish([part], lambda file: file.write(f"rejects of {text}".encode()), manifest)


def whole(folder: Path) -> str:
    """The run whose output the folder holds; each of its files is as the manifest says."""
    manifest = json.loads((folder / "_run.json").read_text())
    for name, digest in manifest["outputs"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    return str(manifest["run"])


@pytest.mark.parametrize("kind", ["rename", "replace", "unlink"])
def test_a_publish_killed_at_any_step_leaves_the_old_output_or_the_new(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = tmp_path / "out", set()
    for step in range(20):
        publish(OutputFolder(folder, pl.Schema()), "old")
        with monkeypatch.context() as patch:
            patch.setattr(Path, kind, killing(getattr(Path, kind), step))
            try:
                publish(OutputFolder(folder, pl.Schema()), "new")
                ended = True
            except KilledError:
                ended = False
        seen.add(whole(folder))
        if ended:
            break
    assert ended
    assert seen <= {"old", "new"}
    assert whole(folder) == "new"
    publish(OutputFolder(folder, pl.Schema()), "next")
    assert len(list(folder.glob("part-*"))) == len(list(folder.glob("_rejects-*"))) == 1


def killing(real: Callable[..., Any], step: int) -> Callable[..., Any]:
    left = [step]

    def call(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        return real(*arguments, **options)

    return call


def test_a_folder_that_holds_something_else_is_no_place_for_an_output(tmp_path: Path) -> None:
    (tmp_path / "report.txt").touch()
    with pytest.raises(DeliveryError, match=r"report\.txt, which no run on Spark wrote"):
        OutputFolder(tmp_path, pl.Schema()).begin()


def test_a_spark_without_the_api_that_is_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(DataFrame, "repartitionById")
    with pytest.raises(SettingsError, match=r"Expected Apache Spark 4\.1 or later"), open_session():
        pass


def test_receipts_are_refused(credit: Credit, tmp_path: Path) -> None:
    given = ("--bundle", tmp_path, "--applications", tmp_path / "a.csv", "--out", tmp_path / "out", "--log", tmp_path)
    done = credit("spark", "score", *given)
    assert done.returncode == 2
    assert "leave no receipts" in done.stderr


def test_a_bundle_that_a_machine_refuses_ends_the_run_as_such(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where golden rows come out differently on one machine of the cluster: nothing is scored or tried again."""
    monkeypatch.setattr(SparkFiles, "get", lambda name: str(tmp_path / name))
    numbered = numbered_from(dataset.applications.head(3), 0)
    empty = {kind: packed(numbered.clear(), "lz4") for kind in (Kind.APPLICATIONS, Kind.EVENTS)}
    task = ScoreTask("00" * 32, empty, packed(numbered.select(ROW).clear(), "lz4"), FolderStage(tmp_path), 0o077)
    given: list[pa.RecordBatch] = [Crossing.of_frame(0, Kind.APPLICATIONS, 1, numbered).batch()]
    found = list(crossings(score_bucket(task, given)))
    assert [row.kind for row in found] == [Kind.FAILED]
    with pytest.raises(BundleError, match="no such folder"):
        raise_first(found)
    assert list(tmp_path.iterdir()) == []

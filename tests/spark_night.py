"""A dirty night for Spark: some thousand applications in part files, and what `credit score` makes of them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from batch.job import BatchJob, run_batch
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from storage.table_writer import encode

SKEWED = 20_000  # events of one customer


@dataclass(frozen=True)
class SparkNight:
    """Tables, and the output of `credit score` for them."""

    applications: Path
    events: Path
    local: BatchJob
    manifest: dict[str, Any]

    def differences(self, out: Path) -> list[str]:
        """What an output folder of Spark has otherwise than `credit score`, both sorted by application id."""
        manifest = json.loads((out / "_run.json").read_text())
        return self.otherwise(manifest, {name: (out / name).read_bytes() for name in manifest["outputs"]})

    def differences_there(self, held: dict[str, bytes], out: str, *, renamed: bool = False) -> list[str]:
        """The same for an output in an object store. `renamed`: the inputs were files of other names."""
        manifest = json.loads(held[f"{out}/decisions.run.json"])
        return self.otherwise(manifest, {name: held[f"{out}/{name}"] for name in manifest["outputs"]}, renamed=renamed)

    def otherwise(self, manifest: dict[str, Any], files: dict[str, bytes], *, renamed: bool = False) -> list[str]:
        (rejects,) = (content for name, content in files.items() if "rejects" in name)
        parts = [pl.read_parquet(content) for name, content in files.items() if "part-" in name]
        told = {name for name in self.manifest if manifest.get(name) != self.manifest[name]}
        mine = self.local.rejects_path.read_bytes()
        same = _without_files(rejects) == _without_files(mine) if renamed else rejects == mine
        sums = [[one[n] for n in ("table", "rows", "sha256")] for m in (manifest, self.manifest) for one in m["inputs"]]
        half = len(sums) // 2
        return [
            *(["decisions"] if digest(pl.concat(parts)) != digest(pl.read_parquet(self.local.out)) else []),
            *([] if same else ["rejects"]),
            *[f"{name}: SHA-256" for name in files if sha256(files[name]) != manifest["outputs"][name]],
            *(["what was read"] if not renamed and sums[:half] != sums[half:] else []),
            *sorted(told - {"outputs", "seconds", "inputs"}),
        ]


def _without_files(rejects: bytes) -> bytes:
    table = pl.read_csv(rejects, infer_schema=False)
    return table.drop("file", "event_file").sort(pl.all()).write_csv().encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(decisions: pl.DataFrame) -> str:
    return sha256(encode(decisions.sort("application_id"), ".parquet"))


def dirty_tables(customers: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Applications and events as text: ids that repeat across files, events that cannot be used, one busy customer."""
    made = synthetic(customers, seed=19)
    applications = made.applications.with_columns(pl.all().cast(pl.String))
    events = made.events.with_columns(
        pl.col("occurred_at", "recorded_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        pl.col("customer_id", "kind", "amount").cast(pl.String),
    )
    height = applications.height
    again = applications[[3, 7, height // 2, height - 1]].with_columns(
        application_id="\u00a0" + pl.col("application_id") + "  "
    )
    nameless = applications[[11, 12]].with_columns(application_id=pl.Series(["", None]))
    applications = pl.concat([applications, again, nameless, nameless])
    unusable = events[[5, 900]].with_columns(kind=pl.lit("unheard of"))
    orphans = events[[17, 4000]].with_columns(customer_id=pl.Series(["", " "]))
    busy = pl.concat([events[[2000]]] * SKEWED)
    remarks = pl.int_range(applications.height, eager=True) % 5
    remark = pl.Series(["", 'a "b"', "x,y\n" * 200, 'a\r\n"\n', "x,y"]).gather(remarks)
    return applications.with_columns(remark=remark), pl.concat([events, unusable, orphans, busy])


def made_night(folder: Path, scorer: Scorer, suffix: str, customers: int) -> SparkNight:
    """Write a night as part files, several of each table, and score it here."""
    tables = dict(zip(("applications", "events"), dirty_tables(customers), strict=True))
    counts = (3, 4) if suffix == ".csv" else (1, 2)
    for (name, table), parts in zip(tables.items(), counts, strict=True):
        (folder / name).mkdir(parents=True)
        size = -(-table.height // parts)
        for number in range(parts):
            content = encode(table[number * size : (number + 1) * size], suffix)
            (folder / name / f"part-{number}{suffix}").write_bytes(content)
    local = BatchJob(
        applications=folder / "applications",
        events=folder / "events",
        out=folder / "local.parquet",
        partition_bytes=1 << 20,
    )
    manifest = run_batch(local, scorer)
    return SparkNight(folder / "applications", folder / "events", local, manifest)

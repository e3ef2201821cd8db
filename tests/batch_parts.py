"""What the tests of the batch share: its outputs, and rows added to its input."""

from typing import Any

import polars as pl

from batch.job import BatchJob


def outputs(job: BatchJob) -> tuple[bytes, bytes]:
    return job.out.read_bytes(), job.rejects_path.read_bytes()


def with_rows(job: BatchJob, *rows: str) -> BatchJob:
    job.applications.write_text(job.applications.read_text() + "".join(f"{row}\n" for row in rows))
    return job


REST = "41,30000.50,nurse,10 Years and 3 Months,12.5,2,Good,1000,none"


def rejects(job: BatchJob) -> list[dict[str, Any]]:
    return pl.read_csv(job.rejects_path, schema_overrides={"event_row": pl.Int64}).to_dicts()

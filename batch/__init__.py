"""Door 1: score files. CSV and Parquet in and out, for cron; on a cluster by `spark`, which needs its extra."""

from batch.check import Check, check_tables
from batch.id_repairs import IdForm
from batch.inputs import NO_EVENTS, check_needs_no_events, open_inputs, read_inputs
from batch.job import BatchJob, run_batch
from batch.joining import look_at_ids, look_at_tables
from batch.night import Accepted, frozen
from batch.receipts import LogSettings

__all__ = [
    "NO_EVENTS",
    "Accepted",
    "BatchJob",
    "Check",
    "IdForm",
    "LogSettings",
    "check_needs_no_events",
    "check_tables",
    "frozen",
    "look_at_ids",
    "look_at_tables",
    "open_inputs",
    "read_inputs",
    "run_batch",
    "spark",
]

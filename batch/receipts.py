"""Receipts of a batch run: staged on disk partition by partition, put into the log just before the output is replaced.

1. stage    while partitions are scored; nothing is in the log
2. seal     when all of the output lies complete beside its target: no delivered decision lacks a receipt
3. replace  a run that ends between 2 and 3 leaves receipts of decisions that were not delivered; run again, the same
            decisions, with the same ids, get receipts once more
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from batch.partitions import ROW
from features.spec.contract import Spec
from receipts.frame import receipts_of
from receipts.log import Chain, Staged
from receipts.pii import Pseudonymiser
from scoring.message import to_messages
from scoring.scorer import Scored
from storage.locks import BusyError
from storage.tables import SourceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where receipts go. `full`: with the application and its events, as the JSON message; else the feature row.

    `clock` is the door's; `pii_key` is needed where the spec declares personal data.
    """

    log: Path
    clock: Callable[[], datetime]
    full: bool = False
    pii_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """What a partition was scored from, and what came out in how many seconds; `decisions` carry their row."""

    applications: pl.DataFrame
    events: pl.DataFrame
    scored: Scored
    seconds: float = 0.0


class Receipts:
    """The receipts of one run; `add` is safe to call from several threads."""

    def __init__(self, chain: Chain, settings: LogSettings, spec: Spec, pseudonymiser: Pseudonymiser) -> None:
        """Use `opened`."""
        self._chain, self._settings, self._spec, self._pseudonymiser = chain, settings, spec, pseudonymiser
        self._table: SourceTable | None = None
        self._staged: dict[int, Staged] = {}
        self._lock = threading.Lock()

    def read_from(self, table: SourceTable) -> None:
        """Name the table of applications, which is read before partitions are added."""
        self._table = table

    def add(self, number: int, partition: Partition) -> None:
        """Stage the receipts of a partition.

        Raises:
            DeliveryError: the disk is full or fails.

        """
        scored = partition.scored
        if not scored.decisions.height or self._table is None:
            return
        sha256, row = self._table.source(scored.decisions[ROW])
        origin = pl.DataFrame({"input_sha256": sha256, "row": row}).with_columns(
            door=pl.lit("batch"), decided_at=pl.lit(self._settings.clock())
        )
        if self._settings.full:
            origin = origin.with_columns(application=self._messages(partition))
        receipts = receipts_of(scored.decisions, scored.features, origin, self._spec)
        staged = self._chain.stage(self._pseudonymiser.frame(receipts), dirt=scored.dirt)
        with self._lock:
            self._staged[number] = staged

    def _messages(self, partition: Partition) -> pl.Series:
        decided = partition.applications.join(partition.scored.decisions, on=ROW, how="semi", maintain_order="left")
        messages = to_messages(decided.drop(ROW), partition.events.drop(ROW), self._spec)
        return pl.Series([message.body.decode() for message in messages], dtype=pl.String)

    def seal(self) -> dict[str, Any]:
        """Put all receipts into the log; they are durable when this returns what the run says of them.

        Raises:
            DeliveryError: the disk is full or fails.

        """
        staged = [staged for _, staged in sorted(self._staged.items())]
        head = self._chain.commit(staged)
        return {
            "log": str(self._settings.log),
            "writer": head.writer,
            "segments": len(staged),
            "receipts": sum(one.facts["rows"] for one in staged),
            "head": head.hash,
        }


@contextmanager
def opened(settings: LogSettings | None, spec: Spec) -> Iterator[Receipts | None]:
    """Open the log for a run, as the first writer `batch-1`, `batch-2` ... that no other run holds; None without a log.

    Raises:
        SettingsError: the folder is no log, its end was changed, or the key of personal data is missing.
        DeliveryError: it cannot be written to.

    """
    if settings is None:
        yield None
        return
    pseudonymiser = Pseudonymiser(spec, settings.pii_key)
    with _free_writer(settings.log) as chain:
        yield Receipts(chain, settings, spec, pseudonymiser)


def _free_writer(log: Path) -> Chain:
    for number in count(1):
        try:
            return Chain.open(log, f"batch-{number}")
        except BusyError:
            continue
    raise AssertionError

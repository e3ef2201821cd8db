"""Score partitions in parallel and put decisions and rejects back into the order of the input."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from batch.partitions import ROW, Partitions, Scores
from batch.receipts import Partition
from batch.windows import by_window, without
from features.applications import identifier
from features.errors import CreditError
from features.rejects import APPLICATIONS, DIRT, REJECTS, rejects_frame
from features.rfm import NO_MATCHES, Matches
from features.spec.contract import Spec
from scoring.decisions import decision_schema
from scoring.scorer import Scored
from storage.room import Room
from storage.spool import Spool

Also = Callable[[int, Partition], None]  # safe to call from several threads
_EVENTS_FIRST = 1 << 40  # windows of rejected events come behind those of applications


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """The account of one partition, without its rows; it can cross to another process as JSON."""

    decided: dict[str, int]
    codes: dict[str, int]
    rejected: int
    dirt: pl.DataFrame
    matches: Matches

    @classmethod
    def of(cls, scored: Scored) -> "PartitionCounts":
        """Count what came out of a partition."""
        return cls(
            decided=_counts(scored.decisions["credit_class"]),
            codes=_counts(scored.rejects["code"]),
            rejected=int((scored.rejects["table"] == APPLICATIONS).sum()),
            dirt=scored.dirt,
            matches=scored.matches,
        )

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        facts = {name: getattr(self, name) for name in ("decided", "codes", "rejected")}
        return facts | {"dirt": self.dirt.to_dicts(), "matches": asdict(self.matches)}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "PartitionCounts":
        """Read what `document` returned."""
        dirt, matches = pl.DataFrame(document["dirt"], schema=DIRT), Matches(**document["matches"])
        return cls(**{**document, "dirt": dirt, "matches": matches})


@dataclass(slots=True)
class Results:
    """What came out of all partitions: decisions and rejects by window of input rows, and their account."""

    decisions: Spool
    rejects: Spool
    decided: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    dirt: list[pl.DataFrame] = field(default_factory=list)
    matches: Matches = NO_MATCHES
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, scored: Scored) -> None:
        """Take one partition; safe to call from several threads."""
        self.decisions.add(by_window(scored.decisions, ROW, 0))
        self.add_rejects(scored.rejects)
        self.count(PartitionCounts.of(scored))

    def add_rejects(self, rejects: pl.DataFrame) -> None:
        """Take the rejects of one partition, which are counted apart; safe to call from several threads."""
        own = rejects["table"] == APPLICATIONS
        self.rejects.add(by_window(rejects.filter(own), "row", 0))
        self.rejects.add(by_window(rejects.filter(~own), "row", _EVENTS_FIRST))

    def count(self, counts: "PartitionCounts") -> None:
        """Add up the account of one partition; safe to call from several threads."""
        with self._lock:
            self.decided.update(counts.decided)
            self.codes.update(counts.codes)
            self.rejected += counts.rejected
            self.dirt.append(counts.dirt)
            self.matches += counts.matches

    def total_dirt(self, spec: Spec) -> pl.DataFrame:
        """Return the cells that became missing, summed: applications before events, columns in order of the spec."""
        order = {attribute.name: i for i, attribute in enumerate(spec.attributes)}
        total = pl.concat([pl.DataFrame(schema=DIRT), *self.dirt])
        total = total.group_by("table", "column", "cause").agg(pl.col("cells").sum())
        return total.sort("table", pl.col("column").replace_strict(order, default=-1, return_dtype=pl.Int64), "cause")


def _counts(values: pl.Series) -> dict[str, int]:
    return dict(values.rename("value").value_counts().iter_rows())


@contextmanager
def results(out: Path, spec: Spec, room: Room) -> Iterator[Results]:
    """Make a place for results: in memory as far as there is `room`, else beside the output.

    Raises:
        DeliveryError: there is none.

    """
    with ExitStack() as resources:
        decisions = pl.DataFrame(schema=decision_schema(spec)).with_columns(pl.lit(0, dtype=pl.Int64).alias(ROW))
        yield Results(
            resources.enter_context(Spool(out, decisions, room)),
            resources.enter_context(Spool(out, pl.DataFrame(schema=REJECTS), room)),
        )


def score_partitions(
    partitions: Partitions, scorer: Scores, threads: int, into: Results, also: Sequence[Also] = ()
) -> None:
    """Score all partitions, `threads` at a time, and give each to `also`, as to those that stage receipts.

    Raises:
        InputError: a table holds what cannot be scored.
        DeliveryError: there is no room for the temporary files.

    """

    def score(number: int) -> None:
        tables = partitions.applications.read(number), partitions.events.read(number)
        partition = score_rows(*tables, partitions.repeated, scorer)
        for take in also:
            take(number, partition)
        into.add(partition.scored)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(score, number) for number in range(partitions.count)]
        try:
            for future in running:
                future.result()
        finally:
            for future in running:
                future.cancel()


def score_rows(applications: pl.DataFrame, events: pl.DataFrame, doubled: pl.Series, scorer: Scores) -> Partition:
    """Score one partition; rows in the result are those of the tables. Rows `doubled`, of a repeated id, are rejected.

    Raises:
        InputError: a table holds what cannot be scored.
        CreditError: not every row came out.

    """
    began = time.monotonic()
    repeated = applications[ROW].is_in(doubled.implode())
    kept = applications.filter(~repeated)
    scored = scorer.score(kept.drop(ROW), events.drop(ROW))
    own = scored.rejects["table"] == APPLICATIONS
    refused, orphans = scored.rejects.filter(own), scored.rejects.filter(~own)
    decided = without(kept[ROW], refused["row"])
    _check_account(kept.height, scored.decisions.height, refused.height)
    refused = refused.with_columns(row=kept[ROW].gather(refused["row"] - 1), event_row=_gather(events[ROW], refused))
    orphans = orphans.with_columns(row=events[ROW].gather(orphans["row"] - 1))
    rejects = pl.concat([refused, _doubled(applications.filter(repeated)), orphans])
    decisions = scored.decisions.with_columns(decided.alias(ROW))
    return Partition(
        kept, events, Scored(decisions, rejects, scored.dirt, scored.features, scored.matches), time.monotonic() - began
    )


def _doubled(repeated: pl.DataFrame) -> pl.DataFrame:
    rejects = repeated.select(
        pl.lit(APPLICATIONS).alias("table"),
        pl.col(ROW).alias("row"),
        identifier(repeated.schema, APPLICATIONS, "application_id"),
        pl.lit("application_id").alias("column"),
        pl.lit("application_id_repeated").alias("code"),
    )
    return rejects_frame(rejects)


def _gather(rows: pl.Series, refused: pl.DataFrame) -> pl.Series:
    return rows.gather(refused["event_row"] - 1)


def _check_account(rows: int, decisions: int, rejected: int) -> None:
    if rows != decisions + rejected:
        raise CreditError(
            f"{rows} applications came in, {decisions} decisions and {rejected} rejects would go out. Nothing was "
            "written. This is a fault of the product: please report it."
        )

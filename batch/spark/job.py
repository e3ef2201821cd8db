"""One batch run on a cluster.

1. check    the output can be written and no other run is writing it; the tables have the columns of the spec
2. cut      large files are cut into pieces
   ids      application ids are read alone: the rows of those that are not alone
3. score    one task for each file reads it strictly and cuts it by customer; one for each bucket of customers scores it
4. account  rows in = decisions + rejects; too many rejects, or a night that is not what training saw, end the run
5. publish  see `publish`: the previous output or this one, never a third
"""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from pyspark import __version__ as spark_version
from pyspark.sql import SparkSession

from batch.inputs import open_inputs
from batch.job import Progress, Stopwatch
from batch.joining import advise, look_at_tables
from batch.night import Accepted, Night, Seen, frozen, judge_night
from batch.partitions import PARTITION_BYTES, ROW, numbered_from
from batch.report import REJECT_COLUMNS, Tables, make_manifest, refusal, with_files
from batch.score_partitions import PartitionCounts, Results, results
from batch.spark.crossing import SCHEMA, Crossing, Kind, input_rows, raise_first
from batch.spark.cutting import cut, rows_of
from batch.spark.publish import Output, PartFile, output_of
from batch.spark.reading import Pieces, SharedTable, find_repeated, read_pieces
from batch.spark.scoring import ScoreTask, score_bucket
from batch.spreadsheets import without_formulas
from batch.windows import in_order
from features.dialect import Dialect
from features.errors import CreditError
from features.spec.contract import Spec
from scoring.bundle import Bundle
from scoring.decisions import decision_schema
from scoring.scorer import Scorer
from storage.frames import packed, unpacked
from storage.opened import changed
from storage.remote.addresses import address_of
from storage.room import room_of
from storage.table_writer import write_frames
from storage.targets import refuse_overwriting

_GROWTH = {".parquet": 4, ".gz": 8, ".zst": 8}  # of a file that is read, beside CSV; an estimate
_NOTHING = "Nothing was published. This is a fault of the product: please report it."
PIECE_BYTES = 32 << 20
_LOOKED_AT = 8  # blocks of events, where a person must be told why they match nobody
OpenSession = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkJob:
    """What to score and where to put it; see `BatchJob`. `out` is a folder.

    `buckets`: into how many parts customers are cut (None: by the size of the tables); it decides memory and speed,
    never a byte of a decision, as does `piece_bytes`: files of more are read by several tasks. `rights`: what
    is taken from those of new files.
    """

    applications: Path
    events: Path | None
    out: Path
    max_reject_share: float = 0.05
    accepted: Accepted = Accepted()  # noqa: RUF009 - frozen
    dialect: Dialect | None = None
    spreadsheet_safe: bool = False
    buckets: int | None = None
    rights: int = 0o077
    piece_bytes: int = PIECE_BYTES

    def plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows as they are written to CSV."""
        return without_formulas(frame) if self.spreadsheet_safe else frame


def run_on_spark(
    job: SparkJob, scorer: Scorer, open_session: OpenSession, progress: Progress = lambda _stage: None
) -> dict[str, Any]:
    """Score tables and return the run manifest that was written into the output.

    Raises:
        InputError: a file cannot be used.
        BundleError: on a machine of the cluster, the bundle's golden rows come out differently.
        RejectLimitError: too many rejects, events that match nobody, or a column that is gone; the rejects lie in the
            output's folder.
        SettingsError: this Spark cannot do it.
        DeliveryError: the output could not be written, or Spark failed.

    """
    job.accepted.check(scorer.bundle.spec)
    for source in (path for path in (job.applications, job.events, scorer.bundle.path) if path):
        refuse_overwriting(source, [job.out])
    with (
        output_of(job.out, decision_schema(scorer.bundle.spec)) as output,
        _tables(job, scorer) as (tables, empty),
        open_session() as session,
        _sent(scorer.bundle, session),
    ):
        return _Run(job, scorer, tables, empty, output, session).run(Stopwatch(progress))


@contextmanager
def _tables(job: SparkJob, scorer: Scorer) -> Iterator[tuple[Tables, dict[Kind, pl.DataFrame]]]:
    """Open both tables and read the columns of their first files; those that lack, or cannot be read, end the run."""
    applications, events = _seen_by_all(job.applications), job.events and _seen_by_all(job.events)
    tables = open_inputs(applications, events, scorer.bundle.spec, job.dialect, piecemeal=True)
    with ExitStack() as resources:
        for table in tables:
            resources.enter_context(table)
        first = [next(table.look(0) if table.parts else table.blocks()) for table in tables]
        scorer.score(*first)
        heads = [numbered_from(frame, 0) for frame in first]
        yield tables, dict(zip((Kind.APPLICATIONS, Kind.EVENTS), heads, strict=True))


def _seen_by_all(path: Path) -> Path:
    return path.absolute() if address_of(path) is None else path


@dataclass(frozen=True, slots=True)
class _Run:
    """A run whose output is begun."""

    job: SparkJob
    scorer: Scorer
    tables: Tables
    empty: dict[Kind, pl.DataFrame]
    output: Output
    session: SparkSession

    def run(self, watch: Stopwatch) -> dict[str, Any]:
        bundle, spec = self.scorer.bundle, self.scorer.bundle.spec
        watch.stage("cut")
        shared = cut([table for table in self.tables if table.parts], self.job.piece_bytes, self._tasks)
        pieces = Pieces(shared, self.job.buckets or self._buckets(shared))
        watch.stage("ids")
        repeated, known = self._repeated(Pieces(shared[:1], pieces.buckets))
        watch.stage("score")
        found = self._score(pieces, repeated)
        before = self._account(pieces, found, known)
        with ExitStack() as resources:
            scored = resources.enter_context(results(self.output.work, spec, room_of(None)))
            accounts = [row.document() for row in sorted(found, key=lambda row: row.number) if row.kind is Kind.SCORED]
            parts = list(self._collect(accounts, scored, before))
            _check(self.tables, scored, accounts)
            night = self._judge(scored)
            watch.stage("write")
            rejects = (self.job.plain(with_files(frame, *self.tables)) for frame in in_order(scored.rejects, "row"))
            write_rejects = partial(_write_rejects, rejects)
            error = refusal(scored, self.tables[0].rows, self.job.max_reject_share, self.output.failed, night)
            if error is not None:
                self.output.refuse(write_rejects)
                raise error
            on_spark = {"spark": spark_version, "buckets": pieces.buckets}

            def manifest(digests: dict[Path, str]) -> dict[str, Any]:
                watch.stage("")
                made = make_manifest(self.tables, scored, bundle, digests, night)
                return made | {"seconds": watch.seconds, **on_spark}

            return self.output.publish(parts, write_rejects, manifest)

    def _tasks(self, count: int, work: Any) -> list[Crossing]:
        return rows_of(self.session.range(0, count, 1, count).mapInArrow(work, SCHEMA))

    def _buckets(self, tables: tuple[SharedTable, ...]) -> int:
        """Return so many that one is scored in little memory, and that every core has some."""
        size = sum(_estimated_bytes(part.path) for table in tables for part in table.parts)
        return max(-(-size // PARTITION_BYTES), self.session.sparkContext.defaultParallelism)

    def _repeated(self, pieces: Pieces) -> tuple[pl.Series, dict[int, Any]]:
        """Return the rows of application ids that are not alone, and the accounts of the files that hold them."""
        rows = self._read(pieces, ids_alone=True).mapInArrow(find_repeated, SCHEMA)
        found = rows_of(rows)
        raise_first(found)
        repeated = [row.frame()[ROW] for row in found if row.kind is Kind.REPEATED]
        return pl.concat([pl.Series(ROW, [], dtype=pl.Int64), *repeated]), _told(found)

    def _score(self, pieces: Pieces, repeated: pl.Series) -> list[Crossing]:
        empty = {kind: packed(frame, "lz4") for kind, frame in self.empty.items()}
        doubled = packed(repeated.to_frame(), "lz4")
        task = ScoreTask(self.scorer.bundle.bundle_id, empty, doubled, self.output.stage, self.job.rights)
        rows = self._read(pieces, ids_alone=False).mapInArrow(partial(score_bucket, task), SCHEMA)
        found = rows_of(rows)
        raise_first(found)
        return found

    def _read(self, pieces: Pieces, *, ids_alone: bool) -> Any:
        numbers = self.session.range(0, len(pieces), 1, len(pieces))
        rows = numbers.mapInArrow(partial(read_pieces, pieces, ids_alone=ids_alone), SCHEMA)
        return rows.repartitionById(pieces.buckets, "bucket")

    def _account(self, pieces: Pieces, found: list[Crossing], known: dict[int, Any]) -> list[int]:
        """Add up what was told of the files; return how many rows of its table lie before each piece."""
        told = _told(found)
        if len(told) != len(pieces):
            raise CreditError(f"{len(pieces)} pieces were to be read, {len(told)} were. {_NOTHING}")
        tables, before = {table.name: table for table in self.tables}, []
        for number, account in sorted(told.items()):
            shared, piece = pieces.place(number)
            before.append(tables[shared.name].rows)
            tables[shared.name].add(piece.file, account)
            if number in known and known[number]["files"] != account["files"]:
                raise changed(shared.parts[piece.file].path)
        for shared in pieces.tables:
            tables[shared.name].conclude()
        return before

    def _collect(self, accounts: list[Any], scored: Results, before: list[int]) -> Iterator[PartFile]:
        """Add up the accounts of all buckets, take their rejects, and yield the part files of their decisions."""
        for account in accounts:
            scored.count(PartitionCounts.read(account["counts"]))
            files = account["files"]
            if "rejects" in files:
                rejects = unpacked(self.output.stage.read(files["rejects"]["name"]))
                rows = {name: input_rows(rejects[name], before) for name in ("row", "event_row")}
                scored.add_rejects(rejects.with_columns(**rows))
            if "part" in files:
                yield PartFile(**files["part"])

    def _judge(self, scored: Results) -> Night:
        spec = self.scorer.bundle.spec
        first = partial(_some_rows, self.job, spec)
        seen = Seen(
            self.tables[1], scored, lambda: look_at_tables(first(), lambda: _events(self.job, spec), spec).text()
        )
        night = judge_night(spec, frozen(self.scorer.bundle), seen, self.job.accepted)
        night.advice = advise(first, scored, self.tables[0].rows)
        return night


@contextmanager
def _sent(bundle: Bundle, session: SparkSession) -> Iterator[None]:
    """Let all machines fetch the bundle within the block, into a folder that bears its id, as one must."""
    with tempfile.TemporaryDirectory(prefix="credit-spark-") as folder:
        archive = Path(folder) / f"{bundle.bundle_id}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(path for path in bundle.path.rglob("*") if path.is_file()):
                file.write(path, path.relative_to(bundle.path))
        session.sparkContext.addArchive(f"{archive}#{bundle.bundle_id}")
        yield


def _told(found: list[Crossing]) -> dict[int, Any]:
    return {row.number: row.document() for row in found if row.kind is Kind.READ}


def _estimated_bytes(path: Path) -> int:
    return path.stat().st_size * _GROWTH.get(path.suffix.lower(), 1)


def _check(tables: Tables, scored: Results, accounts: list[Any]) -> None:
    """Check that every row that was read came out."""
    for table in tables:
        arrived = sum(account[table.name] for account in accounts)
        if arrived != table.rows:
            raise CreditError(f"{table.rows} rows of the {table.name} were read, {arrived} were scored. {_NOTHING}")
    out = scored.decided.total() + scored.rejected
    if out != tables[0].rows:
        raise CreditError(
            f"{tables[0].rows} applications came in, {out} decisions and rejects would go out. {_NOTHING}"
        )


def _write_rejects(rejects: Iterator[pl.DataFrame], file: Any) -> None:
    write_frames(file, rejects, REJECT_COLUMNS, ".csv")


def _some_rows(job: SparkJob, spec: Spec) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the first rows of both tables again, for what is said about them."""
    applications, events = (pl.concat(islice(_blocks(job, spec, table), 2)) for table in range(2))
    return applications, events


def _events(job: SparkJob, spec: Spec) -> Iterator[pl.DataFrame]:
    return islice(_blocks(job, spec, 1), _LOOKED_AT)


def _blocks(job: SparkJob, spec: Spec, number: int) -> Iterator[pl.DataFrame]:
    with open_inputs(job.applications, job.events, spec, job.dialect, piecemeal=True)[number] as table:
        yield from table.blocks()

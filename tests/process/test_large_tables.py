"""Tables larger than memory: how they are cut, by how many threads, and in which pieces they are read never shows."""

import csv
import functools
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.job import BatchJob, run_batch
from features.errors import InputError
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from storage.room import Room
from storage.spool import Spool
from storage.tables.csv_structure import CsvStructure
from storage.tables.tables import SourceTable, read_table
from tests.conftest import PROJECT

GOOD = "41,30000.50,nurse,10 Years and 3 Months,12.5,2,Good,1000,none"
DIRTY = [
    f"X1,C7-0000001,2025-06-30,{GOOD}",  # the same id with two customers, and far apart
    f" X2 , C7-0000002 ,2025-06-30,{GOOD}",
    f"X3,,2025-06-30,{GOOD}",
    f"X4,C7-0000003,someday,{GOOD}",
    f",C7-0000003,2025-06-30,{GOOD}",
    f"X5,BAD,2025-06-30,{GOOD}",
    f"X6,BAD,2025-07-30,{GOOD}",
]
DIRTY_EVENTS = ["BAD,2025-01-01,gift,1,", "BAD,2025-01-01,salary,x,", ",2025-01-01,salary,1,", ",,,,"]


@pytest.fixture(scope="module")
def lender(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 applications with dirt of every kind, as CSV and as Parquet."""
    folder = tmp_path_factory.mktemp("lender")
    applications = dataset.applications.head(300)
    events = dataset.events.join(applications, on="customer_id", how="semi")
    applications.write_csv(folder / "applications.csv")
    events.sample(fraction=1, shuffle=True, seed=1).write_csv(folder / "events.csv")
    for name, rows in (("applications", DIRTY), ("events", DIRTY_EVENTS)):
        header, *lines = (folder / f"{name}.csv").read_text().splitlines()
        middle = len(lines) // 2
        mixed = [header, *rows[:2], *lines[:middle], *rows, *lines[middle:]]
        (folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in mixed))
        read_table(folder / f"{name}.csv", name).write_parquet(folder / f"{name}.parquet", row_group_size=99)
    return folder


def run(
    lender: Path, out: Path, scorer: Scorer, suffix: str = ".csv", **how: Any
) -> tuple[bytes, bytes, dict[str, Any]]:
    job = BatchJob(
        applications=lender / f"applications{suffix}",
        events=lender / f"events{suffix}",
        out=out,
        max_reject_share=1,
        **how,
    )
    manifest = run_batch(job, scorer)
    assert manifest == json.loads(job.manifest_path.read_text())
    return out.read_bytes(), job.rejects_path.read_bytes(), {k: v for k, v in manifest.items() if k != "seconds"}


@pytest.fixture(scope="module", params=[".csv", ".parquet"])
def whole(
    request: pytest.FixtureRequest, lender: Path, scorer: Scorer, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """The output of the run that holds everything in one partition, in one thread."""
    out = tmp_path_factory.mktemp("whole") / f"decisions{request.param}"
    return request.param, run(lender, out, scorer), scorer, out


@pytest.mark.parametrize(("partition_bytes", "threads"), [(1 << 16, 1), (1 << 16, 3), (1 << 18, 2)])
def test_the_bytes_do_not_depend_on_partitions_and_threads(
    partition_bytes: int, threads: int, whole: Any, lender: Path
) -> None:
    _, expected, scorer, out = whole
    found = run(lender, out, scorer, partition_bytes=partition_bytes, threads=threads)
    assert found == expected


@pytest.mark.parametrize("held", [0, 100_000, 1 << 40], ids=["on disk", "a part in memory", "in memory"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_bytes_do_not_depend_on_where_tables_lie_meanwhile(
    held: int, suffix: str, whole: Any, lender: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected, scorer, out = whole
    written: list[int] = []
    write = Spool._write
    monkeypatch.setattr(Spool, "_write", lambda *given: written.append(1) or write(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr("batch.job.room_of", lambda _memory: Room(held))
    found = run(lender, out, scorer, suffix, partition_bytes=1 << 16, threads=2)
    assert found[0] == expected[0]
    assert found[1].replace(b".parquet", b".csv") == expected[1]
    assert bool(written) == (held < 1 << 40)


@pytest.mark.parametrize(("chunk_bytes", "window_rows"), [(4001, 7), (30_000, 100)])
def test_the_bytes_do_not_depend_on_how_tables_are_read_and_put_together(
    chunk_bytes: int, window_rows: int, whole: Any, lender: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected, scorer, out = whole
    monkeypatch.setattr("batch.inputs.SourceTable", functools.partial(SourceTable, chunk_bytes=chunk_bytes))
    monkeypatch.setattr("batch.windows.WINDOW_ROWS", window_rows)
    assert run(lender, out, scorer, partition_bytes=1 << 16) == expected


def test_csv_and_parquet_of_the_same_table_give_the_same_bytes(
    whole: Any, lender: Path, scorer: Scorer, tmp_path: Path
) -> None:
    suffix, expected, *_ = whole
    found = run(lender, tmp_path / f"decisions{suffix}", scorer, ".parquet", partition_bytes=1 << 16)
    assert found[0] == expected[0]
    assert found[1].replace(b".parquet", b".csv") == expected[1]


@pytest.mark.process
def test_the_bytes_do_not_depend_on_the_threads_of_polars(
    whole: Any, lender: Path, bundle: Path, tmp_path: Path
) -> None:
    suffix, expected, *_ = whole
    code = (
        "import sys; from pathlib import Path; from batch.job import BatchJob, run_batch; "
        "from scoring.scorer import Scorer; b, l, o = map(Path, sys.argv[1:]); "
        "run_batch(BatchJob(applications=l / 'applications.csv', events=l / 'events.csv', out=o, max_reject_share=1, "
        "partition_bytes=1 << 16, threads=2), Scorer.open(b))"
    )
    for threads in ("1", "5"):
        out = tmp_path / f"decisions{suffix}"
        command = [sys.executable, "-c", code, str(bundle), str(lender), str(out)]
        subprocess.run(command, cwd=PROJECT, env={"POLARS_MAX_THREADS": threads}, check=True)
        assert out.read_bytes() == expected[0]


def test_rejects_name_every_row_of_the_whole_table(whole: Any) -> None:
    rejects = pl.read_csv(io.BytesIO(whole[1][1]), infer_schema=False)
    codes = dict(rejects["code"].value_counts().iter_rows())
    assert codes["application_id_repeated"] == 4  # X1 and X2, at the beginning and in the middle
    assert codes["event_kind_unknown_category"] == 2  # both applications of BAD
    assert codes["event_customer_id_missing"] == 2
    applications = rejects.filter(pl.col("table") == "applications")["row"].cast(pl.Int64)
    assert applications.is_sorted()
    assert applications.is_unique().all()


def test_parquet_has_row_groups_of_a_fixed_size(
    lender: Path, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.table_writer.ROW_GROUP_ROWS", 40)
    out = tmp_path / "decisions.parquet"
    run(lender, out, scorer, partition_bytes=1 << 16)
    sizes = row_groups(out)
    assert len(sizes) > 5
    assert set(sizes[:-1]) == {40}


def row_groups(path: Path) -> list[int]:
    query = "SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata(?) ORDER BY 1"
    return [rows for _, rows in duckdb.connect().execute(query, [str(path)]).fetchall()]


fields = st.text(st.sampled_from(list('a,"\n\r é')), max_size=5)
quoted = fields.map(lambda text: '"' + text.replace('"', '""') + '"')
bare = st.text(st.sampled_from("ab é"), max_size=5)
records = st.lists(st.tuples(bare | quoted, bare | quoted), max_size=8)


def blocks(content: bytes, chunk: int) -> Iterator[bytes]:
    structure = CsvStructure("f.csv")
    chunks = (content[i : i + chunk] for i in range(0, len(content), chunk))
    for block, count in structure.blocks(chunks):
        assert count == len(list(csv.reader(io.StringIO(block.decode(), newline=""), strict=True)))
        yield block


@given(records, st.sampled_from(["\n", "\r\n"]), st.integers(1, 40))
def test_every_way_of_reading_a_good_file_finds_its_records(rows: list[tuple[str, str]], end: str, chunk: int) -> None:
    text = "".join(f"{line}{end}" for line in ["x,y", *(",".join(row) for row in rows)])
    found = b"".join(blocks(text.encode(), chunk)).decode()
    expected = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert list(csv.reader(io.StringIO(found, newline=""), strict=True)) == expected


@given(st.text(st.sampled_from(list('a,"\n\r')), max_size=30), st.integers(1, 9))
def test_any_bytes_are_read_or_refused_alike_in_every_piece_size(text: str, chunk: int) -> None:
    content = f"x,y\n{text}".encode()

    def verdict(size: int) -> bytes | str:
        try:
            return b"".join(blocks(content, size))
        except InputError as error:
            return str(error).split(" has ")[0]

    assert (verdict(chunk) if isinstance(verdict(10_000), bytes) else type(verdict(chunk))) == (
        verdict(10_000) if isinstance(verdict(10_000), bytes) else str
    )


def test_a_record_that_never_ends_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.tables.csv_structure.MOST_RECORD_BYTES", 1 << 20)
    path = tmp_path / "applications.csv"
    path.write_bytes(b'x,y\n1,"' + b"a\n" * (1 << 20))
    table = SourceTable(path, "applications", chunk_bytes=1 << 16)
    with pytest.raises(InputError, match="line 2 begins a record of more than 1 MB"):
        table.read()

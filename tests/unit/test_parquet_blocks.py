"""Blocks of Parquet come from another process through two slots of memory, each of which is filled again and again."""

import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest

from features.errors import InputError
from storage.frames import Slots
from storage.opened import opened
from storage.tables.parquet_blocks import parquet_decoder_process
from storage.tables.tables import SourceTable

ROWS, BLOCK = 10_000, 700


def decoders_of_this_process() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(c) for c in children if b"storage.parquet_decoder" in Path(f"/proc/{c}/cmdline").read_bytes()]


def decoder_of_this_process() -> int:
    (child,) = decoders_of_this_process()
    return child


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "events.parquet"
    numbers = pl.int_range(ROWS, eager=True)
    ids = numbers.cast(pl.String) + " of a customer whose identifier is no short one"
    pl.DataFrame({"n": numbers, "id": ids, "kind": ids.cast(pl.Categorical)}).write_parquet(path, row_group_size=999)
    return path


def test_blocks_that_are_used_late_hold_what_they_held(table: Path) -> None:
    with opened(table) as file, parquet_decoder_process() as decoder:
        blocks = list(decoder.blocks(file, None, BLOCK))
        again = list(decoder.blocks(file, {"n"}, BLOCK * 3))
    assert len(blocks) > 2 * Slots.count
    assert pl.concat(blocks).equals(pl.read_parquet(table).with_columns(pl.col("kind").cast(pl.String)))
    assert pl.concat(again)["n"].to_list() == list(range(ROWS))


def test_the_other_process_waits_for_a_reader_that_is_slow(table: Path) -> None:
    with opened(table) as file, parquet_decoder_process() as decoder:
        blocks = []
        for number, block in enumerate(decoder.blocks(file, None, BLOCK)):
            time.sleep(0.2 if number < 4 else 0)  # time enough to decode all of the table
            blocks.append(block["n"])
    assert pl.concat(blocks).to_list() == list(range(ROWS))


def test_a_process_that_dies_between_two_blocks_is_a_damaged_file(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Slots.read

    def last(self: Slots, number: int) -> pl.DataFrame:
        if number == 3:
            os.kill(decoder_of_this_process(), signal.SIGKILL)
        return read(self, number)

    monkeypatch.setattr(Slots, "read", last)
    source = SourceTable(table, "events", chunk_bytes=BLOCK * 3 * 16)
    with pytest.raises(InputError, match="not readable as Parquet, or damaged"):
        source.read()


def test_a_process_that_answered_all_decodes_the_next_small_table(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceTable(table, "events")
    assert source.read().height == ROWS
    waits = decoder_of_this_process()
    monkeypatch.chdir(table.parent)
    assert SourceTable(Path(table.name), "events").read().equals(source.read())
    assert decoder_of_this_process() == waits
    with opened(table) as file, parquet_decoder_process() as decoder:
        next(decoder.blocks(file, None, BLOCK))
        next(blocks := decoder.blocks(file, None, BLOCK))
        next(blocks)
    assert decoders_of_this_process() == [], "one that was left while it decodes is ended"


def test_a_large_table_leaves_no_process_and_a_fork_finds_none(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceTable(table, "events")
    source.read()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert decoders_of_this_process() == []
    monkeypatch.setattr("storage.tables.parquet_blocks._SMALL_BYTES", table.stat().st_size)
    SourceTable(table, "events").read()
    assert decoders_of_this_process() == []


def test_a_waiting_process_that_was_killed_is_not_asked(table: Path) -> None:
    SourceTable(table, "events").read()
    waits = decoder_of_this_process()
    os.kill(waits, signal.SIGKILL)
    os.waitid(os.P_PID, waits, os.WEXITED | os.WNOWAIT)
    assert SourceTable(table, "events").read().height == ROWS

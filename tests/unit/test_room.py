"""How much memory a run may use, and that rows come back alike from memory and from disk."""

from pathlib import Path

import polars as pl
import pytest

from storage.room import Room, free_memory, room_of
from storage.spool import Spool
from storage.tables import columns

GB = 1 << 30


def machine(folder: Path, available_kb: int) -> Path:
    path = folder / "meminfo"
    path.write_text(f"MemTotal:       99999999 kB\nMemFree:           1 kB\nMemAvailable:   {available_kb} kB\n")
    return path


def group(folder: Path, limit: str, use: str, files: dict[str, object]) -> Path:
    folder.mkdir(parents=True)
    (folder / limit).write_text(f"{files['limit']}\n")
    (folder / use).write_text(f"{files['use']}\n")
    name = "inactive_file" if limit == "memory.max" else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{name} {files['inactive']}\n")
    return folder


def test_free_is_what_the_machine_has_available(tmp_path: Path) -> None:
    assert free_memory(machine(tmp_path, 3 << 20), tmp_path / "none") == 3 * GB


@pytest.mark.parametrize(
    "names", [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]
)
def test_a_control_group_with_less_decides_and_its_cached_files_count_as_free(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    groups = group(tmp_path / "groups", *names, {"limit": 2 * GB, "use": GB, "inactive": GB // 2})
    assert free_memory(machine(tmp_path, 8 << 20), groups) == 2 * GB - GB + GB // 2


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_a_control_group_without_a_limit_does_not_count(tmp_path: Path, limit: str) -> None:
    groups = group(tmp_path / "groups", "memory.max", "memory.current", {"limit": limit, "use": GB, "inactive": 0})
    assert free_memory(machine(tmp_path, 8 << 20), groups) == 8 * GB


def test_a_group_that_uses_more_than_its_limit_leaves_nothing(tmp_path: Path) -> None:
    groups = group(tmp_path / "groups", "memory.max", "memory.current", {"limit": GB, "use": 2 * GB, "inactive": 0})
    assert free_memory(machine(tmp_path, 8 << 20), groups) == 0


def test_what_a_run_may_use_leaves_room_for_its_work() -> None:
    assert not room_of(GB).take(1)
    assert room_of(GB + 10).take(10)
    measured = room_of(None)
    assert not measured.take(free_memory())


def test_room_is_taken_once() -> None:
    room = Room(10)
    assert [room.take(size) for size in (6, 6, 4, 1)] == [True, False, True, False]


@pytest.mark.parametrize("size", [0, 900, 1 << 30], ids=["none", "some", "all"])
def test_rows_come_back_in_their_order_wherever_they_lie(tmp_path: Path, size: int) -> None:
    frames = [
        pl.DataFrame({"x": range(n, n + 50), "t": [f"a long text, number {i}" for i in range(50)]}) for n in (3, 1, 2)
    ]
    with Spool(tmp_path / "out.csv", frames[0].clear(), Room(size)) as spool:
        for frame in frames:
            spool.add({7: frame, 2: frame.head(1)})
        assert spool.read(7).equals(pl.concat(frames))
        assert spool.read(2).equals(pl.concat([frame.head(1) for frame in frames]))
        assert spool.read(5).is_empty()


@pytest.mark.parametrize("room", [0, GB], ids=["on disk", "in memory"])
def test_columns_one_by_one_are_those_of_the_table_and_leave_nothing_behind(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_MEMORY_BYTES", room)
    identity = pl.DataFrame({"application_id": ["a", "b"], "customer_id": ["c", "c"], "as_of": ["2026-01-01"] * 2})
    parts = [identity.with_columns(income=pl.Series([1.5, None]), kind=pl.Series(["x", None])) for _ in range(3)]
    (tmp_path / "applications").mkdir()
    for number, part in enumerate(parts):
        part.write_parquet(tmp_path / "applications" / f"part-{number}.parquet")
    with columns.read_columns(tmp_path / "applications", tmp_path / "spec.toml") as found:
        assert found.identity.equals(pl.concat(parts).select(identity.columns))
        assert pl.DataFrame([*found]).equals(pl.concat(parts).drop(identity.columns))
    assert [path.name for path in tmp_path.iterdir()] == ["applications"]

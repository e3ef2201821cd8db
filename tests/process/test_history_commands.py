"""What the commands of the history store make of disks that are full, ids and stores that do not fit, and too much."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from history import open_store, visible
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.process.test_history_doors import bare, consume
from tests.rest_door import running

pytestmark = pytest.mark.process

NAME, OTHER, FEW = "C7-0000011", "C7-0000012", "C7-0000013"
_SMALL, _LARGE = "1m", "64m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte, which `grow` makes larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a disk of a size can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={_LARGE}", str(disk)], check=True)


def init(credit: Credit, training_folder: Path, store: Path) -> Path:
    done = credit("history", "init", "--spec", training_folder / "spec.toml", "--store", store)
    assert done.returncode == 0, done.stderr
    return store


def test_a_full_disk_ends_a_load_with_4_reads_go_on_and_the_load_goes_on_where_it_was(
    small_disk: Path, dataset: Dataset, training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    store = init(credit, training_folder, small_disk / "store")
    own, all_of_them = tmp_path / "own.parquet", tmp_path / "all.parquet"
    dataset.events.filter(customer_id=NAME).write_parquet(own)
    dataset.events.write_parquet(all_of_them)
    assert credit("history", "load", own, "--store", store).returncode == 0
    full = credit("history", "load", all_of_them, "--store", store)
    assert full.returncode == 4, full.stderr
    assert "The disk may be full" in full.stderr
    shown = credit("history", "show", "--customer-id", NAME, "--store", store)
    assert len(shown.stdout.splitlines()) == dataset.events.filter(customer_id=NAME).height
    grow(small_disk)
    done = credit("history", "load", all_of_them, "--store", store)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(open_store(str(store))) as opened:
        held = sum(len(visible(customer, None).records) for _, customer in opened.everybody())
    assert held == dataset.events.height + dataset.events.filter(customer_id=NAME).height, "nothing lost or doubled"


def test_a_store_of_another_spec_or_on_a_network_disk_is_not_served(
    bundle: Path, training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    text = (training_folder / "spec.toml").read_text()
    (tmp_path / "spec.toml").write_text(text.replace("minor_digits = 2", "minor_digits = 3"))
    store = init(credit, tmp_path, tmp_path / "store")
    flags = ("--bundle", bundle, "--history", store)
    for door in (("serve", "--no-auth", "--port", 0), ("stream", "run", "--brokers", "127.0.0.1:1")):
        done = credit(*door, *flags)
        assert done.returncode == 2, done.stderr
        assert "was made for another spec: minor_digits is 3 there, 2 in the bundle" in " ".join(done.stderr.split())
    said = credit("history", "init", "--help").stdout
    assert "a folder on a local disk" in re.sub(r"[│\s]+", " ", said)


@pytest.mark.parametrize("name", ["x" * 257, "", "  ", "C\x001", "C\n1"])
def test_an_id_that_no_customer_can_have_is_refused(
    name: str, training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    store = init(credit, training_folder, tmp_path / "store")
    asked = (
        ("show", "--store", store),
        ("erase", "--brokers", "127.0.0.1:1"),
        ("void", "--partition", 0, "--offset", 0, "--brokers", "127.0.0.1:1"),
    )
    for command in asked:
        done = credit("history", *command, "--customer-id", name)
        assert done.returncode == 2, done.stderr
        assert "expected 1 to 256 bytes" in done.stderr


def test_what_was_there_at_a_position_of_the_topic_shows_the_files_events_as_well(
    dataset: Dataset, training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    """A file has no place in the topic: what was loaded from it was there before."""
    store = init(credit, training_folder, tmp_path / "store")
    own = dataset.events.filter(customer_id=NAME)
    own.head(4).write_parquet(tmp_path / "events.parquet")
    loaded = credit("history", "load", tmp_path / "events.parquet", "--store", store)
    assert loaded.returncode == 0, loaded.stderr
    with contextlib.closing(open_store(str(store))) as opened:
        consume(opened, own[4:9], 0)

    def shown(*at: str) -> list[tuple[int, int]]:
        done = credit("history", "show", "--customer-id", f" {NAME} ", "--store", store, *at)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert {row["customer_id"] for row in rows} == {NAME}
        return [(row["partition"], row["offset"]) for row in rows]

    of_file = [(-1, row) for row in range(4)]
    assert shown() == of_file + [(0, offset) for offset in range(5)]
    assert shown("--at", "0:2") == [*of_file, (0, 0), (0, 1)]
    assert shown("--at", "1:7") == of_file


def test_a_hundred_thousand_events_are_decided_and_what_is_too_long_is_refused_by_its_code(
    dataset: Dataset, scorer: Scorer, training_folder: Path, tmp_path: Path, credit: Credit
) -> None:
    store = init(credit, training_folder, tmp_path / "store")
    events = pl.concat([times(dataset, NAME, 100_000), times(dataset, OTHER, 200_001), times(dataset, FEW, 3)])
    nobodys = events.head(2).with_columns(customer_id=pl.Series(["y" * 257, None]))
    pl.concat([events, nobodys]).write_parquet(tmp_path / "events.parquet")
    loaded = credit("history", "load", tmp_path / "events.parquet", "--store", store)
    assert loaded.returncode == 0
    assert "2 have no usable customer_id" in " ".join(loaded.stderr.split())
    applications = dataset.applications.filter(pl.col("customer_id").is_in([NAME, OTHER, FEW])).unique("customer_id")
    messages = [m.body for m in to_messages(applications, events, scorer.bundle.spec)]
    with running(scorer.bundle.path, tmp_path, "fastapi", "--history", store) as door:
        for message in messages:
            reply = door.score(bare(message))
            if json.loads(message)["customer_id"] == OTHER:
                assert (reply.status, reply.json["code"]) == (422, "history_too_long")
            else:
                assert reply.body == MessageScorer(scorer).answer([message])[0].decision


def times(dataset: Dataset, name: str, count: int) -> pl.DataFrame:
    """So many events of a customer: its own, again and again."""
    own = dataset.events.filter(customer_id=name)
    return pl.concat([own] * (count // own.height + 1)).head(count)

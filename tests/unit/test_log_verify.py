"""`credit log verify` names what was changed, removed, swapped, cut or added, and where."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from receipts.log.audit import audit
from receipts.log.chain import Chain
from receipts.log.index import make_index
from receipts.log.manifest import Manifest, read_manifest
from recipes.dataset import Dataset
from scoring.bundle.folder import sha256
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import NOON, some_receipts, write_log

SEGMENTS = 4


@pytest.fixture(scope="module")
def intact(scorer: Scorer, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("intact") / "log"
    receipts = some_receipts(scorer, dataset)
    write_log(log, [receipts[8 * i : 8 * i + 8] for i in range(SEGMENTS)])
    write_log(log, [receipts[33:]], "rest-1")
    return log


@pytest.fixture
def log(intact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(intact, tmp_path / "log")


def segment(log: Path, number: int) -> Path:
    return log / f"writers/batch-1/{number:08}"


def test_an_intact_log_is_said_to_be(log: Path, credit: Credit) -> None:
    done = credit("log", "verify", log)
    assert (done.returncode, done.stderr) == (0, "")
    assert "The chains are intact." in done.stdout
    report = json.loads(credit("log", "verify", log, "--json").stdout)
    assert (report["intact"], report["segments"], report["receipts"]) == (True, SEGMENTS + 1, 38)
    heads = {head["writer"]: head["hash"] for head in report["heads"]}
    kept = [f"--head={value}" for value in heads.values()]
    assert credit("log", "verify", log, *kept).returncode == 0
    strange = credit("log", "verify", log, "--head", "ab" * 32)
    assert (strange.returncode, "no chain of this log has this hash" in strange.stdout) == (1, True)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def remove_middle(log: Path) -> None:
    shutil.rmtree(segment(log, 2))


def remove_last(log: Path) -> None:
    shutil.rmtree(segment(log, SEGMENTS))


def remove_writer(log: Path) -> None:
    shutil.rmtree(log / "writers/batch-1")


def swap(log: Path) -> None:
    segment(log, 2).rename(segment(log, 9))
    segment(log, 3).rename(segment(log, 2))
    segment(log, 9).rename(segment(log, 3))


def swap_receipts(log: Path) -> None:
    a, b = (segment(log, n) / "receipts.0.parquet" for n in (2, 3))
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)


def cut(log: Path) -> None:
    path = segment(log, 3) / "receipts.0.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def cut_manifest(log: Path) -> None:
    path = segment(log, 3) / "manifest.json"
    path.write_bytes(path.read_bytes()[:-100])


def copy_to_the_end(log: Path) -> None:
    shutil.copytree(segment(log, 2), segment(log, SEGMENTS + 1))


def forge_at_the_end(log: Path) -> None:
    """A segment that follows the last one as it should, but was never listed."""
    before = read_manifest(segment(log, SEGMENTS))
    shutil.copytree(segment(log, 2), segment(log, SEGMENTS + 1))
    forged = read_manifest(segment(log, 2))
    sealed = forged.sealed | {"number": SEGMENTS + 1, "previous": before.hash}
    Manifest(sealed=sealed, files=forged.files).write(segment(log, SEGMENTS + 1))


def other_receipts(log: Path) -> None:
    """Receipts replaced together with their index and the hashes of the files, but not the chain."""
    folder = segment(log, 2)
    rows = pl.read_parquet(folder / "receipts.0.parquet").with_columns(credit_class=pl.lit("Good"))
    rows.write_parquet(folder / "receipts.0.parquet")
    (folder / "index.0.bin").write_bytes(make_index(rows))
    files = {
        "receipts": sha256((folder / "receipts.0.parquet").read_bytes()),
        "index": sha256((folder / "index.0.bin").read_bytes()),
    }
    Manifest(sealed=read_manifest(folder).sealed, files=files).write(folder)


def sealed_anew(log: Path) -> None:
    """A segment that is in order by itself, but not the one that the next one followed."""
    manifest = read_manifest(segment(log, 2))
    Manifest(sealed=manifest.sealed | {"source": {}}, files=manifest.files).write(segment(log, 2))


def other_index(log: Path) -> None:
    folder, manifest = segment(log, 2), read_manifest(segment(log, 2))
    (folder / "index.0.bin").write_bytes(b"\0" * 8 * 24)
    files = manifest.files | {"index": sha256(b"\0" * 8 * 24)}
    Manifest(sealed=manifest.sealed, files=files).write(folder)


def strange_file(log: Path) -> None:
    (segment(log, 2) / "notes.txt").write_text("mine")


def strange_folder(log: Path) -> None:
    (log / "writers/batch-1/copy of 00000001").mkdir()


def newer(log: Path) -> None:
    path = segment(log, 2) / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 3'))


def other_head(log: Path) -> None:
    path = log / "heads/batch-1.json"
    path.write_text(path.read_text().replace('"number": 4', '"number": 3'))


FAULTS: dict[Callable[[Path], None], tuple[str, str]] = {
    remove_middle: ("batch-1/00000002", "this segment is missing"),
    remove_last: ("batch-1", "ends with segment 3, heads lists 4: at its end segments were removed"),
    remove_writer: ("batch-1", "ends with segment 0, heads lists 4"),
    swap: ("batch-1/00000002", "is segment 3 of batch-1"),
    swap_receipts: ("batch-1/00000002/receipts.0.parquet", "changed since it was sealed"),
    cut: ("batch-1/00000003/receipts.0.parquet", "changed since it was sealed"),
    cut_manifest: ("batch-1/00000003/manifest.json", "changed or cut"),
    copy_to_the_end: ("batch-1/00000005", "is segment 2 of batch-1"),
    forge_at_the_end: ("batch-1", "ends with segment 5, heads lists 4: at its end segments were added"),
    other_receipts: ("batch-1/00000002", "its receipts are not those that were sealed"),
    sealed_anew: ("batch-1/00000003", "does not follow segment 2 as it is"),
    other_index: ("batch-1/00000002/index.0.bin", "is not the index of these receipts"),
    strange_file: ("batch-1/00000002/notes.txt", "does not belong to the segment"),
    strange_folder: ("batch-1/copy of 00000001", "does not belong to the log"),
    newer: ("batch-1/00000002/manifest.json", "format version 3, this release reads 1 and 2"),
    other_head: ("batch-1", "segments were added"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_what_is_wrong_is_named_with_its_place(log: Path, fault: Callable[[Path], None]) -> None:
    fault(log)
    place, what = FAULTS[fault]
    problems = audit(log).problems
    assert any(str(log / "writers" / place) + ":" in problem and what in problem for problem in problems), problems


def test_the_command_ends_with_1_and_names_it(log: Path, credit: Credit) -> None:
    swap(log)
    done = credit("log", "verify", log)
    assert done.returncode == 1
    assert f"BROKEN {segment(log, 2)}: is segment 3 of batch-1" in done.stdout
    assert "The chains are intact" not in done.stdout


@pytest.mark.slow
def test_each_flipped_byte_is_found_in_its_file(log: Path) -> None:
    for path in (*sorted(segment(log, 3).iterdir()), log / "heads/batch-1.json"):
        before = path.read_bytes()
        for at in range(0, len(before), max(1, len(before) // 40)):
            flip(path, at)
            (problem, *_) = audit(log).problems
            assert (str(path.parent) if path.parent.name.isdigit() else "batch-1") in problem, (path, at)
            path.write_bytes(before)
    assert not audit(log).problems


def test_a_chain_that_was_written_anew_lacks_the_old_head(
    log: Path, scorer: Scorer, dataset: Dataset, credit: Credit
) -> None:
    (old,) = [head.hash for head in audit(log).heads if head.writer == "batch-1"]
    shutil.rmtree(log / "writers/batch-1")
    (log / "heads/batch-1.json").unlink()
    better = some_receipts(scorer, dataset).with_columns(credit_class=pl.lit("Good"))
    write_log(log, [better[8 * i : 8 * i + 8] for i in range(SEGMENTS)])
    assert not audit(log).problems, "without an anchor elsewhere nobody can tell"
    done = credit("log", "verify", log, "--head", old)
    assert (done.returncode, f"--head {old}: no chain of this log has this hash" in done.stdout) == (1, True)


def test_a_head_holds_when_the_chain_has_grown(log: Path, scorer: Scorer, dataset: Dataset) -> None:
    old = [head.hash for head in audit(log).heads]
    write_log(log, [some_receipts(scorer, dataset, 5)])
    assert not audit(log, old).problems


def test_a_clock_that_ran_backwards_is_a_note(log: Path, scorer: Scorer, dataset: Dataset) -> None:
    write_log(log, [some_receipts(scorer, dataset, 5, NOON - timedelta(days=1))])
    found = audit(log)
    assert (found.problems, len(found.notes)) == ([], 1)
    assert "00000005: the door's clock ran backwards before it" in found.notes[0]


def test_a_writer_refuses_to_go_on_after_an_end_that_was_removed(log: Path, credit: Credit, scorer: Scorer) -> None:
    assert scorer
    remove_last(log)
    with pytest.raises(Exception, match="its last segment is 3, which is not the one listed"):
        Chain.open(log, "batch-1")
    done = credit("log", "find", log, "--application-id", "A7-0000000")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["find", "verify", "expire", "erase"])
def test_what_is_no_log_is_said(tmp_path: Path, credit: Credit, command: str) -> None:
    options = {"find": ["--customer-id", "C"], "expire": ["--before", "2020-01-01"], "erase": ["--customer-id", "C"]}
    done = credit("log", command, tmp_path, *options.get(command, []))
    assert (done.returncode, "is no decision log: log.json is missing" in done.stderr) == (1, True)
    (tmp_path / "log.json").write_text('{"format_version": 2}')
    done = credit("log", command, tmp_path, *options.get(command, []))
    assert (done.returncode, "format version 2, this release reads 1" in done.stderr) == (1, True)

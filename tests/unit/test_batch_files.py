"""Door 1 and its files: what is no table is refused in words, and what is one is read whatever its dialect."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from features.errors import InputError
from scoring.scorer import Scorer
from storage.tables.tables import read_table
from tests.batch_parts import REST, outputs, rejects, with_rows
from tests.conftest import Credit


def spoil(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / f"{name}.csv"
        path.write_bytes(change(path.read_bytes()))

    return apply


def header(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        first, rest = content.decode().split("\n", 1)
        return f"{change(first)}\n{rest}".encode()

    return apply


def cut(content: bytes, back: int) -> bytes:
    return content[: len(content) - back]


BAD_FILES: list[tuple[str, Callable[[Path], None], str]] = [
    ("no such file", lambda f: (f / "applications.csv").unlink(), r"applications\.csv: no such file or folder"),
    ("empty file", spoil("applications", lambda _: b""), r"applications\.csv: the file is empty"),
    ("only a BOM", spoil("applications", lambda _: b"\xef\xbb\xbf"), r"the file is empty"),
    (
        "header only",
        spoil("applications", lambda c: c[: c.index(b"\n") + 1]),
        r"the applications have a header but no rows",
    ),
    (
        "column missing",
        spoil("applications", header(lambda h: h.replace("months_employed", "years"))),
        r"column 'months_employed' is missing",
    ),
    (
        "identity missing",
        spoil("applications", header(lambda h: h.replace("as_of", "date"))),
        r"column 'as_of' is missing",
    ),
    (
        "id column missing",
        spoil("applications", header(lambda h: h.replace("application_id", "id"))),
        r"'application_id' is missing",
    ),
    (
        "events column missing",
        spoil("events", header(lambda h: h.replace("amount", "sum"))),
        r"events: column 'amount' is missing",
    ),
    (
        "column doubled",
        spoil("applications", header(lambda h: h.replace("occupation", "months_employed"))),
        r"column 'months_employed' appears twice",
    ),
    (
        "column without name",
        spoil("applications", header(lambda h: h.replace("months_employed", ""))),
        r"column 4 has no name",
    ),
    ("cut in a line", spoil("applications", lambda c: cut(c, 40) + b"\n"), r"line 201 has \d+ fields, expected 12"),
    ("cut in the last field", spoil("applications", lambda c: cut(c, 3)), r"the last line has no line end"),
    ("cut in quotes", spoil("applications", lambda c: c + b'X,"C9\n'), r"a quote opened on line 202 is never closed"),
    (
        "a field too many",
        spoil("applications", lambda c: c + b"1,2,3,4,5,6,7,8,9,10,11,12,13\n"),
        r"line 202 has 13 fields",
    ),
    ("blank line", spoil("applications", lambda c: c + b"\n"), r"line 202 has 1 fields"),
    (
        "quote inside a field",
        spoil("applications", lambda c: c + b'a"b' + b"," * 11 + b"\n"),
        r"line 202 has a quote inside a field",
    ),
    (
        "text behind a quote",
        spoil("applications", lambda c: c + b'"a"b' + b"," * 11 + b"\n"),
        r"line 202 has a quote inside",
    ),
    (
        "lone carriage return",
        spoil("applications", lambda c: c + b"a\rb" + b"," * 11 + b"\n"),
        r"carriage return without a line feed",
    ),
    ("not UTF-8", spoil("applications", lambda c: c + b"\xff" + b"," * 11 + b"\n"), r"line 202 is not UTF-8"),
    ("UTF-16", spoil("applications", lambda c: c.decode().encode("utf-16")), r"line 1 (is not UTF-8|holds a NUL)"),
    ("NUL", spoil("applications", lambda c: c + b"\0" + b"," * 11 + b"\n"), r"line 202 holds a NUL byte"),
    ("semicolons", spoil("applications", lambda c: c.replace(b",", b";")), r"separated by semicolon. Expected commas"),
    ("tabs", spoil("events", lambda c: c.replace(b",", b"\t")), r"separated by tab"),
]


@pytest.mark.parametrize(("spoiled", "message"), [b[1:] for b in BAD_FILES], ids=[b[0] for b in BAD_FILES])
def test_a_file_that_cannot_be_used_is_refused(
    spoiled: Callable[[Path], None], message: str, job: BatchJob, scorer: Scorer
) -> None:
    job.out.write_text("yesterday")
    spoiled(job.out.parent)
    with pytest.raises(InputError, match=message) as error:
        run_batch(job, scorer)
    assert job.out.read_text() == "yesterday"
    assert not list(job.out.parent.glob(".*"))
    assert "A7-0" not in str(error.value), "no identifier of a customer"
    assert str(error.value).count(". ") >= 1, "says what to do"


def test_crlf_quotes_a_byte_order_mark_and_unknown_columns_are_read(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    expected = outputs(job)[0]
    first, *rest = job.applications.read_text().splitlines()
    lines = ['"application_id",' + first.removeprefix("application_id,") + ",shoe size\r\n"] + [
        f'{line},"big, ""wide""\nand long"\r\n' for line in rest
    ]
    job.applications.write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode())
    manifest = run_batch(job, scorer)
    assert outputs(job)[0] == expected
    assert manifest["notes"] == [
        "applications.csv: byte order mark skipped",
        "applications: not in the spec and ignored: shoe size",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("applications.parquet", b"", "the file is empty"),
        ("applications.parquet", b"PAR1 not really PAR1", "not readable as Parquet"),
        ("applications.xlsx", b"x", r"its name ends in \.xlsx, expected \.csv or \.parquet"),
    ],
)
def test_other_files_are_refused(name: str, content: bytes, message: str, job: BatchJob, scorer: Scorer) -> None:
    path = job.out.parent / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        run_batch(replace(job, applications=path), scorer)


def test_folders_that_are_no_table_are_refused(job: BatchJob, scorer: Scorer) -> None:
    folder = job.out.parent / "parts"
    folder.mkdir()
    with pytest.raises(InputError, match="the folder is empty"):
        run_batch(replace(job, applications=folder), scorer)
    shutil.copy(job.applications, folder / "a.csv")
    (folder / "readme.txt").touch()
    with pytest.raises(InputError, match=r"found \.csv, \.txt"):
        run_batch(replace(job, applications=folder), scorer)
    (folder / "readme.txt").unlink()
    shutil.copy(job.applications.with_name("events.csv"), folder / "b.csv")
    with pytest.raises(InputError, match="columns or types differ"):
        run_batch(replace(job, applications=folder), scorer)


@pytest.mark.slow
def test_damaged_parquet_is_refused_or_read_and_never_a_crash(job: BatchJob, tmp_path: Path) -> None:
    """Polars aborts the process on some damage, so a process of its own has to die of it."""
    path = tmp_path / "applications.parquet"
    pl.read_csv(job.applications, infer_schema=False).write_parquet(path)
    good, generator = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for i in range(30):
        content = bytearray(good)
        first = 0 if i % 2 else max(0, len(content) - 2500)  # anywhere, or in the footer
        for at in generator.integers(first, len(content), 3):
            content[at] ^= 1 << int(generator.integers(0, 8))
        path.write_bytes(bytes(content[: len(content) if i % 3 else int(generator.integers(0, len(content)))]))
        try:
            read_table(path, "applications")
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017 - some of the damage goes unnoticed
            refused += 1
    assert refused >= 10


def test_a_file_name_that_is_no_utf8_is_escaped(job: BatchJob, bundle: Path, credit: Credit) -> None:
    odd = Path(os.fsdecode(os.fsencode(job.out.parent) + b"/bad\xff.csv"))
    with_rows(job, f"X1,,2025-06-30,{REST}").applications.rename(odd)
    done = credit("score", "--bundle", bundle, "--applications", odd, "--events", job.events, "--out", job.out)
    assert done.returncode == 0, done.stderr
    assert json.loads(job.manifest_path.read_text())["inputs"][0]["file"].endswith(r"bad\udcff.csv")
    assert rejects(job)[-1]["file"] == r"bad\udcff.csv"
    done = credit("score", "--bundle", bundle, "--applications", odd, "--events", "absent", "--out", job.out)
    assert done.returncode == 1

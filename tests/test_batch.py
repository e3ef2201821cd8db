"""Door 1: files in, files out; the same bytes twice, nothing lost, and the old output or the new one, never a part."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from batch.tables import read_table
from features.errors import CreditError, DeliveryError, InputError, RejectLimitError, SettingsError
from scoring.scorer import Scored, Scorer
from tests.conftest import Credit


@pytest.fixture
def job(tonight: Path) -> BatchJob:
    return BatchJob(
        applications=tonight / "applications.csv", events=tonight / "events.csv", out=tonight / "decisions.csv"
    )


def outputs(job: BatchJob) -> tuple[bytes, bytes]:
    return job.out.read_bytes(), job.rejects_path.read_bytes()


def test_a_run_accounts_for_every_row_and_says_what_it_read_and_wrote(job: BatchJob, scorer: Scorer) -> None:
    manifest = run_batch(job, scorer)
    assert manifest == json.loads(job.manifest_path.read_text())
    assert manifest["applications"] == 200 == manifest["decisions"] + manifest["rejected_applications"]
    assert sum(manifest["decisions_by_class"].values()) == manifest["decisions"]
    assert manifest["bundle_id"] == scorer.bundle.bundle_id
    assert {d["column"] for d in manifest["dirt"] if d["cause"] == "out_of_range"} >= {
        "annual_income",
        "credit_utilisation",
    }
    assert set(manifest["seconds"]) == {"read", "score", "write"}
    for path in (job.out, job.rejects_path):
        assert manifest["outputs"][path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["inputs"][0]["sha256"] == hashlib.sha256(job.applications.read_bytes()).hexdigest()


def test_a_scorer_that_loses_a_row_ends_the_run(job: BatchJob, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scorer.score

    def losing(applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        scored = real(applications, events)
        return replace(scored, decisions=scored.decisions.head(-1))

    monkeypatch.setattr(scorer, "score", losing)
    with pytest.raises(CreditError, match=r"200 applications came in, .* Nothing was written"):
        run_batch(job, scorer)
    assert not job.out.exists()


def test_decisions_come_in_input_order_and_a_rerun_gives_the_same_bytes(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    first = outputs(job)
    ids = pl.read_csv(job.applications)["application_id"].to_list()
    rejected = set(pl.read_csv(job.rejects_path, infer_schema=False)["application_id"])
    assert pl.read_csv(job.out)["application_id"].to_list() == [i for i in ids if i not in rejected]
    run_batch(job, scorer)
    assert outputs(job) == first
    assert sorted(p.name for p in job.out.parent.iterdir()) == [
        "applications.csv",
        "decisions.csv",
        "decisions.rejects.csv",
        "decisions.run.json",
        "events.csv",
    ]


def test_csv_reads_back_to_the_bits_of_parquet(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    parquet = replace(job, out=job.out.with_suffix(".parquet"))
    run_batch(parquet, scorer)
    exact = pl.read_parquet(parquet.out)
    text = pl.read_csv(job.out, schema_overrides=dict.fromkeys(("p_poor", "p_standard", "p_good"), pl.Float32))
    for name in ("p_poor", "p_standard", "p_good"):
        assert text[name].reinterpret(signed=False).equals(exact[name].reinterpret(signed=False))
    assert text["as_of"].str.to_datetime(time_zone="UTC").cast(pl.Datetime("us", "UTC")).equals(exact["as_of"])


def test_csv_parquet_and_folders_of_parts_give_the_same_bytes(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    expected = outputs(job)
    applications = pl.read_csv(job.applications, infer_schema=False)
    events = pl.read_csv(job.events, infer_schema=False)
    folder = job.out.parent
    applications.write_parquet(folder / "applications.parquet")
    events.with_columns(
        pl.col("occurred_at", "recorded_at").str.to_datetime(time_zone="UTC"), pl.col("amount").cast(pl.Decimal(12, 2))
    ).write_parquet(folder / "events.parquet")
    run_batch(replace(job, applications=folder / "applications.parquet", events=folder / "events.parquet"), scorer)
    assert outputs(job)[0] == expected[0]
    for name, frame in (("applications", applications), ("events", events)):
        (folder / name).mkdir()
        (folder / name / "_SUCCESS").touch()
        half = frame.height // 2
        frame.head(half).write_csv(folder / name / "part-0.csv")
        frame.tail(-half).write_csv(folder / name / "part-1.csv")
    run_batch(replace(job, applications=folder / "applications", events=folder / "events"), scorer)
    assert outputs(job)[0] == expected[0]


def with_rows(job: BatchJob, *rows: str) -> BatchJob:
    job.applications.write_text(job.applications.read_text() + "".join(f"{row}\n" for row in rows))
    return job


REST = "41,30000.50,nurse,10 Years and 3 Months,12.5,2,Good,1000,none"


def rejects(job: BatchJob) -> list[dict[str, Any]]:
    return pl.read_csv(job.rejects_path, schema_overrides={"event_row": pl.Int64}).to_dicts()


def test_every_row_of_a_repeated_application_is_rejected_and_located(job: BatchJob, scorer: Scorer) -> None:
    before = run_batch(job, scorer)["rejected_applications"]
    job = with_rows(
        job,
        f"X1,C9,2025-06-30,{REST}",
        f"X2,C9,2025-06-30,{REST}",
        f"X1,C8,2025-07-30,{REST}",
        f",C8,2025-07-30,{REST}",
    )
    manifest = run_batch(job, scorer)
    assert manifest["rejected_applications"] == before + 3
    assert manifest["rejects_by_code"]["application_id_repeated"] == 2
    rows = {(r["row"], r["application_id"], r["code"]) for r in rejects(job)}
    assert rows >= {
        (201, "X1", "application_id_repeated"),
        (203, "X1", "application_id_repeated"),
        (204, None, "application_id_missing"),
    }


def test_a_reject_in_a_folder_names_file_row_and_event(job: BatchJob, scorer: Scorer) -> None:
    folder = job.out.parent / "parts"
    folder.mkdir()
    events = job.events.read_text().splitlines(keepends=True)
    (folder / "a.csv").write_text("".join(events))
    (folder / "b.csv").write_text(events[0] + "C9,2025-01-01,salary,1,\nC9,2025-01-01,gift,1,\n")
    run_batch(replace(with_rows(job, f"X1,C9,2025-06-30,{REST}"), events=folder), scorer)
    (reject,) = [r for r in rejects(job) if r["application_id"] == "X1"]
    assert reject["file"] == "applications.csv"
    assert (reject["row"], reject["event_file"], reject["event_row"]) == (201, "b.csv", 2)
    assert (reject["column"], reject["code"]) == ("events.kind", "event_kind_unknown_category")


def test_the_share_of_rejects_is_strict_and_leaves_the_previous_output(job: BatchJob, scorer: Scorer) -> None:
    lines = job.applications.read_text().splitlines(keepends=True)
    job.applications.write_text(
        "".join(lines[:1]) + "".join(f"X{i},C9,2025-06-30,{REST}\n" for i in range(19)) + f"X19,,2025-06-30,{REST}\n"
    )
    assert run_batch(replace(job, max_reject_share=0.05), scorer)["rejected_applications"] == 1
    before = outputs(job)
    with pytest.raises(RejectLimitError, match=r"1 of 20 applications were rejected \(5.0%\), .*customer_id_missing 1"):
        run_batch(replace(job, max_reject_share=0.049), scorer)
    assert outputs(job) == before
    failed = job.rejects_path.with_name("decisions.rejects.csv.failed")
    assert "customer_id_missing" in failed.read_text()


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
        "events header only",
        spoil("events", lambda c: c[: c.index(b"\n") + 1]),
        r"the events have a header but no rows.*--allow-empty-events",
    ),
    ("column missing", spoil("applications", header(lambda h: h.replace("age", "years"))), r"column 'age' is missing"),
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
        spoil("applications", header(lambda h: h.replace("occupation", "age"))),
        r"column 'age' appears twice",
    ),
    ("column without name", spoil("applications", header(lambda h: h.replace("age", ""))), r"column 4 has no name"),
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


@pytest.mark.parametrize("cell", ["NaN", "inf", "-Infinity", "1e400", "12.345", "ten"])
def test_dirty_optional_cells_are_scored_and_counted(cell: str, job: BatchJob, scorer: Scorer) -> None:
    before = run_batch(job, scorer)
    manifest = run_batch(with_rows(job, f"X1,C9,2025-06-30,41,{cell},nurse,,12.5,2,Good,1000,none"), scorer)

    def cells(m: dict[str, Any]) -> int:
        return sum(d["cells"] for d in m["dirt"] if d["column"] == "annual_income")

    assert cells(manifest) == cells(before) + 1
    assert manifest["decisions"] == before["decisions"] + 1


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
    shutil.copy(job.events, folder / "b.csv")
    with pytest.raises(InputError, match="columns or types differ"):
        run_batch(replace(job, applications=folder), scorer)


def test_the_output_is_checked_before_anything_is_read(job: BatchJob, scorer: Scorer) -> None:
    unread = replace(job, applications=Path("absent.csv"))
    with pytest.raises(DeliveryError, match="nowhere: no such folder"):
        run_batch(replace(unread, out=job.out.parent / "nowhere" / "decisions.csv"), scorer)
    (job.out.parent / "folder.csv").mkdir()
    with pytest.raises(DeliveryError, match="is a folder"):
        run_batch(replace(unread, out=job.out.parent / "folder.csv"), scorer)
    with pytest.raises(DeliveryError, match="/proc: cannot be written to"):
        run_batch(replace(unread, out=Path("/proc/decisions.csv")), scorer)


def test_the_input_is_never_the_output(job: BatchJob, scorer: Scorer) -> None:
    before = job.applications.read_bytes()
    with pytest.raises(SettingsError, match=r"applications\.csv: is or lies in the input"):
        run_batch(replace(job, out=job.applications), scorer)
    with pytest.raises(SettingsError, match="is or lies in the input"):
        run_batch(replace(job, events=job.out.parent), scorer)
    assert job.applications.read_bytes() == before


def test_exit_codes(job: BatchJob, bundle: Path, credit: Credit) -> None:
    arguments: dict[str, object] = {
        "--bundle": bundle,
        "--applications": job.applications,
        "--events": job.events,
        "--out": job.out,
    }

    def run(**changes: object) -> "subprocess.CompletedProcess[str]":
        merged = {**arguments, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
        return credit("score", *[part for item in merged.items() for part in item])

    assert run().returncode == 0
    done = run(applications="absent.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: absent.csv: no such file or folder. Expected the applications as CSV or Parquet.\n"
    assert run(bundle="absent").returncode == 2
    assert run(out=job.out.with_suffix(".txt")).returncode == 2
    assert run(max_reject_share="many").returncode == 2
    assert run(out=job.out.parent / "nowhere" / "d.csv").returncode == 4
    with_rows(job, *[f"X{i},,2025-06-30,{REST}" for i in range(30)])
    done = run()
    assert done.returncode == 3
    assert "--max-reject-share" in done.stderr
    assert "Traceback" not in done.stderr


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

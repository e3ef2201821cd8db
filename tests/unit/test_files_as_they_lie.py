"""Tables as they lie around: compressed, with other separators and encodings, in folders named KEY=VALUE."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from backports import zstd

from batch.job import BatchJob, run_batch
from features.dialect import Dialect, declared
from features.errors import InputError, SpecError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from scoring.scorer import Scorer
from storage.tables.compressed import decompressed
from storage.tables.tables import SourceTable, read_table
from tests.batch_parts import REST, outputs, rejects, with_rows
from tests.conftest import Credit

Change = Callable[[bytes], bytes]
COMPRESS: dict[str, Change] = {".gz": gzip.compress, ".zst": zstd.compress}
LINES = "".join(f"{i * 7919 % 104729},{i}\n" for i in range(20_000)).encode()


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    yield from (content[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("size", [100, 1 << 16, 1 << 24])
@pytest.mark.parametrize("most", [1000, 1 << 20])
def test_compressed_bytes_are_what_was_compressed_however_they_are_cut(suffix: str, size: int, most: int) -> None:
    path, compress = Path(f"a.csv{suffix}"), COMPRESS[suffix]
    several = compress(LINES) + compress(b"x,y\n") + compress(b"")
    found = list(decompressed(pieces(several, size), path, most))
    assert b"".join(found) == LINES + b"x,y\n"
    assert max(map(len, found)) <= most


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c[:-1],
        lambda c: c[: len(c) // 2],
        lambda c: c[:3],
        lambda c: c + b"\0",
        lambda c: c + b"garbage behind the end",
        lambda c: c[: len(c) // 2] + bytes(8) + c[len(c) // 2 + 8 :],
        lambda _: b"a,b\n1,2\n",
    ],
)
def test_a_compressed_file_that_is_cut_or_goes_on_is_refused(suffix: str, spoil: Change, tmp_path: Path) -> None:
    path = tmp_path / f"labels.csv{suffix}"
    path.write_bytes(spoil(COMPRESS[suffix](b"application_id,credit_class\n" + LINES)))
    with pytest.raises(InputError, match=rf"labels\.csv{suffix}: .*(cut|damaged)"):
        read_table(path, "labels")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_few_bytes_that_hold_very_many_never_fill_the_memory(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"events.csv{suffix}"
    path.write_bytes(COMPRESS[suffix](b"kind,amount\n" + b"deposit,1\n" * 8_000_000))
    table = SourceTable(path, "events", chunk_bytes=1 << 20)
    with table:
        assert table.estimated_bytes() == 12 + 80_000_000
        tracemalloc.start()
        rows = sum(block.height for block in table.blocks())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert rows == 8_000_000
    assert peak < 32 << 20


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_table_gives_the_bytes_of_the_plain_one(suffix: str, job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    expected = outputs(job)[0]
    path = job.applications.with_name(f"applications.csv{suffix}")
    path.write_bytes(COMPRESS[suffix](job.applications.read_bytes()))
    manifest = run_batch(replace(job, applications=path), scorer)
    assert outputs(job)[0] == expected
    assert manifest["inputs"][0]["sha256"] == sha256(path.read_bytes()).hexdigest()


def test_content_that_is_not_what_the_name_says_is_named(tmp_path: Path) -> None:
    for content, wanted in ((gzip.compress(b"a\n"), "gzip"), (zstd.compress(b"a\n"), "zstd"), (b"PAR1..", "Parquet")):
        path = tmp_path / "labels.csv"
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"holds {wanted}, not CSV. Let its name end in"):
            read_table(path, "labels")


DIALECTS = [(";", "latin-1"), ("tab", "cp1252"), ("|", "utf-16"), (",", "utf-16-le")]


@pytest.mark.parametrize(("separator", "encoding"), DIALECTS)
def test_a_declared_dialect_gives_the_bytes_of_comma_and_utf8(
    separator: str, encoding: str, job: BatchJob, scorer: Scorer
) -> None:
    for path in filter(None, (job.applications, job.events)):
        header, rest = path.read_text().replace("nurse", "infirmière").split("\n", 1)
        path.write_text(f"{header},note\n" + rest.replace("\n", ',"naïve, ""wide""\nand long"\n'))
    run_batch(job, scorer)
    expected = outputs(job)[0]
    dialect = declared(separator, encoding, Dialect())
    for path in filter(None, (job.applications, job.events)):
        frame = pl.read_csv(path, infer_schema=False)
        path.write_bytes(frame.write_csv(separator=dialect.separator).encode(encoding))
    run_batch(replace(job, dialect=dialect), scorer)
    assert outputs(job)[0] == expected


def test_the_command_line_declares_a_dialect(job: BatchJob, bundle: Path, credit: Credit) -> None:
    for path in filter(None, (job.applications, job.events)):
        path.write_bytes(path.read_text().replace(",", "\t").encode("utf-16"))
    score = ("score", "--bundle", bundle, "--applications", job.applications, "--events", job.events, "--out", job.out)
    done = credit(*score, "--separator", "tab", "--encoding", "utf-16")
    assert done.returncode == 0, done.stderr
    done = credit(*score, "--separator", "x")
    assert done.returncode == 2
    assert "--separator: expected one of" in done.stderr


def test_what_is_not_declared_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("application_id;credit_class\n1;Good\n")
    with pytest.raises(InputError, match=r'separated by semicolon.*separator = ";" under \[csv\].*--separator ";"'):
        read_table(path, "labels")
    with pytest.raises(InputError, match=r"separated by semicolon. Expected tabs, as declared"):
        read_table(path, "labels", dialect=Dialect("\t"))
    path.write_bytes("application_id,credit_class\nMüller,Good\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"line 2 is not UTF-8.*encoding = \"latin-1\".*--encoding latin-1"):
        read_table(path, "labels")


def test_an_encoding_declared_wrong_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("application_id,credit_class\nMüller,Good\n")
    with pytest.raises(InputError, match="is UTF-8, declared as iso8859-1"):
        read_table(path, "labels", dialect=Dialect(encoding="iso8859-1"))
    path.write_bytes(b"application_id,credit_class\nM\x81ller,Good\n")
    with pytest.raises(InputError, match="behind line 1 is something that is not cp1252"):
        read_table(path, "labels", dialect=Dialect(encoding="cp1252"))
    path.write_bytes("application_id,credit_class\nMüller,Good\n".encode("utf-16")[:-1])
    with pytest.raises(InputError, match="not utf-16"):
        read_table(path, "labels", dialect=Dialect(encoding="utf-16"))


def test_a_spec_declares_the_dialect(spec: Spec) -> None:
    text = (
        spec.text.replace("spec_version = 1", "spec_version = 2") + '\n[csv]\nseparator = "tab"\nencoding = "Latin-1"\n'
    )
    assert parse_spec(text).csv == Dialect("\t", "iso8859-1")
    with pytest.raises(SpecError, match=r"csv\.separator: expected one of"):
        parse_spec(text.replace('"tab"', '";;"'))
    with pytest.raises(SpecError, match=r"csv\.encoding: expected one such as"):
        parse_spec(text.replace("Latin-1", "zip"))
    with pytest.raises(SpecError, match="csv: is known from spec_version 2 on"):
        parse_spec(text.replace("spec_version = 2", "spec_version = 1"))


def hive(folder: Path, table: pl.DataFrame, suffix: str) -> Path:
    """Write a table as three files below folders named year=, month=; their order is that of the table."""
    third = -(-table.height // 3)
    for number, (year, month) in enumerate([(2025, 12), (2026, 1), (2026, 2)]):
        part = table[number * third : (number + 1) * third]
        path = folder / f"year={year}" / f"month={month:02}" / f"part-0{suffix}"
        path.parent.mkdir(parents=True)
        (path.parent / "_SUCCESS").touch()
        if suffix == ".parquet":
            part.write_parquet(path)
        else:
            path.write_bytes(gzip.compress(part.write_csv().encode()))
    return folder


@pytest.mark.parametrize("suffix", [".parquet", ".csv.gz"])
def test_folders_named_key_value_are_one_table_in_the_order_of_path(
    suffix: str, job: BatchJob, scorer: Scorer, tmp_path: Path
) -> None:
    job = with_rows(job, f"X1,,2025-06-30,{REST}")
    run_batch(job, scorer)
    expected = outputs(job)[0]
    table = pl.read_csv(job.applications, infer_schema=False)
    manifest = run_batch(replace(job, applications=hive(tmp_path / "hive", table, suffix)), scorer)
    assert outputs(job)[0] == expected
    assert "applications: not in the spec and ignored: year, month" in manifest["notes"]
    assert [i["rows"] for i in manifest["inputs"][:3]] == [67, 67, 67]
    assert rejects(job)[-1]["file"] == f"year=2026/month=02/part-0{suffix}"
    assert rejects(job)[-1]["row"] == 67


def test_what_folders_say_is_a_column_of_text(tmp_path: Path) -> None:
    hive(tmp_path / "hive", pl.DataFrame({"a": [1, 2, 3], "month": ["own", "own", "own"]}), ".parquet")
    other = tmp_path / "hive/year=__HIVE_DEFAULT_PARTITION__/month=1%2F2"
    other.mkdir(parents=True)
    pl.DataFrame({"a": [4], "month": ["own"]}).write_parquet(other / "x.parquet")
    read = read_table(tmp_path / "hive", "labels")
    assert read["year"].to_list() == ["2025", "2026", "2026", None]
    assert set(read["month"]) == {"own"}, "the files' own column counts"
    assert SourceTable(tmp_path / "hive", "labels", known={"a", "year"}).read().columns == ["a", "year"]


def test_folders_that_are_no_table_are_named(tmp_path: Path) -> None:
    folder = hive(tmp_path / "hive", pl.DataFrame({"a": [1, 2, 3]}), ".parquet")
    (folder / "year=2027").mkdir()
    with pytest.raises(InputError, match=r"year=2027: the folder is empty"):
        read_table(folder, "labels")
    (folder / "year=2027").rename(folder / "backup")
    with pytest.raises(InputError, match=r"holds subfolders \(backup, year=2025, year=2026\)"):
        read_table(folder, "labels")
    (folder / "backup").rename(folder / "day=1")
    pl.DataFrame({"a": [1]}).write_parquet(folder / "day=1/x.parquet")
    with pytest.raises(InputError, match=r"lies below other folders than day=1/x\.parquet"):
        read_table(folder, "labels")


def test_a_folder_that_is_not_complete_is_refused_or_said(tmp_path: Path) -> None:
    folder, row = tmp_path / "parts", pl.DataFrame({"a": ["1"]})
    folder.mkdir()
    for number in (0, 1, 3):
        row.write_csv(folder / f"part-0000{number}-7fa0.csv")
    notes: list[str] = []
    assert read_table(folder, "labels", tell=notes.append).height == 3
    assert notes == ["labels: part files are numbered up to 3, but there is none of number 2. Is the folder complete?"]
    (folder / "_temporary").mkdir()
    with pytest.raises(InputError, match="is still being written"):
        read_table(folder, "labels")
    other = tmp_path / "announced"
    other.mkdir()
    for number in (1, 2, 4):
        row.write_csv(other / f"labels_{number}_of_4.csv")
    with pytest.raises(InputError, match="holds 3 of the 4 files that their names announce"):
        read_table(other, "labels")


def test_ids_that_are_floats_are_their_digits(job: BatchJob, scorer: Scorer, tmp_path: Path) -> None:
    tables = {name: pl.read_csv(tmp_path / f"{name}.csv", infer_schema=False) for name in ("applications", "events")}
    numbers = {id_: float(1000 + i) for i, id_ in enumerate(tables["applications"]["customer_id"].unique().sort())}
    found = {}
    for kind in ("text", "float"):
        paths = {name: tmp_path / f"{name}_{kind}.parquet" for name in tables}
        for name, table in tables.items():
            ids = pl.Series("customer_id", [numbers.get(id_, 99.0) for id_ in table["customer_id"]])
            ids = ids if kind == "float" else ids.cast(pl.Int64).cast(pl.String)
            table.with_columns(ids).write_parquet(paths[name])
        own = replace(job, applications=paths["applications"], events=paths["events"])
        found[kind] = run_batch(own, scorer)["notes"], outputs(job)[0]
    assert found["text"][1] == found["float"][1]
    assert [note.split(";")[0] for note in found["float"][0]] == [
        "applications: customer_id is Float64",
        "events: customer_id is Float64",
    ]


@pytest.mark.parametrize("value", [0.5, 2.0**53, float("inf")])
def test_ids_that_lost_digits_are_refused(value: float, tmp_path: Path) -> None:
    pl.DataFrame({"application_id": [1.0, float("nan"), None, value]}).write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(InputError, match=r"'application_id' is Float64 and holds .* a fraction"):
        read_table(tmp_path / "labels.parquet", "labels")


def test_ids_in_two_forms_are_said(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("application_id,credit_class\n1001,Good\n1002.0,Poor\n1003.0,Good\n")
    notes: list[str] = []
    read_table(path, "labels", tell=notes.append)
    assert len(notes) == 1
    assert notes[0].startswith("labels: 2 cells of application_id are written as 1001.0, others as 1001.")


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum])
def test_texts_and_instants_that_are_dictionary_encoded_are_texts(
    dtype: type[pl.DataType], job: BatchJob, scorer: Scorer, tmp_path: Path
) -> None:
    run_batch(job, scorer)
    expected = outputs(job)[0]
    paths = {}
    for name, path in (("applications", job.applications), ("events", job.events)):
        table = pl.read_csv(path or tmp_path, infer_schema=False)
        coded = [c.cast(pl.Enum(c.drop_nulls().unique()) if dtype is pl.Enum else dtype) for c in table]
        paths[name] = tmp_path / f"{name}.parquet"
        pl.DataFrame(coded).write_parquet(paths[name])
    run_batch(replace(job, applications=paths["applications"], events=paths["events"]), scorer)
    assert outputs(job)[0] == expected


def test_an_address_is_no_local_path_and_nothing_is_made_for_it(
    bundle: Path, tonight: Path, tmp_path: Path, credit: Credit
) -> None:
    """A path would make of it a folder named `s3:`."""
    inputs = {"--applications": tonight / "applications.csv", "--events": tonight / "events.csv"}
    given = {**inputs, "--out": tonight / "decisions.csv"}
    for option in given:
        words = [word for pair in {**given, option: "ftp://lake/x.csv"}.items() for word in pair]
        done = credit("score", "--bundle", bundle, *words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "ftp://lake/x.csv: this kind of address is not supported" in done.stderr
    log = [word for pair in {**given, "--log": "s3://lake/log"}.items() for word in pair]
    done = credit("score", "--bundle", bundle, *log, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "s3://lake/log: is the address of an object store" in done.stderr
    done = credit("report", bundle, "--out", "gs://lake/report.html", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert not list(tmp_path.glob("*:"))

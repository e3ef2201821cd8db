"""Dates as attributes, and instants in a form that the spec declares: the same bits from all types, at all doors."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.carried import Carried
from features.cells.instants import read_instant
from features.cells.local_instants import declared_instant
from features.dialect import InstantForms
from features.errors import InputError, SpecError
from features.matrix import build_carried, build_features
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.schema import application_schema
from tests.conftest import Credit
from tests.unit.test_spec import MINIMAL
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

TEXT = MINIMAL.replace("spec_version = 1", "spec_version = 2").replace(
    "[attributes.age]",
    '[attributes.opened]\nkind = "date"\nformat = "%d.%m.%Y"\nmissing_tokens = ["1900-01-01", "unknown"]\n'
    "[attributes.age]",
)
AS_OF = "2026-08-31T02:15:00Z"
CELLS: list[tuple[str | None, float | None, str | None]] = [
    ("16.08.1984", 15355, None),
    ("1.9.2025", 364, None),
    ("31.08.2026", 0, None),
    ("2026-08-30", 1, None),
    ("2026-08-30T23:00:00+02:00", 1, None),
    (" 30.08.2026 ", 1, None),
    ("01.09.2026", None, "after_as_of"),
    ("31.12.9999", None, "after_as_of"),
    ("01.01.1900", None, "missing_token"),
    ("unknown", None, "missing_token"),
    ("", None, "missing"),
    (None, None, "missing"),
    ("31.02.2026", None, "unreadable"),
    ("08/16/1984", None, "unreadable"),
    ("16.08.84", None, "unreadable"),
    ("30924", None, "unreadable"),
    ("01.01.0001", None, "out_of_range"),
]
EVENTS = pl.DataFrame({"customer_id": ["C0"], "occurred_at": [AS_OF], "kind": ["payment"], "amount": ["1"]})


def applications(cells: pl.Series, as_of: str = AS_OF) -> pl.DataFrame:
    ids = [f"A{i}" for i in range(len(cells))]
    known = pl.DataFrame({"application_id": ids, "customer_id": ids, "as_of": as_of, "age": "30"})
    return known.with_columns(cells.alias("opened"))


def opened(table: pl.DataFrame, spec: Spec) -> list[float | None]:
    column = build_features(table, EVENTS, spec).matrix[:, 0]
    return [None if np.isnan(value) else float(value) for value in column]


@pytest.mark.parametrize("times", [1, 700])
def test_a_date_is_whole_days_before_as_of_in_files_and_messages(times: int) -> None:
    spec = parse_spec(TEXT)
    cells = pl.Series([cell for cell, _, _ in CELLS] * times, dtype=pl.String)
    table = applications(cells)
    built = build_features(table, EVENTS, spec)
    expected = [days for _, days, _ in CELLS] * times
    assert opened(table, spec) == expected
    causes = [cause for _, _, cause in CELLS if cause] * times
    assert built.dirt.rows() == [("applications", "opened", c, causes.count(c)) for c in sorted(set(causes))]
    texts = {name: table[name].to_list() for name in table.columns}
    nothing: dict[str, list[str | None]] = {name: [] for name in ("occurred_at", "kind", "amount")}
    carried = build_carried(Carried(texts, nothing, [0] * table.height), spec)
    assert carried.matrix[:, 0].tobytes() == built.matrix[:, 0].tobytes()
    assert carried.dirt.rows() == built.dirt.rows()


def test_a_required_date_after_as_of_rejects() -> None:
    spec = parse_spec(TEXT.replace('kind = "date"', 'kind = "date"\nrequired = true'))
    table = applications(pl.Series(["01.09.2026", "31.08.2026"]))
    assert build_features(table, EVENTS, spec).rejects["code"].to_list() == ["attribute_after_as_of"]
    texts = {name: table[name].to_list() for name in table.columns}
    nothing: dict[str, list[str | None]] = {name: [] for name in ("occurred_at", "kind", "amount")}
    assert build_carried(Carried(texts, nothing, [0, 0]), spec).rejects["code"].to_list() == ["attribute_after_as_of"]


DAYS = [date(1984, 8, 16), date(2026, 8, 31), None, date(2026, 9, 1), date(1900, 1, 1)]
NOON = [None if day is None else datetime(day.year, day.month, day.day, 23, 30) for day in DAYS]  # noqa: DTZ001
TYPED = {
    "date": pl.Series(DAYS),
    "datetime": pl.Series(NOON, dtype=pl.Datetime("ns")),
    "datetime in a zone": pl.Series(NOON).dt.replace_time_zone("America/New_York"),
    "categories": pl.Series([None if d is None else f"{d:%d.%m.%Y}" for d in DAYS], dtype=pl.Categorical),
}


@pytest.mark.parametrize("typed", TYPED)
def test_typed_dates_mean_the_day_that_they_show(typed: str) -> None:
    spec, table = parse_spec(TEXT), applications(TYPED[typed])
    assert opened(table, spec) == [15355, 0, None, None, None]
    for message, days in zip(to_messages(table, EVENTS, spec), [15355, 0, None, None, None], strict=True):
        cell = json.loads(message.body)["attributes"]["opened"]
        assert opened(applications(pl.Series([cell], dtype=pl.String)), spec) == [days]


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("%Y%m%d", [19840816, 20260901]),
        ("epoch_days", [5341, 20697]),
        ("epoch_seconds", [461462400, 1788220800]),
        ("sas_days", [8994, 24350]),
        ("excel_days", [30910, 46266]),
    ],
)
def test_numbers_are_dates_where_the_spec_says_what_they_count(form: str, numbers: list[int]) -> None:
    spec = parse_spec(TEXT.replace("%d.%m.%Y", form))
    for dtype in (pl.Int64, pl.Float64, pl.String):
        assert opened(applications(pl.Series(numbers, dtype=pl.Int64).cast(dtype)), spec) == [15355, None]
    with pytest.raises(
        InputError, match=r"'opened' is Int64, expected dates or text of the form %d\.%m\.%Y.*excel_days"
    ):
        build_features(applications(pl.Series(numbers)), EVENTS, parse_spec(TEXT))


WRONG = [
    ('format = "%d.%m.%Y"', 'format = "DD.MM.YYYY"', r"attributes\.opened\.format: expected a form of dates"),
    ('format = "%d.%m.%Y"', 'format = "%d.%m.%y"', r"attributes\.opened\.format: .* two digits.* pivot"),
    ('format = "%d.%m.%Y"', 'format = "%d.%m.%Y"\npivot = 30', r"attributes\.opened\.pivot: only a format with"),
    ("spec_version = 2", "spec_version = 1", r"attributes\.opened\.kind: 'date' came with spec_version 2"),
    ("spec_version = 2", 'spec_version = 2\nas_of_format = "%d/%m"', "as_of_format: expected a form of dates"),
    (
        "spec_version = 2",
        'spec_version = 2\nas_of_format = "%d/%m/%y"',
        "as_of_format: years of two digits are not read",
    ),
    (
        "spec_version = 2",
        'spec_version = 2\nas_of_format = "%d/%m/%Y %H:%M"',
        "as_of_format: .* a time of day and no zone",
    ),
    ("spec_version = 2", 'spec_version = 2\ntime_zone = "Europe/Berlin"', 'time_zone: expected "UTC" or an offset'),
    ("[events]", '[events]\noccurred_at_format = "x"', r"events\.occurred_at_format: expected a form"),
]


@pytest.mark.parametrize(("found", "wrong", "message"), WRONG)
def test_a_declaration_that_is_wrong_names_its_key(found: str, wrong: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(TEXT.replace(found, wrong))


LOCAL = TEXT.replace("spec_version = 2", 'spec_version = 2\nas_of_format = "%d.%m.%Y"\ntime_zone = "+02:00"').replace(
    "[events]", '[events]\noccurred_at_format = "%d.%m.%Y %H:%M"'
)


def test_instants_in_a_declared_form_are_read_in_the_zone_declared_and_iso_still() -> None:
    spec = parse_spec(LOCAL)
    assert spec.instants == InstantForms("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M", 120)
    table = applications(pl.Series(["29.08.2026"] * 2)).with_columns(
        as_of=pl.Series(["31.08.2026", "2026-08-30T22:00:00Z"])
    )
    built = build_features(table, EVENTS.with_columns(occurred_at=pl.lit("30.08.2026 23:59")), spec)
    assert built.applications["as_of"].to_list() == [read_instant("2026-08-30T22:00:00Z")] * 2
    assert built.matrix[:, 0].tolist() == [1, 1]
    late = build_features(
        table.head(1).with_columns(customer_id=pl.lit("C0")),
        EVENTS.with_columns(occurred_at=pl.lit("31.08.2026 00:00")),
        spec,
    )
    early = build_features(
        table.head(1).with_columns(customer_id=pl.lit("C0")),
        EVENTS.with_columns(occurred_at=pl.lit("30.08.2026 23:59")),
        spec,
    )
    assert [late.matrix[0, 2], early.matrix[0, 2]] == [0, 1]
    assert "%d.%m.%Y" in application_schema(spec)["properties"]["as_of"]["description"]


QUICK = ("%d.%m.%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %I:%M:%S %p", "%Y%m%d", "%d%b%Y:%H:%M:%S.%f", "%B %d, %Y")


@pytest.mark.parametrize("form", QUICK)
@given(
    texts=st.lists(
        st.one_of(
            st.datetimes(datetime(1960, 1, 1), datetime(2210, 1, 1)).map(lambda d: ("written", d)),  # noqa: DTZ001
            st.text("0123456789/.: APMJanFeb", max_size=20).map(lambda t: ("any", t)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_quick_is_what_the_definition_says(form: str, texts: list[tuple[str, object]]) -> None:
    cells = [str(t) if kind == "any" else t.strftime(form) for kind, t in texts]  # type: ignore[attr-defined]
    reading = declared_instant("applications", "as_of", pl.String(), InstantForms(as_of=form, utc_offset_minutes=90))
    assert reading.quick is not None
    quick = pl.DataFrame({"as_of": cells}).select(reading.quick.alias("as_of"))
    checked = (
        quick.select(pl.when(reading.check if reading.check is not None else False).then("as_of")).to_series().to_list()
    )
    for cell, value in zip(cells, checked, strict=True):
        assert value is None or value == reading.read(cell), cell


@pytest.fixture(scope="module")
def dated(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame, pl.DataFrame]:
    """A bundle with a date, and its applications and events, all in German forms."""
    folder = tmp_path_factory.mktemp("dated")
    spec_text = dataset.spec_text.replace("spec_version = 1", "spec_version = 2")
    spec_text = spec_text.replace("[events]", '[events]\noccurred_at_format = "%d.%m.%Y %H:%M:%S.%f"')
    declared = 'as_of_format = "%d.%m.%Y"\ntime_zone = "+01:00"\n'
    text = declared + spec_text + '\n[attributes.opened]\nkind = "date"\nformat = "%d.%m.%Y"\n'
    text += '\n[reasons.OPENED]\nof = ["opened"]\nhigh = "Too long ago."\nlow = "Too recent."\nmissing = "No date."\n'
    days = [date(1990, 1, 1) + timedelta(days=37 * i % 14_000) for i in range(dataset.applications.height)]
    day = r"^(\d{4})-(\d\d)-(\d\d)"
    own = dataset.applications.with_columns(
        pl.col("as_of").cast(pl.String).str.replace(day + ".*$", "${3}.${2}.${1}"),
        pl.Series("opened", days).dt.strftime("%d.%m.%Y"),
    )
    at = pl.col("occurred_at").cast(pl.String)
    events = dataset.events.with_columns(
        at.str.replace(day + r"[T ]([0-9:]{8}\.\d+)(?:Z|\+00:00)?$", "${3}.${2}.${1} ${4}")
    )
    assert events["occurred_at"].str.contains(r"^\d\d\.").mean() > 0.5  # type: ignore[operator]
    trained = train(TrainingData(own, events, dataset.labels), parse_spec(text), ModelKind.DECISION_TREE)
    return export(trained, folder), own.head(60), events


@pytest.mark.process
def test_a_date_and_local_forms_give_the_same_bits_at_all_doors(
    dated: tuple[Path, pl.DataFrame, pl.DataFrame], credit: Credit, tmp_path: Path
) -> None:
    bundle, own, events = dated
    own = own.with_columns(
        opened=pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("31.12.2199")).otherwise("opened")
    )
    own.write_csv(tmp_path / "applications.csv")
    events.join(own, on="customer_id", how="semi").write_csv(tmp_path / "events.csv")
    files = ("--applications", tmp_path / "applications.csv", "--events", tmp_path / "events.csv")
    done = credit("verify", "--bundle", bundle, *files, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["agree"]
    assert report["decisions"] > 50

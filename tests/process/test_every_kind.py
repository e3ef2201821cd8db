"""A lender whose tables have every kind of cell as people write it: all doors agree on every bit, in every spelling."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from batch.inputs import read_inputs
from features.cells import KINDS, PLAIN_ROWS
from features.cells.date_forms import date_form
from features.cells.day_counts import COUNTS
from features.dialect import Dialect
from features.matrix import build_features
from features.spec.file import parse_spec
from features.why_missing import marks_of
from model_export.export import export
from receipts.log.read import frames
from recipes.dataset import Dataset
from scoring.decisions import as_frame
from scoring.message import MessageDecoder, to_messages
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import some_receipts, write_log
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train
from verify.doors import Question
from verify.run import verify

FORMS = (
    *("iso", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %I:%M:%S %p", "%b-%Y", "%m/%Y", "%Y%m%d", "%d%b%Y"),
    *("%d%b%Y:%H:%M:%S", "%d.%m.%y", "%Y-%m-%dT%H:%M:%S%z", "excel_days"),
    *("epoch_days", "epoch_seconds", "epoch_milliseconds", "sas_days", "sas_seconds"),
)
DATES = {f"date {i}": form for i, form in enumerate(FORMS)}
PIVOT = 30
SPEC_TEXT = """
spec_version = 2
name = "every kind"
classes = ["bad", "good"]
decimal = ","
[currency]
code = "EUR"
minor_digits = 2
[missing]
tokens = ["n/a"]
[attributes.rate]
kind = "percent"
[attributes.income]
kind = "money"
[attributes.score]
kind = "number"
decimal = "."
[attributes.count]
kind = "integer"
[attributes.term]
kind = "duration"
[attributes.job]
kind = "duration"
unit = "years"
[attributes.owner]
kind = "boolean"
[attributes.past_default]
kind = "category"
values = ["0", "1"]
[attributes.band]
kind = "category"
ordered = true
values = ["735-739", "740-744", "5001+"]
[attributes.loans]
kind = "list"
values = ["car", "home"]
[attributes.bureau]
kind = "integer"
range = [300, 850]
missing_tokens = ["-9", "-8"]
DATES[attributes.note]
kind = "text"
[events]
kinds = ["payment"]
[rfm.payments]
kinds = ["payment"]
windows_days = [90]
monetary = ["sum"]
[policy.costs]
bad = { bad = 0, good = 5 }
good = { bad = 1, good = 0 }
[score]
base_score = 600
base_odds = 2
points_to_double_odds = 50
"""
NAMES = ("rate", "income", "score", "count", "term", "job", "owner", "past_default", "band", "loans", "bureau", *DATES)
REASONS = "".join(
    f'[reasons.R{i}]\nof = ["{name}"]\nhigh = "high {name}"\nlow = "low {name}"\nmissing = "no {name}"\n'
    f'unusable = "useless {name}"\n'
    for i, name in enumerate([*NAMES, "payments"])
).replace('"useless bureau"\n', '"useless bureau"\ncodes."-9" = "nine"\ncodes."-8" = "eight"\n')
SPEC = parse_spec(
    SPEC_TEXT.replace(
        "DATES",
        "".join(
            f'[attributes."{name}"]\nkind = "date"\nformat = "{form}"\n' + f"pivot = {PIVOT}\n" * form.endswith("%y")
            for name, form in DATES.items()
        ),
    )
    + REASONS
)
ROWS = 400
UNKNOWN_SCORES = ("", "12", "851,5", "-9", " -8,0", "-9")
NOTHING = dict.fromkeys(("", "n/a", "12+?"))  # "12+?": what no kind reads, and no typed column can hold


def comma(number: float, decimals: int = 2) -> str:
    """Write a number as people in many countries do."""
    return f"{number:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def as_people_write(rows: int = ROWS) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return applications, events and labels; of twelve cells one is empty or "n/a", one is of no use.

    Of `bureau` three in ten are empty, of no use or a code, and most of these came out bad.
    """
    luck = np.random.default_rng(3)
    known = luck.random(rows) < 0.7
    bad, number = luck.random(rows) < np.where(known, 0.3, 0.95), luck.random((rows, 8))
    days = (7000 + 12000 * number[:, 3]).astype(int).tolist()
    income = [round(1000 + 90_000 * x, 2) * (-1 if x < 0.05 else 1) for x in number[:, 1]]
    columns: dict[str, list[str]] = {
        "rate": [
            f"{comma(5 + 20 * x + 5 * b)}{'%' if x < 0.5 else ' %'}" for x, b in zip(number[:, 0], bad, strict=True)
        ],
        "income": [f"(€{comma(-x)})" if x < 0 else f"€{comma(x)}" for x in income],
        "score": [f"{1000 * x:,.1f}" for x in number[:, 2]],
        "count": [str(int(5 * x)) for x in number[:, 3]],
        "term": ["36 months" if x < 0.5 else " 60 months" for x in number[:, 4]],
        "job": ["< 1 year" if x < 0.1 else "10+ years" if x > 0.8 else f"{int(10 * x)} years" for x in number[:, 5]],
        "owner": ["Y" if x < 0.5 else "N" for x in number[:, 6]],
        "past_default": ["1,0" if b == (x < 0.8) else "0,0" for b, x in zip(bad, number[:, 7], strict=True)],
        "band": [("735-739", "740-744", "5001+")[int(3 * x)] for x in number[:, 0]],
        "loans": [("car", "home", "car, and home")[int(3 * x)] for x in number[:, 1]],
        "bureau": [
            str(int(300 + 550 * x)) if k else luck.choice(UNKNOWN_SCORES)
            for k, x in zip(known, number[:, 2], strict=True)
        ],
        **{name: [date_form(form, PIVOT).write(day) for day in days] for name, form in DATES.items()},
        "note": ["as it is"] * rows,
    }
    dirty = {
        name: [
            ("n/a" if i % 24 else "") if (i + place) % 12 == 0 else "12+?" if (i + place) % 12 == 1 else cell
            for i, cell in enumerate(cells)
        ]
        for place, (name, cells) in enumerate(columns.items())
    }
    ids = {"application_id": [f"A{i}" for i in range(rows)], "customer_id": [f"C{i}" for i in range(rows)]}
    applications = pl.DataFrame({**ids, "as_of": ["2026-01-31"] * rows, **dirty})
    moved = {"occurred_at": ["2026-01-01"] * rows, "kind": ["payment"] * rows}
    amounts = [comma(-100 * x) for x in number[:, 4]]
    events = pl.DataFrame({"customer_id": ids["customer_id"], **moved, "amount": amounts})
    labels = {"application_id": ids["application_id"], "credit_class": ["bad" if b else "good" for b in bad]}
    return applications, events, pl.DataFrame(labels)


def as_programs_write(applications: pl.DataFrame) -> pl.DataFrame:
    """Return the same applications with typed columns where there is a type."""
    text = {name: applications[name].replace(NOTHING) for name in applications.columns}
    plain = {name: text[name].str.replace_all(r"[€%(). ]", "").str.replace(",", ".") for name in ("rate", "income")}
    negative = text["income"].str.starts_with("(")
    income = pl.Series(
        [None if a is None else Decimal(a) * (-1 if b else 1) for a, b in zip(plain["income"], negative, strict=True)]
    )
    job = text["job"].replace({"< 1 year": "0", "10+ years": "10"}).str.extract("([0-9]+)").cast(pl.Int16)
    return applications.with_columns(
        plain["rate"].cast(pl.Float64),
        income.cast(pl.Decimal(18, 2)).alias("income"),
        text["score"].str.replace_all(",", "").cast(pl.Float64),
        text["count"].cast(pl.Float32),
        text["term"].str.extract("([0-9]+)").cast(pl.Int64),
        job.alias("job"),
        (text["owner"] == "Y").alias("owner"),
        text["past_default"].str.head(1).cast(pl.Float64),
        text["band"].cast(pl.Categorical),
        text["bureau"].str.strip_chars().str.replace(",", ".").cast(pl.Float64),
        *[text[name].cast(pl.Int64) for name, form in DATES.items() if form in COUNTS],
        text["date 0"].str.to_date(),
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = train(TrainingData(*as_people_write()), SPEC, ModelKind.DECISION_TREE)
    return export(trained, tmp_path_factory.mktemp("bundles"))


def test_every_kind_is_there() -> None:
    assert {attribute.kind for attribute in SPEC.attributes} == {*KINDS}


def test_typed_columns_and_what_people_write_are_the_same_bits() -> None:
    applications, events, _ = as_people_write()
    people, programs = (
        build_features(table, events, SPEC) for table in (applications, as_programs_write(applications))
    )
    assert people.matrix.tobytes() == programs.matrix.tobytes()
    usable = np.isfinite(people.matrix).mean(axis=0)
    assert np.sort(usable)[:1] > 0.5, "of `bureau` four in ten are missing"
    assert np.sort(usable)[1] > 0.8, "of others two cells in twelve, and no other"


@pytest.mark.process
@pytest.mark.parametrize("form", ["csv", "parquet", "csv.gz", "month=2026-01"])
def test_all_doors_agree_on_every_bit(bundle: Path, form: str, tmp_path: Path) -> None:
    applications, events, _ = as_people_write(60)
    own, account = tmp_path / f"applications.{form}", tmp_path / "events.csv"
    if form == "csv":
        applications.write_csv(own)
    elif form == "csv.gz":  # as Excel of another country writes it
        own.write_bytes(gzip.compress(applications.write_csv(separator=";").encode("cp1252")))
        account.write_bytes(events.write_csv(separator=";").encode("cp1252"))
    elif form == "parquet":
        as_programs_write(applications).write_parquet(own)
    else:
        own = tmp_path / "applications"
        (own / form).mkdir(parents=True)
        as_programs_write(applications).write_parquet(own / form / "part-00000.parquet")
    dialect = Dialect(separator=";", encoding="cp1252") if form == "csv.gz" else None
    if dialect is None:
        events.write_csv(account)
    report = verify(Question(bundle=bundle, applications=own, events=account, dialect=dialect))
    assert report.agree
    assert report.decisions == 60
    assert {c.door for c in report.comparisons} == {"stream", "FastAPI", "Flask"}


@pytest.mark.parametrize("spelled", ["0/1", "0.0/1.0", "FALSE/TRUE", "Float64", "Int64", "Boolean"])
@pytest.mark.slow
def test_a_flag_written_otherwise_tonight_is_the_same_bits(bundle: Path, spelled: str, tmp_path: Path) -> None:
    """The table of shared/cases/flags, invented again: trained as 0,0 and 1,0."""
    applications, events, _ = as_people_write(60)
    flags = applications["past_default"].replace(NOTHING).str.head(1).cast(pl.Int64)
    written = {"0/1": ("0", "1"), "0.0/1.0": ("0,0", "1,00"), "FALSE/TRUE": ("FALSE", "true")}
    tonight = (
        flags.cast(getattr(pl, spelled))
        if spelled not in written
        else flags.replace_strict({0: written[spelled][0], 1: written[spelled][1]}, default=None)
    )
    scorer = Scorer.open(bundle)
    applications = applications.with_columns(pl.col("past_default").replace("12+?", ""))
    applications.with_columns(tonight.alias("past_default")).write_parquet(tmp_path / "applications.parquet")
    events.write_parquet(tmp_path / "events.parquet")
    read = read_inputs(tmp_path / "applications.parquet", tmp_path / "events.parquet", SPEC)
    assert scorer.score(*read).decisions.equals(scorer.score(applications, events).decisions)


WORDS = {
    "": "no bureau",
    "n/a": "no bureau",
    "-9": "nine",
    " -9,00": "nine",
    "-8": "eight",
    "12": "useless bureau",
    "abc": "useless bureau",
    "700,5": "useless bureau",
    "1e400": "useless bureau",
}


def with_bureaus(cells: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One application over and over, each time with another bureau score, and the events."""
    applications, events, _ = as_people_write(1)
    ids = pl.Series([f"A{i}" for i in range(len(cells))])
    many = pl.concat([applications] * len(cells))
    return many.with_columns(bureau=pl.Series(cells), application_id=ids, customer_id=pl.lit("C0")), events


def test_a_value_that_is_of_no_use_is_not_told_as_one_that_was_not_given(bundle: Path) -> None:
    """In bulk, in a few rows and as messages alike; whatever the cell, the model sees the same missing value."""
    scorer = Scorer.open(bundle)
    cells = [cell for cell in WORDS for _ in range(100)]
    many, events = with_bureaus(cells)
    assert len(cells) > PLAIN_ROWS
    bulk = scorer.score(many, events)
    few = [scorer.score(many[i : i + 1], events).decisions for i in range(0, len(cells), 100)]
    messages = [message.body for message in to_messages(many[::100], events, SPEC)]
    carried, _ = scorer.decide_carried(MessageDecoder(SPEC).decode(messages).carried)
    assert pl.concat(few).equals(bulk.decisions[::100])
    assert as_frame(carried).equals(bulk.decisions[::100])
    told = [
        {r["text"] for r in row if "bureau" in r["text"] or r["text"] in ("nine", "eight")}
        for row in bulk.decisions["reasons"]
    ]
    assert told[::100] == [{words} for words in WORDS.values()]
    assert bulk.decisions["p_bad"].n_unique() == 1


def test_a_replay_of_feature_rows_keeps_why_a_value_is_missing(bundle: Path, tmp_path: Path, credit: Credit) -> None:
    scorer = Scorer.open(bundle)
    applications, events = with_bureaus([*WORDS])
    given = Dataset(applications=applications, events=events, labels=pl.DataFrame(), spec_text="")
    receipts = some_receipts(scorer, given, len(WORDS))
    write_log(tmp_path / "log", [receipts])
    done = credit("replay", tmp_path / "log", "--bundles", bundle.parent, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["from_features"], report["different"]) == (0, len(WORDS), 0)
    (kept,) = frames(tmp_path / "log", columns=receipts.columns)
    told = [{r["text"] for r in row if r["text"] in WORDS.values()} for row in kept["reasons"]]
    assert told == [{words} for words in WORDS.values()]
    marks = marks_of(kept["feature:bureau"].to_numpy())
    assert len(set(zip(marks.tolist(), WORDS.values(), strict=True))) == len(set(marks.tolist())) == 4

    blank = pl.Series("feature:bureau", np.full(len(WORDS), np.nan, np.float32))  # the marks are lost
    write_log(tmp_path / "other", [receipts.with_columns(blank)])
    done = credit("replay", tmp_path / "other", "--bundles", bundle.parent, "--json")
    assert done.returncode == 7
    assert json.loads(done.stdout)["by_column"]["reasons"] == sum(words != "no bureau" for words in WORDS.values())

"""Faults that strangers' files once showed, line by line: what is right is what these tests say.

The tables are invented; where a folder `cases` beside the checkout holds those of the README, they are read as well.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch.job import BatchJob
from features.draft import Draft, Tables, draft_spec
from features.errors import SpecError
from features.matrix import build_features
from features.spec.contract import Attribute, Spec
from features.spec.file import parse_spec
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.strangers import (
    NO_EVENTS,
    cells_of,
    drafted,
    given,
    invented_flags,
    invented_own_data,
    labels_of,
    said_of,
    table_of,
    trained,
)

WHERE = pytest.mark.parametrize("where", ["invented", "given"])


# own-data


@dataclass(frozen=True)
class OwnData:
    """The table of applications as text, its labels, and what is drafted of them."""

    table: pl.DataFrame
    labels: pl.DataFrame

    @property
    def draft(self) -> Draft:
        return drafted(self.table, self.labels)[0]

    @property
    def spec(self) -> Spec:
        return parse_spec(self.draft.text)

    def found(self, column: str) -> Attribute:
        return next(attribute for attribute in self.spec.attributes if attribute.name == column)


@pytest.fixture(scope="module", params=["invented", "given"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OwnData:
    if request.param == "given":
        folder = given("own-data")
    else:
        folder = tmp_path_factory.mktemp("own-data")
        for name, frame in zip(("applications", "labels"), invented_own_data(), strict=True):
            frame.write_csv(folder / f"{name}.csv")
    return OwnData(*(pl.read_csv(folder / f"{name}.csv", infer_schema=False) for name in ("applications", "labels")))


def first_number(cell: str) -> float:
    return float("".join(c for c in cell if c.isdigit() or c == "."))


@pytest.mark.parametrize(
    ("column", "kind"),
    [("rate", "percent"), ("income", "number"), ("months", "duration"), ("job_years", "duration")],
)
def test_own_data_rate_income_months_job_years_are_usable_quantities(own: OwnData, column: str, kind: str) -> None:
    assert own.found(column).kind == kind
    cells = own.table[column].to_list()
    meant = [None if c in (None, "n/a") else 0.0 if "<" in c else first_number(c) for c in cells]
    seen = cells_of(own.table.select("application_id", "customer_id", "as_of", column), only(own, column), column)
    known = [(m, s) for m, s in zip(meant, seen, strict=True) if m is not None]
    assert [s for _, s in known] == pytest.approx([m for m, _ in known])
    assert len(known) > 0.8 * len(cells)


def only(own: OwnData, column: str) -> Spec:
    """The spec that is drafted of one column."""
    table = own.table.select("application_id", "customer_id", "as_of", column)
    return parse_spec(drafted(table, own.labels)[0].text)


def test_own_data_score_band_is_an_ordered_attribute(own: OwnData) -> None:
    band = own.found("score_band")
    assert (band.kind, band.ordered) == ("category", True)
    lows = [int(value.split("-")[0]) for value in band.values]
    assert lows == sorted(lows)
    assert set(band.values) == set(own.table["score_band"].drop_nulls())


def test_own_data_opened_is_a_date(own: OwnData) -> None:
    assert own.found("opened").kind == "date"
    days = cells_of(own.table, only(own, "opened"), "opened")
    assert np.isfinite(days).sum() == own.table["opened"].drop_nulls().len()


def test_own_data_born_is_drafted_out_as_age_with_the_lines_that_take_it_in(own: OwnData) -> None:
    assert "left out (its lines are in the draft, commented out): is or stands for age" in said_of(own.draft, "born")
    lines = own.draft.text.splitlines()
    start = lines.index('# [attributes."born"]')
    block = lines[start : lines.index("", start)]
    taken_in = "\n".join([*lines[:start], *(line.removeprefix("# ") for line in block), *lines[start + len(block) :]])
    assert next(a for a in parse_spec(taken_in).attributes if a.name == "born").kind == "date"


def test_own_data_zip5_is_no_quantity(own: OwnData) -> None:
    assert "zip5" not in {attribute.name for attribute in own.spec.attributes}
    assert "is a code" in said_of(own.draft, "zip5")


@pytest.mark.parametrize("column", ["late_amount", "late_count"])
def test_own_data_late_amount_and_late_count_lose_no_value_up_to_their_largest(own: OwnData, column: str) -> None:
    seen = cells_of(own.table.select("application_id", "customer_id", "as_of", column), only(own, column), column)
    assert seen == own.table[column].cast(pl.Float64).to_list()
    assert own.found(column).missing_tokens == ()


def test_own_data_flag_f_is_one_flag(own: OwnData) -> None:
    assert own.found("flag_f").kind == "boolean"
    assert set(cells_of(own.table, only(own, "flag_f"), "flag_f")) == {0.0, 1.0}


def test_own_data_label_1_is_taken_as_the_worse_class_and_said(own: OwnData) -> None:
    assert own.spec.classes == ("1", "0")
    assert own.draft.looks[0].startswith("classes: 1 is taken as the worst and 0 as the best, 1 is the rarer one")


def test_own_data_no_cell_is_lost_that_is_not_missing(own: OwnData) -> None:
    dirt = build_features(own.table, NO_EVENTS, own.spec).dirt
    assert dirt.filter(~pl.col("cause").is_in(["missing", "missing_token"])).is_empty()


@pytest.mark.slow
@WHERE
def test_own_data_needs_no_events(where: str, tmp_path: Path, credit: Credit) -> None:
    if where == "given":
        for name in ("applications", "labels"):
            (tmp_path / f"{name}.csv").write_bytes((given("own-data") / f"{name}.csv").read_bytes())
    else:
        for name, frame in zip(("applications", "labels"), invented_own_data(), strict=True):
            frame.write_csv(tmp_path / f"{name}.csv")
    bundle = trained(tmp_path, credit)
    out = tmp_path / "decisions.csv"
    done = credit("score", "--bundle", bundle, "--applications", tmp_path / "applications.csv", "--out", out)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(out).height == pl.read_csv(tmp_path / "applications.csv").height


# flags


@pytest.fixture(scope="module", params=["invented", "given"])
def flags(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, credit: Credit) -> tuple[str, Path]:
    """A bundle of the flag as 0.0 and 1.0, and the folder with the same table in three spellings."""
    folder = tmp_path_factory.mktemp("flags")
    if request.param == "given":
        for path in given("flags").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "events.csv").unlink()
    else:
        table, labels = invented_flags()
        table.write_csv(folder / "applications.csv")
        table.write_parquet(folder / "applications_float.parquet")
        table.with_columns(pl.col("past_default").cast(pl.Int64)).write_csv(folder / "tonight.csv")
        labels.write_csv(folder / "labels.csv")
    return trained(folder, credit), folder


@pytest.mark.slow
def test_flags_the_same_bits_from_all_three_tables(flags: tuple[str, Path], tmp_path: Path, credit: Credit) -> None:
    bundle, folder = flags
    made = []
    for name in ("applications.csv", "tonight.csv", "applications_float.parquet"):
        done = credit("score", "--bundle", bundle, "--applications", folder / name, "--out", tmp_path / "d.csv")
        assert done.returncode == 0, done.stderr
        made.append(pl.read_csv(tmp_path / "d.csv", infer_schema=False).drop("decision_id"))
    for other in made[1:]:  # tonight's table may have fewer rows; none of them changes otherwise
        assert other.height > 200
        assert made[0].join(other, on="application_id", how="semi").equals(other)
    assert made[0]["credit_class"].n_unique() == 2, "the flag decides"


@pytest.mark.slow
def test_flags_a_column_that_no_cell_fits_is_never_silent(
    flags: tuple[str, Path], tmp_path: Path, credit: Credit
) -> None:
    bundle, folder = flags
    table = pl.read_csv(folder / "tonight.csv", infer_schema=False)
    table.with_columns(past_default=pl.lit("perhaps"), noise=pl.lit("?!")).write_csv(tmp_path / "tonight.csv")
    tonight = ("--bundle", bundle, "--applications", tmp_path / "tonight.csv")
    done = credit("score", *tonight, "--out", tmp_path / "d.csv")
    assert done.returncode == 3
    assert "column 'past_default': 0.0% of its cells are usable" in done.stderr
    assert not (tmp_path / "d.csv").exists()
    allowed = ("--allow-degraded", "past_default", "--allow-degraded", "noise")
    done = credit("score", *tonight, "--out", tmp_path / "d.csv", *allowed)
    assert done.returncode == 0
    for column in ("past_default", "noise"):
        assert f"column '{column}'" in done.stderr
        assert any(f"'{column}'" in note for note in json.loads((tmp_path / "d.run.json").read_text())["notes"])


# events

ID = pl.col("customer_id")
LATER = [pl.lit("2031-01-01").alias("occurred_at"), pl.lit("").alias("recorded_at")]
EARLIER = [pl.lit("2011-01-01").alias("occurred_at"), pl.lit("").alias("recorded_at")]
BARE = ID.str.slice(3).str.strip_chars_start("0")  # of ids such as C7-0000042


LOST = {  # how the applications and the events are written, and what is said of it
    "customer_id 1001.0 for 1001": ([BARE.alias("customer_id")], [(BARE + ".0").alias("customer_id")], "suffix .0"),
    "lost leading zeros": ([ID.str.slice(3)], [BARE.alias("customer_id")], "leading zeros"),
    "other case": ([], [ID.str.to_lowercase()], "upper and lower case"),
    "another day's file": ([], EARLIER, "the events file of another day?"),
    "all events after as_of": ([], LATER, "All events are after the applications"),
}


@pytest.mark.parametrize("case", LOST)
def test_events_that_match_nobody_end_the_night_and_say_why(
    case: str, job: BatchJob, bundle: Path, credit: Credit
) -> None:
    applications, events, said = LOST[case]
    assert job.events is not None
    for path, changes in ((job.applications, applications), (job.events, events)):
        pl.read_csv(path, infer_schema=False).with_columns(changes).write_csv(path)
    done = credit(
        *("score", "--bundle", bundle, "--applications", job.applications, "--events", job.events, "--out", job.out)
    )
    assert done.returncode == 3
    assert said in " ".join(done.stderr.split())
    assert not job.out.exists()


def test_events_of_one_part_file_of_ten_that_is_missing_are_said(
    job: BatchJob, bundle: Path, tmp_path: Path, credit: Credit
) -> None:
    """A night of 200 customers: two of ten parts are lost, as one alone is within chance."""
    assert job.events is not None
    events = pl.read_csv(job.events, infer_schema=False).sort("customer_id")
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(events.iter_slices(-(-events.height // 10))):
        if number not in (3, 4):
            part.write_csv(tmp_path / f"parts/part-{number}.csv")
    files = ("--applications", job.applications, "--events", tmp_path / "parts", "--out", job.out)
    done = credit("score", "--bundle", bundle, *files)
    assert done.returncode == 0, done.stderr
    assert "have a usable event" in done.stderr
    refused = credit("score", "--bundle", bundle, *files, "--min-matched", "0.9")
    assert refused.returncode == 3


# special codes


def with_codes(rest: Any, *codes: int) -> list[int]:
    return [*np.asarray(rest).tolist(), *[code for code in codes for _ in range(8)]]


LUCK = np.random.default_rng(16)
INCOME = LUCK.integers(1000, 9000, 200)
CODED = {
    "bureau score": (with_codes(LUCK.integers(300, 850, 376), -9, -8, -7), ("-7", "-8", "-9")),
    "count": (with_codes(LUCK.poisson(0.3, 384), 96, 98), ("96", "98")),
    "days": (with_codes(-LUCK.integers(1, 17_000, 392), 365243), ("365243",)),
}


@pytest.mark.parametrize("name", CODED)
def test_special_codes_are_missing_tokens_with_words_of_their_own_and_no_quantity(name: str) -> None:
    cells, codes = CODED[name]
    table = table_of(len(cells), **{name: cells})
    draft, found = drafted(table)
    assert tuple(sorted(found[name].missing_tokens)) == codes
    for code in codes:
        assert f"{int(code):,} is taken as a special code, which becomes missing: 8 cells" in said_of(draft, name)
    spec = parse_spec(draft.text)
    (reason,) = spec.reasons
    words = {reason.texts.missing, reason.texts.unusable, *(text for _, text in reason.texts.codes)}
    assert len(words) == 2 + len(codes)
    seen = cells_of(table, spec, name)
    assert seen[: 400 - 8 * len(codes)] == cells[: 400 - 8 * len(codes)]
    assert np.isnan(seen[400 - 8 * len(codes) :]).all()


# columns


def test_a_column_that_copies_the_label_is_warned_of_by_draft_and_train(tmp_path: Path, credit: Credit) -> None:
    table, labels = invented_flags()
    copied = labels["credit_class"].replace({"bad": "arrears", "good": "none"})
    table.with_columns(copied.alias("outcome")).write_csv(tmp_path / "applications.csv")
    labels.write_csv(tmp_path / "labels.csv")
    files = ("--applications", tmp_path / "applications.csv", "--labels", tmp_path / "labels.csv")
    done = credit("spec", "draft", *files, "--out", tmp_path / "spec.toml")
    assert "outcome: tells the class by itself" in " ".join(done.stdout.split())
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, "a warning, never a refusal"
    assert "outcome" in done.stderr
    assert "by itself" in done.stderr


@pytest.mark.parametrize(
    ("column", "cells"),
    [("foreign_worker", ["yes", "no"]), ("age", [*range(20, 70)]), ("sex", ["male", "female"])],
)
def test_foreign_worker_age_and_sex_are_drafted_out_with_the_reason(column: str, cells: list[Any]) -> None:
    table = table_of(200, **{column: [cells[i % len(cells)] for i in range(200)], "income": INCOME})
    draft, found = drafted(table)
    assert set(found) == {"income"}
    assert "by which many laws forbid to decide on credit" in said_of(draft, column)
    assert f'# [attributes."{column}"]' in draft.text


def test_a_column_named_amount_works() -> None:
    table = table_of(200, amount=[f"{100 + 3 * i}.50" for i in range(200)])
    events = pl.DataFrame(
        {"customer_id": table["customer_id"], "occurred_at": "2023-12-01", "kind": "card", "amount": "7.00"}
    )
    spec = parse_spec(draft_spec(Tables.of(table, events)).text)
    features = build_features(table, events, spec)
    assert features.matrix[:, 0].tolist() == [100.5 + 3 * i for i in range(200)]
    assert features.matches.matched_applications == 200


@pytest.mark.slow
def test_a_thousand_columns_are_drafted_and_read() -> None:
    columns = {f"c{i}": LUCK.integers(0, 50, 40) for i in range(1000)}
    table = table_of(40, **columns)
    spec = parse_spec(draft_spec(Tables.of(table)).text)
    assert len(spec.attributes) == 1000
    features = build_features(table, NO_EVENTS, spec)
    assert features.dirt.is_empty()
    assert features.matrix.tolist() == np.column_stack(list(columns.values())).tolist()


@pytest.mark.parametrize(
    ("worst", "best"),
    [
        ("late", "fully_paid"),
        ("written_off", "repaid"),
        ("default", "current"),
        ("poor", "good"),
        ("refused", "approved"),
    ],
)
def test_class_words_say_which_one_is_worse(worst: str, best: str) -> None:
    table = table_of(200, income=INCOME)
    for classes in ([worst, best, best], [best, worst, worst]):
        draft, _ = drafted(table, labels_of(table, (classes * 67)[:200]))
        assert parse_spec(draft.text).classes == (worst, best)


def test_letters_a_to_d_are_asked_with_both_orders() -> None:
    table = table_of(200, income=INCOME)
    draft = draft_spec(Tables.of(table, None, labels_of(table, ["A", "B", "C", "D"] * 50)))
    with pytest.raises(SpecError) as refused:
        parse_spec(draft.text)
    for order in ('classes = ["A", "B", "C", "D"]', 'classes = ["D", "C", "B", "A"]'):
        assert order in str(refused.value)
        assert order in draft.looks[0]


# letters


@pytest.mark.slow
def test_an_account_without_household_payments_is_not_told_that_they_are_too_high(
    tmp_path: Path, credit: Credit
) -> None:
    """Outflows are negative, so 0 lies above the median; those without any come out bad, so they are told why."""
    rows = 600
    table = table_of(rows, income=LUCK.lognormal(8, 0.3, rows).round(2))
    without = np.arange(rows) % 4 == 0
    pays = table.filter(pl.Series(~without))["customer_id"].to_list()
    events = pl.DataFrame(
        {
            "customer_id": pays * 4,
            "occurred_at": [day for day in ("2023-11-05", "2023-12-05", "2023-12-15", "2023-12-25") for _ in pays],
            "kind": "household payment",
            "amount": [f"-{amount:.2f}" for amount in LUCK.uniform(200, 900, 4 * len(pays))],
        }
    )
    bad = LUCK.random(rows) < np.where(without, 0.9, 0.1)
    for name, frame in (("applications", table), ("events", events), ("labels", labels_of(table, bad.astype(int)))):
        frame.write_csv(tmp_path / f"{name}.csv")
    files = ("--applications", tmp_path / "applications.csv", "--events", tmp_path / "events.csv")
    labels = ("--labels", tmp_path / "labels.csv")
    assert credit("spec", "draft", *files, *labels, "--out", tmp_path / "spec.toml").returncode == 0
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    scorer = Scorer.open(Path(done.stdout.splitlines()[-1]))
    decisions = scorer.score(table.filter(pl.Series(without)), events).decisions.filter(credit_class="1")
    assert decisions.height > 50
    texts = set(decisions["reasons"].explode().struct.field("text"))
    told = {text for text in texts if "household" in text}
    assert told
    assert not any("too high" in text for text in texts)
    assert not any("more went out" in text or "frequent" in text for text in told), told

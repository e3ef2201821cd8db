"""From canonical tables to the feature matrix: what is rejected, what becomes missing, and that it is all counted."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InputError
from features.matrix import build_features, list_features
from features.rejects import EXPECTED
from features.spec.contract import Spec
from features.spec.file import parse_spec
from recipes.dataset import SPECS
from scoring.decisions import decision_schema

TEXT = (SPECS / "synthetic.toml").read_text()
SPEC = parse_spec(TEXT)
STRICT = parse_spec(TEXT.replace("range = [0, 600]", "range = [0, 600]\nrequired = true"))
GOOD = {
    "application_id": "A1",
    "customer_id": "C1",
    "as_of": "2025-06-30T12:00:00Z",
    "months_employed": "41",
    "annual_income": "30000.50",
    "occupation": "nurse",
    "credit_history": "10 Years and 3 Months",
    "credit_utilisation": "12.5",
    "credit_enquiries": "2",
    "credit_mix": "Good",
    "outstanding_debt": "1.00E+03",
    "loans": "mortgage, and car loan",
}
EVENT = {"customer_id": "C1", "occurred_at": "2025-06-01", "kind": "salary", "amount": "2500.00"}


def applications(*changes: dict[str, str | None]) -> pl.DataFrame:
    rows = [{**GOOD, "application_id": f"A{i}", **change} for i, change in enumerate(changes)]
    return pl.DataFrame(rows, schema=dict.fromkeys(GOOD, pl.String))


def events(*changes: dict[str, str | None]) -> pl.DataFrame:
    columns = (*EVENT, "recorded_at")
    return pl.DataFrame(
        [{"recorded_at": None, **EVENT, **c} for c in changes], schema=dict.fromkeys(columns, pl.String)
    )


def test_a_clean_application_becomes_a_named_row() -> None:
    table = build_features(applications({}), events({}), SPEC)
    row = dict(zip((f.name for f in list_features(SPEC)), table.matrix[0].tolist(), strict=True))
    assert table.matrix.dtype == np.float32
    assert row["annual_income"] == 30000.5
    assert row["credit_history"] == 123
    assert row["credit_mix"] == 2
    assert row["occupation=nurse"] == 1
    assert row["occupation=clerk"] == 0
    assert row["loans=mortgage"] == row["loans=car loan"] == 1
    assert row["outstanding_debt"] == 1000
    assert row["income_days_since_last_365d"] == 29
    assert table.rejects.is_empty()


REJECTED: list[tuple[dict[str, str | None], str]] = [
    ({"application_id": None}, "application_id_missing"),
    ({"application_id": " "}, "application_id_missing"),
    ({"application_id": "A\n1"}, "application_id_unusable"),
    ({"application_id": "A" * 257}, "application_id_unusable"),
    ({"customer_id": ""}, "customer_id_missing"),
    ({"customer_id": "C\x01"}, "customer_id_unusable"),
    ({"as_of": None}, "as_of_missing"),
    ({"as_of": "yesterday"}, "as_of_unreadable"),
    ({"as_of": "2025-02-30"}, "as_of_unreadable"),
    ({"as_of": "1969-12-31"}, "as_of_out_of_range"),
    ({"months_employed": None}, "attribute_missing"),
    ({"months_employed": "_______"}, "attribute_missing_token"),
    ({"months_employed": "old"}, "attribute_unreadable"),
    ({"months_employed": "-500"}, "attribute_out_of_range"),
    ({"months_employed": "41.5"}, "attribute_not_a_whole_number"),
    ({"months_employed": "1e400"}, "attribute_not_finite"),
]


@pytest.mark.parametrize(("change", "code"), REJECTED, ids=[f"{next(iter(c))}-{code}" for c, code in REJECTED])
def test_an_unusable_application_is_rejected_with_code_and_position(change: dict[str, str | None], code: str) -> None:
    table = build_features(applications({}, change, {}), events({}), STRICT)
    assert table.applications["|row"].to_list() == [1, 3]
    (reject,) = table.rejects.to_dicts()
    assert (reject["table"], reject["row"], reject["code"]) == ("applications", 2, code)
    assert reject["column"] == next(iter(change))
    assert reject["expected"] == EXPECTED[code]


UNUSABLE_EVENTS: list[tuple[dict[str, str | None], str]] = [
    ({"kind": "gift"}, "event_kind_unknown_category"),
    ({"kind": None}, "event_kind_missing"),
    ({"occurred_at": "soon"}, "event_occurred_at_unreadable"),
    ({"occurred_at": None}, "event_occurred_at_missing"),
    ({"occurred_at": "2300-01-01"}, "event_occurred_at_out_of_range"),
    ({"recorded_at": "soon"}, "event_recorded_at_unreadable"),
    ({"recorded_at": "1900-01-01"}, "event_recorded_at_out_of_range"),
    ({"amount": None}, "event_amount_missing"),
    ({"amount": "ten"}, "event_amount_unreadable"),
    ({"amount": "NaN"}, "event_amount_not_finite"),
    ({"amount": "0.001"}, "event_amount_too_many_decimals"),
    ({"amount": "1e20"}, "event_amount_out_of_range"),
]


@pytest.mark.parametrize(("change", "code"), UNUSABLE_EVENTS, ids=[code for _, code in UNUSABLE_EVENTS])
def test_an_unusable_event_rejects_every_application_of_its_customer(change: dict[str, str | None], code: str) -> None:
    bad = {"customer_id": "C2", **change}
    some = applications({}, {"customer_id": "C2"}, {"customer_id": "C2"})
    table = build_features(some, events({}, bad, {**bad, "amount": "x"}), SPEC)
    assert table.applications["application_id"].to_list() == ["A0"]
    assert table.rejects["row"].to_list() == [2, 3]
    assert set(table.rejects["code"]) == {code}
    assert set(table.rejects["event_row"]) == {2}


def test_every_reject_code_but_repeats_was_seen_above() -> None:
    seen = {code for _, code in (*REJECTED, *UNUSABLE_EVENTS)}
    elsewhere = {
        "application_id_repeated",
        "event_customer_id_missing",
        "event_customer_id_unusable",
        "attribute_too_many_decimals",
        "attribute_unknown_category",
        "attribute_after_as_of",
    }
    assert seen | elsewhere == set(EXPECTED)


def test_events_without_a_customer_and_of_strangers() -> None:
    some = events(
        {"customer_id": None}, {"customer_id": "stranger", "kind": "gift"}, {"customer_id": "x\x02"}, {"kind": "note"}
    )
    table = build_features(applications({}), some, SPEC)
    assert table.matrix.shape[0] == 1
    assert table.rejects.select("table", "row", "code").rows() == [
        ("events", 1, "event_customer_id_missing"),
        ("events", 3, "event_customer_id_unusable"),
    ]
    assert ("events", "kind", "ignored_kind", 1) in table.dirt.rows()


def test_a_required_category_and_money_break_with_their_own_codes() -> None:
    text = TEXT.replace("\nordered = true\n", "\nordered = true\nrequired = true\n")
    text = text.replace('description = "debt outstanding', 'required = true\ndescription = "debt outstanding')
    changes: tuple[dict[str, str | None], ...] = ({"credit_mix": "Superb"}, {"outstanding_debt": "1.234"})
    table = build_features(applications(*changes), events(), parse_spec(text))
    assert table.rejects["code"].to_list() == ["attribute_unknown_category", "attribute_too_many_decimals"]


def test_the_same_table_typed_and_as_text_gives_the_same_bits() -> None:
    text = applications({}, {"months_employed": "50", "annual_income": "1234.56"}, {"credit_utilisation": "0.1"})
    typed = text.with_columns(
        pl.col("as_of").str.to_datetime(time_zone="UTC"),
        pl.col("months_employed", "credit_enquiries").cast(pl.Int16),
        pl.col("annual_income").cast(pl.Decimal(18, 2)),
        pl.col("outstanding_debt").cast(pl.Float64),
        pl.col("credit_utilisation").cast(pl.Float64),
        pl.col("occupation").cast(pl.Categorical),
        pl.col("loans").str.replace(", and ", ", ").str.split(", "),
    )
    their = events({}, {"amount": "-10.01"})
    for amount in (pl.Float64, pl.Decimal(18, 2), pl.Decimal(30, 6)):
        also = their.with_columns(pl.col("amount").cast(amount), pl.col("occurred_at").str.to_date())
        assert build_features(typed, also, SPEC).matrix.tobytes() == build_features(text, their, SPEC).matrix.tobytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((pl.col("months_employed") == "41").alias("months_employed"), ["months_employed", "Boolean"]),
        (pl.lit(value=True).alias("customer_id"), ["customer_id", "Boolean", "text"]),
        (pl.lit(3).alias("as_of"), ["as_of", "Int32", "timestamp"]),
        (pl.struct("months_employed").alias("credit_utilisation"), ["credit_utilisation", "Struct"]),
    ],
)
def test_a_column_of_the_wrong_type_is_refused_by_name(change: pl.Expr, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        build_features(applications({}).with_columns(change), events({}), SPEC)
    assert all(word in str(error.value) for word in words)


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="'months_employed', 'loans' is missing"):
        build_features(applications({}).drop("months_employed", "loans"), events({}), SPEC)
    with pytest.raises(InputError, match="events: column 'amount' is missing"):
        build_features(applications({}), events({}).drop("amount"), SPEC)


cells = st.sampled_from(
    ["", "_______", "!@9#%8", "-500", "__10000__", "1e400", "NaN", "Good", "2 Years and 1 Months", "12.50_"]
)


@given(
    st.lists(
        st.fixed_dictionaries({name: cells for name in GOOD if name not in ("application_id", "customer_id", "as_of")}),
        max_size=6,
    )
)
def test_every_missing_cell_is_counted_once(rows: list[dict[str, str | None]]) -> None:
    table = build_features(applications(*rows), events(), SPEC)
    missing = sum(table.applications[a.name].null_count() for a in SPEC.attributes)
    assert table.dirt["cells"].sum() == missing
    assert not np.isinf(table.matrix).any()


def test_equal_rows_are_equal_bytes() -> None:
    table = build_features(
        applications({"credit_utilisation": "-0"}, {"credit_utilisation": "0"}, {"months_employed": ""}), events(), SPEC
    )
    assert table.matrix[0].tobytes() == table.matrix[1].tobytes()
    nan = table.matrix[2][np.isnan(table.matrix[2])]
    assert nan.tobytes() == np.full(len(nan), np.nan, dtype=np.float32).tobytes()


def test_feature_names_are_unique_and_described() -> None:
    for path in SPECS.glob("*.toml"):
        spec: Spec = parse_spec(path.read_text())
        features = list_features(spec)
        assert len({f.name for f in features}) == len(features)
        assert all(f.description for f in features)
        assert "credit_class" in decision_schema(spec)

"""RFM features against two oracles, and the four laws that every feature obeys."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.event_arrays import History
from features.matrix import build_features, list_features
from features.rfm.quantities import rfm_columns
from features.spec.contract import Spec
from features.spec.file import parse_spec
from tests.rfm_oracles import DAY, by_duckdb, by_loop, names

SPEC = parse_spec("""
spec_version = 1
name = "rfm"
classes = ["Poor", "Good"]
currency = { code = "EUR", minor_digits = 2 }
events = { kinds = ["salary", "purchase", "fee"], ignored = ["note"] }
policy.costs = { Poor = { Poor = 0, Good = 1 }, Good = { Poor = 1, Good = 0 } }
score = { base_score = 600, base_odds = 1, points_to_double_odds = 50 }
[rfm.out]
kinds = ["purchase", "fee"]
windows_days = [7, 30, 90]
recency = true
frequency = true
monetary = ["sum", "mean", "min", "max", "std", "share"]
trend_days = [7, 90]
[rfm.fees]
kinds = ["fee"]
windows_days = [30]
recency = true
frequency = true
monetary = ["sum", "share"]
""")
Row = dict[str, Any]
NOON = 1_700_000_000_000_000 // DAY * DAY + DAY // 2
LARGEST = 10**13

# Instants that hit as_of and the edges of windows, and those one microsecond beside.
instants = st.builds(
    lambda days, beside: NOON - days * DAY + beside,
    st.sampled_from([-1, 0, 1, 6, 7, 29, 30, 89, 90, 91]),
    st.integers(-1, 1),
)
amounts = st.sampled_from([0, 1, -1, LARGEST, -LARGEST]) | st.integers(-LARGEST, LARGEST)
customers = st.sampled_from(["ann", "bob", "eve"])
events = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": customers | st.just("stranger"),
            "occurred_at": instants,
            "kind": st.sampled_from(["salary", "purchase", "fee", "note"]),
            "amount": amounts,
            "recorded_at": st.none() | instants,
        }
    ),
    max_size=25,
)
applications = st.lists(st.fixed_dictionaries({"customer_id": customers, "as_of": instants}), min_size=1, max_size=6)


def tables(some: list[Row], their: list[Row]) -> tuple[pl.DataFrame, pl.DataFrame]:
    instant = pl.Datetime("us", "UTC")
    applications = pl.DataFrame(some, schema={"customer_id": pl.String, "as_of": pl.Int64}).with_columns(
        pl.col("as_of").cast(instant), application_id=pl.int_range(pl.len()).cast(pl.String)
    )
    schema = {
        "customer_id": pl.String,
        "occurred_at": pl.Int64,
        "kind": pl.String,
        "amount": pl.Int64,
        "recorded_at": pl.Int64,
    }
    events = pl.DataFrame(their, schema=schema).with_columns(
        pl.col("occurred_at", "recorded_at").cast(instant),
        pl.col("amount").cast(pl.Decimal(20, 0)) / pl.lit(100).cast(pl.Decimal(20, 2)),
    )
    return applications, events.with_columns(pl.col("amount").cast(pl.Decimal(20, 2)))


def ours(some: list[Row], their: list[Row], spec: Spec = SPEC) -> np.ndarray[Any, Any]:
    return build_features(*tables(some, their), spec).matrix


def agree(found: np.ndarray[Any, Any], expected: list[dict[str, float]]) -> None:
    wanted = np.array([list(row.values()) for row in expected])
    assert [f.name for f in list_features(SPEC)] == list(expected[0])
    np.testing.assert_allclose(found, wanted.astype(np.float32), rtol=2e-7, atol=0)


@given(applications, events)
def test_features_equal_a_plain_loop_with_exact_fractions(some: list[Row], their: list[Row]) -> None:
    agree(ours(some, their), by_loop(some, their, SPEC))


@given(applications, events)
def test_features_equal_duckdb(some: list[Row], their: list[Row]) -> None:
    agree(ours(some, their), by_duckdb(some, their, SPEC))


def test_the_oracles_would_notice_a_wrong_window() -> None:
    some = [{"customer_id": "ann", "as_of": NOON}]
    edge = [{"customer_id": "ann", "occurred_at": NOON - 7 * DAY, "kind": "fee", "amount": 5, "recorded_at": None}]
    inside, outside = ours(some, edge), ours(some, [{**edge[0], "occurred_at": NOON - 7 * DAY - 1}])
    count = [f.name for f in list_features(SPEC)].index("out_count_7d")
    assert (inside[0, count], outside[0, count]) == (1, 0)
    with pytest.raises(AssertionError):
        agree(outside, by_loop(some, edge, SPEC))


@given(applications, events, st.randoms(use_true_random=False))
def test_no_feature_depends_on_the_order_of_rows(some: list[Row], their: list[Row], random: Any) -> None:
    order = list(range(len(some)))
    random.shuffle(order)
    shuffled = random.sample(their, len(their))
    assert ours(some, their)[order].tobytes() == ours([some[i] for i in order], shuffled).tobytes()


@given(applications, events)
def test_a_feature_is_the_same_alone_as_in_a_batch(some: list[Row], their: list[Row]) -> None:
    together = ours(some, their)
    for i, application in enumerate(some):
        own = [e for e in their if e["customer_id"] == application["customer_id"]]
        assert ours([application], own).tobytes() == together[i : i + 1].tobytes()


@given(applications, events, events)
def test_no_feature_looks_ahead(some: list[Row], their: list[Row], later: list[Row]) -> None:
    last = max(a["as_of"] for a in some)
    future = [{**e, "occurred_at": max(e["occurred_at"], last)} for e in later]
    unknown = [{**e, "recorded_at": last + 1} for e in later]
    assert ours(some, their).tobytes() == ours(some, their + future + unknown).tobytes()


def test_null_is_null() -> None:
    row = dict(
        zip((f.name for f in list_features(SPEC)), ours([{"customer_id": "ann", "as_of": NOON}], [])[0], strict=True)
    )
    for name, value in row.items():
        assert value == 0 if "_count_" in name or "_sum_" in name else np.isnan(value), name


def test_an_event_recorded_late_counts_from_then_on() -> None:
    event = {"customer_id": "ann", "occurred_at": NOON - 5 * DAY, "kind": "fee", "amount": 5, "recorded_at": NOON}
    some = [{"customer_id": "ann", "as_of": NOON + d} for d in (-1, 0, 1)]
    count = [f.name for f in list_features(SPEC)].index("fees_count_30d")
    assert ours(some, [event])[:, count].tolist() == [0, 1, 1]


def test_running_sums_may_wrap_and_differences_stay_right() -> None:
    per_customer, people = 6, 200_000
    n = per_customer * people  # 1.2 million times 10^13 is more than 2^63
    owner = np.repeat(np.arange(people), per_customer)
    history = History(
        customers=owner,
        occurred_at=np.tile(NOON - np.arange(per_customer) * DAY - 1, people),
        kinds=np.full(n, SPEC.event_kinds.index("fee")),
        amounts=np.full(n, LARGEST),
    )
    assert n * LARGEST > 2**63
    columns = dict(
        zip(
            (f.name for f in list_features(SPEC)),
            rfm_columns(np.arange(people), np.full(people, NOON), history, SPEC),
            strict=True,
        )
    )
    assert (columns["fees_sum_30d"] == per_customer * LARGEST / 100).all()
    assert (columns["out_std_90d"] == 0).all()
    assert (columns["out_share_90d"] == 1).all()


def test_customers_and_times_that_do_not_fit_one_key_are_cut_into_parts() -> None:
    """With events over two centuries a key has room for few customers; all must come out the same."""
    some = [{"customer_id": f"c{i % 3000}", "as_of": NOON + i} for i in range(4000)]
    their = [
        {
            "customer_id": f"c{i % 3000}",
            "occurred_at": NOON - (i % 40) * DAY,
            "kind": "fee",
            "amount": i,
            "recorded_at": None,
        }
        for i in range(9000)
    ]
    edges = [{**their[0], "occurred_at": 0}, {**their[0], "occurred_at": 7_258_118_399_999_999}]
    assert (2**63 - 1) // 7_258_118_400_000_000 < 3000
    assert ours(some, their).tobytes() == ours(some, their + edges).tobytes()


def test_the_oracles_name_the_features_as_the_product_does() -> None:
    assert [n for g in SPEC.groups for n in names(g)] == [f.name for f in list_features(SPEC)]


@pytest.mark.parametrize("most", [40, 70_000], ids=["few customers", "more than 16 bits hold"])
def test_the_order_of_many_events_never_shows(most: int) -> None:
    chance = np.random.default_rng(most)
    count, who = 6_000, chance.integers(0, most, 50)
    events = History(
        customers=chance.choice(who, count),
        occurred_at=np.sort(NOON - chance.integers(0, 100 * DAY, count)),
        kinds=chance.integers(0, 3, count),
        amounts=chance.integers(-LARGEST, LARGEST, count),
        known_at=np.where(chance.random(count) < 0.05, NOON - chance.integers(0, 50 * DAY, count), np.nan),
    )
    as_of = NOON - chance.integers(0, 20 * DAY, len(who))
    by_time = np.column_stack(rfm_columns(who, as_of, events, SPEC))
    for order in (chance.permutation(count), np.argsort(events.customers, kind="stable"), np.arange(count)[::-1]):
        assert np.array_equal(
            by_time, np.column_stack(rfm_columns(who, as_of, events.only(order), SPEC)), equal_nan=True
        )
    alone = [
        np.column_stack(rfm_columns(who[[i]], as_of[[i]], events.only(events.customers == c), SPEC))
        for i, c in enumerate(who)
    ]
    assert np.array_equal(by_time, np.concatenate(alone), equal_nan=True)

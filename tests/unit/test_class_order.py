"""Which class is worse: known from words, for 0 and 1 from rarity, else asked: a model upside down is worse."""

import polars as pl
import pytest

from features.draft import Tables, draft_spec
from features.draft.class_order import order_classes
from features.errors import SpecError
from features.spec.file import parse_spec

APPLICATIONS = pl.DataFrame(
    {
        "application_id": [f"A{i}" for i in range(40)],
        "customer_id": [f"C{i}" for i in range(40)],
        "as_of": "2026-01-01",
        "income": [1000 + 7 * i * i % 313 for i in range(40)],
    }
)


def labelled(*classes: object) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "application_id": APPLICATIONS["application_id"],
            "credit_class": (list(classes) * 40)[:40],
        }
    )


@pytest.mark.parametrize(
    "worst_first",
    [
        ("late", "fully_paid"),
        ("written_off", "repaid"),
        ("default", "current"),
        ("poor", "good"),
        ("refused", "approved"),
        ("Poor", "Standard", "Good"),
        ("late", "current", "fully_paid"),
        ("HighRisk", "medium-risk", "low risk"),
        (
            "Charged Off",
            "Default",
            "Late (31-120 days)",
            "Late (16-30 days)",
            "In Grace Period",
            "Current",
            "Fully Paid",
        ),
        ("BAD", "GOOD"),
        ("default", "no_default"),
        ("NotPaid", "Paid"),
        ("loan.rejected", "loan.approved"),
        ("delinquent", "not delinquent"),
    ],
)
def test_words_that_lenders_use_order_the_classes(worst_first: tuple[str, ...]) -> None:
    for names in (worst_first, worst_first[::-1], sorted(worst_first)):
        order = order_classes(dict.fromkeys(names, 10))
        assert order.decided
        assert order.classes == worst_first


@pytest.mark.parametrize(
    "names", [("A", "B", "C", "D"), ("1", "2"), ("x", "y"), ("High", "Low"), ("Y", "N"), ("0", "1", "2")]
)
def test_what_cannot_be_known_is_asked(names: tuple[str, ...]) -> None:
    order = order_classes(dict.fromkeys(names, 10))
    assert not order.decided
    assert len(order.orders) == 2


def test_one_is_the_worse_class_only_where_it_is_rarer_and_no_name_says_otherwise() -> None:
    assert order_classes({"0": 90, "1": 10}).classes == ("1", "0")
    assert "rarer" in order_classes({"0": 90, "1": 10}).reason
    assert not order_classes({"0": 10, "1": 90}).decided
    assert order_classes({"0": 90, "1": 10}, ["loan_repaid"]).classes == ("0", "1")
    assert order_classes({"0": 10, "1": 90}, ["is_default"]).classes == ("1", "0")
    assert order_classes({"false": 90, "true": 10}).classes == ("true", "false")


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        ((0, 0, 1), ("1", "0")),
        ((0.0, 0.0, 1.0), ("1", "0")),
        ((False, False, True), ("true", "false")),
        (("0", "0.0", "1"), ("1", "0")),
    ],
)
def test_labels_of_any_type_draft_their_classes(cells: tuple[object, ...], classes: tuple[str, ...]) -> None:
    assert parse_spec(draft_spec(Tables.of(APPLICATIONS, None, labelled(*cells))).text).classes == classes


def test_an_undecided_draft_is_refused_with_both_lines_and_either_of_them_is_enough() -> None:
    draft = draft_spec(Tables.of(APPLICATIONS, None, labelled("A", "B", "C", "D")))
    orders = ('classes = ["A", "B", "C", "D"]', 'classes = ["D", "C", "B", "A"]')
    with pytest.raises(SpecError) as refused:
        parse_spec(draft.text)
    for line in orders:
        assert f"\n  {line}" in str(refused.value)
        assert any(line in look for look in draft.looks)
        spec = parse_spec(draft.text.replace(f"# {line}", line))
        costs = {(a, b): spec.costs[i][j] for i, a in enumerate(spec.classes) for j, b in enumerate(spec.classes)}
        assert all(costs[a, a] == 0 and costs[a, b] == costs[b, a] > 0 for a in "ABCD" for b in "ABCD" if a != b)


def test_a_spec_of_version_2_without_classes_shows_what_to_write() -> None:
    draft = draft_spec(Tables.of(APPLICATIONS, None, labelled("A", "B"))).text
    lines = [line for line in draft.splitlines() if not line.startswith("# classes = ")]
    with pytest.raises(SpecError, match=r'classes = \["Poor", "Standard", "Good"\]'):
        parse_spec("\n".join(lines))


def test_two_classes_of_one_value_are_refused() -> None:
    draft = draft_spec(Tables.of(APPLICATIONS, None, labelled(0, 0, 1))).text
    with pytest.raises(SpecError, match="same number"):
        parse_spec(draft.replace('classes = ["1", "0"]', 'classes = ["1", "1.0"]'))

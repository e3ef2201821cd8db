"""Which class a column of a notebook's predictions speaks of: by name, by number, alone; nothing is guessed."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from features.errors import InputError
from features.spec.contract import Spec
from model_export.adopted.notebook import read_expected

IDS = pl.DataFrame({"application_id": ["A", "B", "C"]})
BEST = [0.9, 0.25, 0.6]


Reads = Callable[..., list[float]]


@pytest.fixture
def best(spec: Spec) -> Reads:
    """P(best) as it is read from P(worst), P(best), in this order or the other, or from one column of P(best)."""

    def read(
        classes: tuple[str, str], columns: list[str], *, worst_first: bool = True, by_name: bool = False
    ) -> list[float]:
        sides = [[1 - p for p in BEST], BEST]
        given = [BEST] if len(columns) == 1 else sides if worst_first else sides[::-1]
        table = IDS.with_columns(pl.Series(name, values) for name, values in zip(columns, given, strict=True))
        values = read_expected(table, IDS, replace(spec, classes=classes), labels_are_names=by_name).values
        assert values.sum(axis=1) == pytest.approx(1)
        return [round(float(p), 6) for p in values[:, 1]]

    return read


WRONG_WAY = [round(1 - p, 6) for p in BEST]


@pytest.mark.parametrize("column", ["p_paid", "Paid", "probability", "prediction", "score", "p_1", "1", "column_1"])
def test_one_column_is_that_of_the_best_class_where_its_name_says_nothing_else(best: Reads, column: str) -> None:
    assert best(("default", "paid"), [column]) == BEST


@pytest.mark.parametrize("column", ["p_default", "Default", "proba default", "class_default", "p_0", "0", "pd", "PD"])
def test_one_column_named_after_the_worst_class_is_that_of_the_worst(best: Reads, column: str) -> None:
    assert best(("default", "paid"), [column]) == WRONG_WAY


def test_one_column_of_margins_of_the_worst_class_is_turned_too(spec: Spec) -> None:
    spec = replace(spec, classes=("bad", "good"))
    table = IDS.with_columns(bad=pl.Series([2.0, -1.5, 0.0]))
    assert read_expected(table, IDS, spec).values.tolist() == [[0, -2], [0, 1.5], [0, 0]]


@pytest.mark.parametrize("columns", [["p_0", "p_1"], ["0", "1"], ["1", "0"], ["p_1"], ["0"]])
def test_numbers_are_not_guessed_where_classes_are_called_so_in_the_other_order(
    best: Reads, columns: list[str]
) -> None:
    with pytest.raises(
        InputError, match="may be names of the classes 1, 0 or numbers in the model, whose 0 is the class 1"
    ):
        best(("1", "0"), columns)


@pytest.mark.parametrize(
    ("columns", "worst_first"),
    [(["class_1", "class_0"], True), (["class_0", "class_1"], False), (["column_0", "column_1"], True)],
)
def test_both_readings_can_be_written(best: Reads, columns: list[str], worst_first: bool) -> None:  # noqa: FBT001
    assert best(("1", "0"), columns, worst_first=worst_first) == BEST


def test_where_the_model_knows_its_classes_by_name_so_do_the_columns(best: Reads) -> None:
    assert best(("1", "0"), ["p_0", "p_1"], worst_first=False, by_name=True) == BEST
    assert best(("1", "0"), ["p_0"], by_name=True) == BEST
    assert best(("1", "0"), ["p_1"], by_name=True) == WRONG_WAY


def test_numbers_that_mean_the_same_either_way_are_read(best: Reads) -> None:
    assert best(("0", "1"), ["p_0", "p_1"]) == BEST
    assert best(("2", "1"), ["p_2", "p_1"]) == BEST
    assert best(("2", "1"), ["p_0", "p_1"]) == BEST

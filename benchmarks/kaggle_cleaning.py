"""The raw, dirty August rows cleaned by the spec, cell by cell against the published cleaned copy.

    python -m benchmarks.kaggle_cleaning credit_score_raw_august.csv credit_score_panel.parquet

A cell agrees if it equals the panel's cell in the panel's float16 (float32 for income), or is missing and counted.
"""

import sys
from pathlib import Path

import polars as pl

from features.matrix import build_features
from features.spec.file import parse_spec
from recipes.kaggle import kaggle_raw


def compare(raw: Path, panel: Path) -> pl.DataFrame:
    """Return per column: cells equal, missing (as counted), and different from the panel."""
    cells, truth = pl.read_csv(raw, infer_schema=False), pl.read_parquet(panel)
    dataset = kaggle_raw(cells, truth)
    spec = parse_spec(dataset.spec_text)
    table = build_features(dataset.applications, dataset.events, spec)
    august = truth.filter(pl.col("Month") == 8).with_columns(pl.col("Customer_ID").cast(pl.String))
    joined = table.applications.join(
        august, left_on="customer_id", right_on="Customer_ID", how="left", maintain_order="left", suffix=" in panel"
    )
    counted = table.dirt.filter(pl.col("table") == "applications").group_by("column").agg(pl.col("cells").sum())
    missing = dict(counted.iter_rows())
    rows = []
    for attribute in spec.attributes:
        found, expected = joined[attribute.name], joined[f"{attribute.name} in panel"]
        same = (
            found.cast(expected.dtype, strict=False) == expected
            if expected.dtype.is_numeric()
            else found == expected.cast(pl.String)
        )
        equal = int(same.fill_null(value=False).sum())
        gone = found.null_count()
        rows.append((attribute.name, equal, gone, missing.get(attribute.name, 0), found.len() - equal - gone))
    return pl.DataFrame(rows, schema=["column", "equal", "missing", "counted as missing", "different"], orient="row")


if __name__ == "__main__":
    with pl.Config(
        tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_formatting="ASCII_MARKDOWN"
    ):
        print(compare(Path(sys.argv[1]), Path(sys.argv[2])))  # noqa: T201

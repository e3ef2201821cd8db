"""One application's feature row with names, units and meanings."""

from typing import Any

import numpy as np
import polars as pl

from features.applications import identifier, require_columns
from features.errors import InputError
from features.matrix import FeatureTable, build_features, list_features
from features.rejects import APPLICATIONS
from features.spec.contract import Spec

__all__ = ["describe_application", "matrix_frame"]


def matrix_frame(table: FeatureTable, spec: Spec) -> pl.DataFrame:
    """Return application_id, customer_id, as_of and the float32 features by name, one row per usable application."""
    identity = table.applications.select(
        "application_id", "customer_id", pl.col("as_of").cast(pl.Datetime("us", "UTC"))
    )
    names = [feature.name for feature in list_features(spec)]
    columns = {name: table.matrix[:, i] for i, name in enumerate(names)}
    return identity.with_columns(pl.DataFrame(columns).fill_nan(None) if columns else [])


def describe_application(
    applications: pl.DataFrame, events: pl.DataFrame, application_id: str, spec: Spec
) -> list[dict[str, Any]]:
    """Return one record per feature: feature, value (null if missing), text (shortest exact), unit, description.

    Raises:
        InputError: there is no such application, it is there more than once, or it is rejected (says why).

    """
    require_columns(applications, APPLICATIONS, ("application_id",))
    own = applications.filter(identifier(applications.schema, APPLICATIONS, "application_id") == application_id)
    if own.height != 1:
        found = "no such application" if own.is_empty() else f"{own.height} rows bear this id"
        raise InputError(f"applications: {found}. Expected exactly one row with the given --application-id.")
    table = build_features(own, events, spec)
    if table.matrix.shape[0] == 0:
        reject = table.rejects.filter(pl.col("table") == APPLICATIONS).to_dicts()[0]
        raise InputError(
            f"applications: this application is rejected: {reject['code']}, column {reject['column']!r}. "
            f"Expected {reject['expected']}."
        )
    return [
        {
            "feature": feature.name,
            "value": None if np.isnan(value) else float(value),
            "text": np.format_float_positional(value, trim="-"),
            "unit": feature.unit,
            "description": feature.description,
        }
        for feature, value in zip(list_features(spec), table.matrix[0], strict=True)
    ]

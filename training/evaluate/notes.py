"""What is said at each training about the data and the spec, beside the model's figures."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from features.applications import CUSTOMER, SCIENTIFIC, is_scientific
from features.cells import UNREADABLE
from features.cells.decimal_advice import decimal_advice
from features.matrix import FeatureTable, list_features
from features.protected import declared_protected
from features.reason_codes import lacks_unusable
from features.rejects import APPLICATIONS
from features.spec.contract import Spec
from features.spec.telling import TELLING, telling
from training.data import TrainingData, check_labels

__all__ = ["training_notes"]

_SHOWN = 5


def training_notes(data: TrainingData, table: FeatureTable, spec: Spec) -> Iterator[str]:
    """Yield what a person should know: protected attributes, columns that tell the class."""
    labels = check_labels(data.labels, spec)
    declared = [f"{name} ({what})" for name, what in declared_protected(spec)]
    if declared:
        yield (
            f"the spec declares attributes by which many laws forbid to decide on credit: {', '.join(declared)}. The "
            "model card says so; delete them from the spec if you may not use them"
        )
    if cut := int(is_scientific(data.applications["customer_id"].cast(pl.String).str.strip_chars()).sum()):
        yield f"the customer_ids of {cut:,} applications {SCIENTIFIC}"
    causes = {column: cells for at, column, cause, cells in table.counted if (at, cause) == (APPLICATIONS, UNREADABLE)}
    yield from decimal_advice(data.applications, spec, causes)
    lacking = lacks_unusable(spec)
    if lacking:
        listed = ", ".join(lacking[:_SHOWN]) + (f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else "")
        yield (
            f"the reasons {listed} have no text `unusable`: a value that was given and cannot be used will be told as "
            "one that was not given"
        )
    yield from _telling(table, labels, spec)


def _telling(table: FeatureTable, labels: pl.DataFrame, spec: Spec) -> Iterator[str]:
    """Name attributes and groups one of whose features alone ranks a class nearly without error."""
    known = table.applications.select("application_id", CUSTOMER).join(
        labels, on="application_id", how="left", maintain_order="left"
    )
    rows = np.flatnonzero(known["actual"].is_not_null().to_numpy())
    actual, customers = known["actual"].gather(rows).to_numpy(), known[CUSTOMER].gather(rows).to_numpy()
    found: dict[str, float] = {}
    for index, feature in enumerate(list_features(spec)):
        area = telling(table.matrix[rows, index], actual, customers)
        if area >= TELLING:
            found[feature.source] = max(area, found.get(feature.source, 0.0))
    for name, area in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]:
        yield (
            f"{name} tells the class by itself (area under the curve {area:.3f}, out of fold). Was it written after "
            "the decision? Then delete it from the spec: on new applications it is not known"
        )

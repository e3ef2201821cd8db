"""What examples count in training: a column of sampling weights, and weights of classes in the fit."""

from collections.abc import Collection
from dataclasses import dataclass

from features.errors import SpecError
from features.spec.toml_table import Table

_NOT_WEIGHTS = ("application_id", "customer_id", "as_of", "credit_class")
_BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """`column` says how many applicants each example stands for (empty: one each).

    `classes` multiplies what examples of a class, worst first, count in the fit (empty: 1 each); `balanced`: each class
    counts as much as any other there.
    """

    column: str = ""
    classes: tuple[float, ...] = ()
    balanced: bool = False


def read_weights(root: Table, version: int, classes: tuple[str, ...], attributes: Collection[str]) -> Weights:
    """Read the optional table `weights`, which a spec of version 1 does not know.

    Raises:
        SpecError: a key is wrong; names it.

    """
    if version == 1:
        return Weights()
    table = root.table("weights", optional=True)
    table.allow(["column", "classes"])
    column = table.text("column", "")
    if column in attributes or column in _NOT_WEIGHTS or ("column" in table.values and not column.strip()):
        raise SpecError(
            f"{table.key('column')}: {column!r} is an attribute, an id, an instant, the label or empty. Expected the "
            "name of a column of labels or applications that says how many applicants each example stands for."
        )
    if table.values.get("classes") == _BALANCED:
        return Weights(column=column, balanced=True)
    return Weights(column=column, classes=_classes(table, classes))


def _classes(table: Table, classes: tuple[str, ...]) -> tuple[float, ...]:
    if "classes" not in table.values:
        return ()
    if isinstance(table.values["classes"], str):
        raise SpecError(f'{table.key("classes")}: expected "{_BALANCED}", or a table with a weight for classes.')
    own = table.table("classes")
    own.allow(classes)
    found = tuple(own.number(name, 1.0) for name in classes)
    for name, weight in zip(classes, found, strict=True):
        if not 1e-3 <= weight <= 1e3:
            raise SpecError(
                f"{own.key(name)}: expected a weight from 0.001 to 1000, found {weight:g}. It multiplies what examples "
                "of the class count in the fit; a class that shall not count is left out of the data."
            )
    return found

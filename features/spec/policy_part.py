"""The policy part of a spec: costs in money and floors."""

from features.errors import SpecError
from features.spec.contract import Floors
from features.spec.toml_table import Table

__all__ = ["check_cost_row", "read_costs", "read_floors"]


def read_costs(table: Table, classes: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Read `policy.costs`: one row per actual class, one cost per assigned class.

    Raises:
        SpecError: a cost is missing or unusable; names the key.

    """
    table.allow(["costs", "floors"])
    costs = table.table("costs")
    costs.allow(classes)
    rows = []
    for actual in classes:
        row = costs.table(actual)
        row.allow(classes)
        rows.append(tuple(row.number(assigned) for assigned in classes))
        check_cost_row(row.path, rows[-1], own=classes.index(actual))
    return tuple(rows)


def check_cost_row(path: str, row: tuple[float, ...], own: int) -> None:
    """Refuse negative costs and a right answer that costs more than a wrong one.

    Raises:
        SpecError: with `path` in front.

    """
    if any(not 0 <= cost <= 1e12 for cost in row):
        raise SpecError(f"{path}: expected costs from 0 to 1e12.")
    if row[own] > min(row):
        raise SpecError(f"{path}: calling the class by its own name must not cost more than another name.")


def read_floors(policy: Table) -> Floors:
    """Read the optional `policy.floors`.

    Raises:
        SpecError: a floor is not a share; names the key.

    """
    table = policy.table("floors", optional=True)
    table.allow(["precision", "recall"])
    values = {name: table.number(name) for name in ("precision", "recall") if name in table.values}
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise SpecError(f"{table.key(name)}: expected a share from 0 to 1, found {value}.")
    return Floors(precision=values.get("precision"), recall=values.get("recall"))

"""Read a file of costs: the policy part of a spec, or a bundle's policy.toml. Both are edited by hand."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from features.errors import InputError, SpecError
from features.spec.contract import Spec
from features.spec.policy_part import check_cost_row, read_costs, read_floors
from features.spec.toml_table import Table

__all__ = ["with_costs"]


def with_costs(spec: Spec, path: Path) -> Spec:
    """Return the spec with the costs of a file, and with its floors where it names some.

    Raises:
        InputError: the file cannot be read.
        SpecError: it is no TOML, or a cost is missing, negative, not finite or of a class that is not there, or a right
            answer costs more than a wrong one; names the key.

    """
    try:
        root = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Expected a file of costs.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
        raise SpecError(
            f"{path}: not valid TOML: {error}. Expected [policy.costs] as in a spec, or a policy.toml."
        ) from error
    try:
        return _with_table(spec, root) if "policy" in root else _with_matrix(spec, Table("", root))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


def _with_table(spec: Spec, root: dict[str, Any]) -> Spec:
    policy = Table("", root).table("policy")
    floors = read_floors(policy) if "floors" in policy.values else spec.floors
    return replace(spec, costs=read_costs(policy, spec.classes), floors=floors)


def _with_matrix(spec: Spec, root: Table) -> Spec:
    """Read policy.toml. Its multiplier is not taken: it is chosen anew where there are floors."""
    root.allow(["currency", "multiplier", "classes", "costs"])
    if root.texts("classes", spec.classes) != spec.classes:
        raise SpecError(f"classes: expected {', '.join(spec.classes)}, worst first, as in the bundle.")
    if root.text("currency", spec.currency.code) != spec.currency.code:
        raise SpecError(f"currency: expected {spec.currency.code}, as in the bundle.")
    rows, count = root.values.get("costs"), len(spec.classes)
    if not isinstance(rows, list) or [len(r) if isinstance(r, list) else -1 for r in rows] != [count] * count:
        raise SpecError(f"costs: expected {count} rows of {count} costs, one row per actual class, worst first.")
    costs = []
    for name, values in zip(spec.classes, rows, strict=True):
        row = Table(f"costs ({name})", dict(zip(spec.classes, values, strict=True)))
        costs.append(tuple(row.number(assigned) for assigned in spec.classes))
        check_cost_row(row.path, costs[-1], own=spec.classes.index(name))
    return replace(spec, costs=tuple(costs))

"""Propose directions: attributes and groups that speak for or against applicants alike in every fold, with their price.

A proposal is what the data says, feature by feature, and no more: whether it is common sense too, and may be asked of
every applicant, is for a person to say. Nothing is applied unasked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.matrix import list_features
from features.spec.contract import RfmGroup, Spec
from features.spec.directions import feature_directions, is_ordered, missing_ends, more_of
from features.spec.toml_table import toml_key
from training.choose_plan import choose_plan
from training.data import Examples, TrainingData, label_examples
from training.evaluate.prices import ROWS, price
from training.fit.cross_fit import Folds, judge_folds, out_of_fold
from training.fit.fit import ModelKind
from training.fit.recipe import Plan
from training.folds import FEWER_FOLDS, FOLDS, assign_folds, sample_customers

__all__ = ["propose"]

_CLEAR = 2.0  # standard errors of a rank correlation, in every fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A direction (`up` or `down`) for a table of the spec, and what it costs alone: see `prices`."""

    table: str
    direction: str
    flow: str | None
    price: dict[str, Any]

    def toml(self) -> str:
        """Return the line for the table `directions` of the spec."""
        section, _, name = self.table.partition(".")
        flow = "" if self.flow is None else f', flow = "{self.flow}"'
        return f'{section}.{toml_key(name)} = {{ direction = "{self.direction}"{flow} }}'


def propose(data: TrainingData, spec: Spec, kind: ModelKind, seed: int = 0) -> list[Proposal]:
    """Return proposals for all attributes and groups whose features have a sign that every fold agrees on.

    Raises:
        InputError: the data cannot be used.

    """
    examples, _ = label_examples(data, spec)
    some = examples.only(sample_customers(examples, ROWS, seed))
    few = assign_folds(some, FEWER_FOLDS, seed)
    bare = Plan(kind=kind, folds=FEWER_FOLDS, seed=seed, missing_ends=missing_ends(spec))
    plan, margins = choose_plan(some, few, len(spec.classes), bare)
    free = judge_folds(spec, some, margins, few)
    found = []
    for table, changed in _candidates(spec, examples, assign_folds(examples, FOLDS, seed)):
        bound = replace(plan, directions=feature_directions(changed))
        paid = price(judge_folds(spec, some, out_of_fold(some, bound, few), few), free)
        directions = {f"attributes.{a.name}": a.direction for a in changed.attributes}
        directions |= {f"rfm.{g.name}": g.direction for g in changed.groups}
        flows = {f"rfm.{g.name}": "in" if g.flow > 0 else "out" for g in changed.groups if g.monetary}
        direction = "up" if directions[table] > 0 else "down"
        found.append(Proposal(table=table, direction=direction, flow=flows.get(table), price=paid))
    return found


def _candidates(spec: Spec, examples: Examples, fold_of: Folds) -> Iterator[tuple[str, Spec]]:
    """Yield the table's key and the spec with that direction alone."""
    bare = replace(
        spec,
        text=f"{spec.text}\n# without directions",  # by which specs are told apart
        attributes=tuple(replace(a, direction=a.direction if a.never_worse_from else 0) for a in spec.attributes),
        groups=tuple(replace(g, direction=0) for g in spec.groups),
    )
    sources = [feature.source for feature in list_features(spec)]
    for place, attribute in enumerate(bare.attributes):
        free = is_ordered(attribute) and attribute.never_worse_from is None
        sign = _sign(examples, sources.index(attribute.name), fold_of) if free else 0
        if sign:
            changed = (*bare.attributes[:place], replace(attribute, direction=sign), *bare.attributes[place + 1 :])
            text = f"{bare.text} {attribute.name}"
            yield f"attributes.{attribute.name}", replace(bare, attributes=changed, text=text)
    for place, group in enumerate(bare.groups):
        columns = [i for i, source in enumerate(sources) if source == group.name]
        whole = replace(group, flow=group.flow or _flow(group, examples.matrix[:, columns]))
        signs = {more * _sign(examples, i, fold_of) for i, more in zip(columns, more_of(whole), strict=True)} - {0}
        if len(signs) == 1:
            changed_groups = (*bare.groups[:place], replace(whole, direction=signs.pop()), *bare.groups[place + 1 :])
            yield f"rfm.{group.name}", replace(bare, groups=changed_groups, text=f"{bare.text} {group.name}")


def _flow(group: RfmGroup, columns: NDArray[np.float32]) -> int:
    """Tell from the amounts whether a group's money goes out."""
    signed = [m for m in group.monetary if m not in ("std", "share")]
    if not signed:
        return 1
    first = int(group.recency) + len(group.windows_days) * int(group.frequency)
    amounts = columns[:, first : first + len(group.windows_days) * len(group.monetary)]
    return -1 if np.nanmin(amounts, initial=0) < 0 and np.nansum(amounts, dtype=np.float64) < 0 else 1


def _sign(examples: Examples, column: int, fold_of: Folds) -> int:
    """Return the sign of the rank correlation with the class where it is clear and the same in every fold, else 0."""
    signs = set()
    for fold in np.unique(fold_of):
        rows = (fold_of == fold) & ~np.isnan(examples.matrix[:, column])
        values, actual = rankdata(examples.matrix[rows, column]), rankdata(examples.actual[rows])
        if rows.sum() < 20 or values.std() == 0 or actual.std() == 0:
            return 0
        correlation = float(np.corrcoef(values, actual)[0, 1])
        if abs(correlation) * np.sqrt(rows.sum()) < _CLEAR:
            return 0
        signs.add(int(np.sign(correlation)))
    return signs.pop() if len(signs) == 1 else 0

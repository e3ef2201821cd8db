"""`credit why-changed`: each changed decision is put down to parts, and the shares add up to the changed decisions."""

import csv
import json
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from compare import Changes, why_changed
from compare.shares import coalitions, in_steps, shapley, unit
from features.errors import BundleError
from recipes.dataset import Dataset
from scoring.bundle import Bundle
from scoring.policy import Policy
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.variants import recalibrated, regrown, variant

PARTS = ("spec", "features", "model", "calibration", "policy")


def dearer(bundle: Path) -> Policy:
    old = Scorer.open(bundle).bundle.policy
    return replace(old, multiplier=old.multiplier * 1.6)


def narrower(text: str) -> str:
    return text.replace("range = [0, 150]", "range = [0, 60]", 1)


def fewer_kinds(text: str) -> str:
    """The same names of features, of other events."""
    return text.replace('kinds = ["late_fee", "overdraft"]', 'kinds = ["overdraft"]', 1)


def made(bundle: Path, folder: Path, parts: frozenset[str]) -> Bundle:
    """A bundle that differs from another in these parts."""
    if not parts:
        return Scorer.open(bundle).bundle
    model = regrown(bundle, 1.4) if "model" in parts else None
    if "calibration" in parts:
        model = recalibrated(bundle, 0.5, content=model)

    def spec(text: str) -> str:
        text = narrower(text) if "spec" in parts else text
        return fewer_kinds(text) if "features" in parts else text

    policy = dearer(bundle) if "policy" in parts else None
    return Scorer.open(variant(bundle, folder, model=model, policy=policy, spec=spec)).bundle


def compared(one: Bundle, other: Bundle, dataset: Dataset) -> Changes:
    return why_changed(one, other, dataset.applications, dataset.events)


def add_up(changes: Changes) -> None:
    """The shares of each decision add up to it, and those of all to their number, as they are printed."""
    changed = changes.rows.height
    assert sum(Fraction(str(one.decisions)) for one in changes.shares) == changed
    for row in changes.rows.iter_rows(named=True):
        assert sum(Fraction(str(row[one.name])) for one in changes.shares) == 1
        assert row["before"] != row["after"]


@pytest.fixture(scope="module")
def first(bundle: Path) -> Bundle:
    return Scorer.open(bundle).bundle


@pytest.mark.parametrize("part", PARTS)
def test_what_differs_in_one_part_is_put_down_to_it_wholly(
    part: str, first: Bundle, bundle: Path, dataset: Dataset, tmp_path: Path
) -> None:
    other = made(bundle, tmp_path / "bundles", frozenset({part}))
    changes = compared(first, other, dataset)
    (only,) = changes.shares
    assert only.parts == (part,)
    assert only.decisions == only.alone == changes.rows.height > 0
    assert set(changes.rows[part]) == {1.0}
    own = [Scorer.open(one.path).score(dataset.applications, dataset.events).decisions for one in (first, other)]
    joined = own[0].join(own[1], on="application_id")
    assert changes.rows.height == (joined["credit_class"] != joined["credit_class_right"]).sum()


@pytest.mark.parametrize("parts", [PARTS, PARTS[1:4], ("spec", "policy")])
def test_shares_of_several_parts_add_up_and_are_the_same_both_ways(
    parts: tuple[str, ...], first: Bundle, bundle: Path, dataset: Dataset, tmp_path: Path
) -> None:
    other = made(bundle, tmp_path / "bundles", frozenset(parts))
    changes, back = compared(first, other, dataset), compared(other, first, dataset)
    add_up(changes)
    assert [one.parts for one in changes.shares] == [(name,) for name in parts]
    assert all(one.decisions for one in changes.shares)
    names = ["application_id", *parts]
    assert changes.rows.select(names).equals(back.rows.select(names))


def test_a_unit_that_says_how_cells_are_read_is_part_of_the_spec(
    bundle: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """A duration in years instead of months: nothing but its unit differs."""
    months = variant(bundle, tmp_path, spec=lambda text: text.replace("spec_version = 1", "spec_version = 2", 1))
    kind = 'kind = "duration"\n'
    years = variant(months, tmp_path, spec=lambda text: text.replace(kind, f'{kind}unit = "years"\n', 1))
    changes = compared(Scorer.open(months).bundle, Scorer.open(years).bundle, dataset)
    (only,) = changes.shares
    assert (only.parts, only.decisions) == (("spec",), changes.rows.height)
    assert changes.rows.height


def test_the_same_bundle_changes_nothing(first: Bundle, dataset: Dataset) -> None:
    changes = compared(first, first, dataset)
    assert changes.shares == ()
    assert changes.rows.is_empty()


def test_a_rejection_by_one_alone_is_a_change_of_its_part(first: Bundle, dataset: Dataset) -> None:
    strict = tuple(replace(a, required=a.name == "annual_income") for a in first.spec.attributes)
    other = replace(first, spec=replace(first.spec, attributes=strict, text="strict"))
    changes = compared(first, other, dataset)
    assert set(changes.rows["after"]) == {"rejected"}
    assert [one.name for one in changes.shares] == ["spec"]
    unknown = replace(first.spec, event_kinds=first.spec.event_kinds, ignored_kinds=(), text="no notes")
    changes = compared(first, replace(first, spec=unknown), dataset)
    assert set(changes.rows["after"]) == {"rejected"}
    assert [one.name for one in changes.shares] == ["features"]


def test_parts_that_need_one_another_go_together(first: Bundle, bundle: Path, dataset: Dataset) -> None:
    def renamed(old: str, new: str) -> Bundle:
        groups = tuple(replace(g, name=g.name.replace(old, new)) for g in first.spec.groups)
        attributes = tuple(replace(a, name=a.name.replace(old, new)) for a in first.spec.attributes)
        spec = replace(first.spec, groups=groups, attributes=attributes, text=f"{old} {new}")
        return replace(first, spec=spec, model=recalibrated(bundle, 0.5, regrown(bundle, 1.3)))

    changes = compared(first, renamed("trouble", "worry"), dataset)
    assert [one.parts for one in changes.shares] == [("features", "model"), ("calibration",)]
    add_up(changes)
    applications = dataset.applications.with_columns(income_a_year=dataset.applications["annual_income"])
    changes = why_changed(first, renamed("annual_income", "income_a_year"), applications, dataset.events)
    assert [one.parts for one in changes.shares] == [("spec", "model"), ("calibration",)]
    add_up(changes)


def test_a_graph_of_another_form_is_swapped_whole(first: Bundle, bundle: Path, dataset: Dataset) -> None:
    """Its offset is taken away where ours is added, so that its calibration is not found."""
    graph = onnx.load_from_string(recalibrated(bundle, 0.5))
    (node,) = [node for node in graph.graph.node if node.op_type == "Add"]
    (offset,) = [part for part in graph.graph.initializer if part.name in node.input]
    offset.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(offset), offset.name))
    node.op_type = "Sub"
    changes = compared(first, replace(first, model=graph.SerializeToString()), dataset)
    assert [one.parts for one in changes.shares] == [("model", "calibration")]
    assert set(changes.rows["model+calibration"]) == {1.0}
    add_up(changes)


def test_other_classes_cannot_be_compared(first: Bundle, dataset: Dataset) -> None:
    policy = replace(first.policy, classes=tuple(reversed(first.policy.classes)))
    with pytest.raises(BundleError, match="has other classes"):
        compared(first, replace(first, policy=policy), dataset)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.integers(0, 2), min_size=2**n, max_size=2**n))
    )
)
def test_shares_are_those_of_the_definition(drawn: tuple[int, list[int]]) -> None:
    """The mean over all orders of what each swap moves, for any function from coalitions to decisions."""
    count, classes = drawn
    sets = coalitions(count)
    decided: dict[frozenset[int], NDArray[np.int64]] = {
        some: np.array([chosen]) for some, chosen in zip(sets, classes, strict=True)
    }
    if classes[0] == classes[-1]:
        decided[sets[-1]] = decided[sets[-1]] + 5
    before, after = decided[sets[0]][0], decided[sets[-1]][0]
    worth = {some: Fraction(int(now[0] != before) + int(now[0] == after), 2) for some, now in decided.items()}
    orders = list(permutations(range(count)))
    expected = [Fraction(0)] * count
    for order in orders:
        for place, part in enumerate(order):
            expected[part] += worth[frozenset(order[: place + 1])] - worth[frozenset(order[:place])]
    found = shapley(decided)[:, 0].tolist()
    assert [Fraction(own, unit(count)) for own in found] == [one / len(orders) for one in expected]
    assert sum(Fraction(str(one)) for one in in_steps(found, unit(count), 100)) == 1


def test_the_command(credit: Credit, bundle: Path, rival: Path, tonight: Path) -> None:
    tables = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    done = credit("why-changed", bundle, rival, *tables, "--out", tonight / "why.csv")
    assert done.returncode == 0, done.stderr
    with (tonight / "why.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} of 200 applications are decided otherwise" in done.stdout
    assert {row["calibration"] for row in rows} == {"1.0"}
    found = json.loads(credit("why-changed", bundle, rival, *tables, "--json").stdout)
    assert found["changed"] == len(rows) == found["parts"][0]["decisions"] == len(found["decisions"])
    assert credit("why-changed", bundle, rival, *tables, "--out", tonight / "why.txt").returncode == 2
    assert credit("why-changed", bundle, rival, *tables, "--out", tonight / "applications.csv").returncode == 2

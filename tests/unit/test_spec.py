"""The spec is validated on load; every error names the key."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.cells import KINDS
from features.errors import SpecError
from features.spec.contract import Monetary
from features.spec.file import parse_spec
from recipes.dataset import SPECS

MINIMAL = """
spec_version = 1
name = "minimal"
classes = ["Poor", "Good"]
[currency]
code = "EUR"
minor_digits = 2
[attributes.age]
kind = "integer"
range = [18, 100]
[events]
kinds = ["payment"]
[rfm.payments]
kinds = ["payment"]
windows_days = [30, 90]
frequency = true
[policy.costs]
Poor = { Poor = 0, Good = 5 }
Good = { Poor = 3, Good = 0 }
[score]
base_score = 600
base_odds = 2
points_to_double_odds = 50
"""

WRONG = [
    ("spec_version = 1", "spec_version = 3", "spec_version"),
    ('name = "minimal"', "name = 3", "name"),
    ('name = "minimal"', 'nmae = "minimal"', "nmae: unknown key"),
    ('["Poor", "Good"]', '["Good"]', "classes"),
    ('["Poor", "Good"]', '["Good", "good"]', "classes"),
    ("minor_digits = 2", "minor_digits = 9", "currency.minor_digits"),
    ("minor_digits = 2", "minor_digits = true", "currency.minor_digits"),
    ('kind = "integer"', 'kind = "int"', "attributes.age.kind"),
    ("[attributes.age]", "[attributes.as_of]", "attributes.as_of"),
    ("[attributes.age]", '[attributes."^.*$"]', "attributes.^.*$"),
    ("[attributes.age]", "[attributes.payments_count_30d]", "both make a feature payments_count_30d"),
    ('kind = "integer"\nrange = [18, 100]', 'kind = "category"\nvalues = [" a"]', "attributes.age.values"),
    ('kind = "integer"\nrange = [18, 100]', 'kind = "category"\nvalues = ["_a"]\nstrip = "_"', "attributes.age.values"),
    ('kinds = ["payment"]\n[rfm', 'kinds = ["payment", "fee "]\n[rfm', "events.kinds"),
    ('["Poor", "Good"]', '["Poor ", "Good"]', "classes"),
    ("[attributes.age]", '[attributes."a|b"]', "attributes.a|b"),
    ("range = [18, 100]", "range = [100, 18]", "attributes.age.range"),
    ("range = [18, 100]", "range = [18, inf]", "attributes.age.range"),
    ("range = [18, 100]", 'range = "18-100"', "attributes.age.range"),
    ("range = [18, 100]", 'values = ["a"]', "attributes.age.values"),
    ('kind = "integer"\nrange = [18, 100]', 'kind = "category"', "attributes.age.values"),
    ('kinds = ["payment"]\n[rfm', 'kinds = ["payment", "payment"]\n[rfm', "events.kinds"),
    ('kinds = ["payment"]\nwindows', 'kinds = ["salary"]\nwindows', "rfm.payments.kinds"),
    ("windows_days = [30, 90]", "windows_days = [0]", "rfm.payments.windows_days"),
    ("windows_days = [30, 90]", "windows_days = [30, 30]", "rfm.payments.windows_days"),
    ("frequency = true", "frequency = false", "rfm.payments: measures nothing"),
    ("frequency = true", 'monetary = ["median"]', "rfm.payments.monetary"),
    ("frequency = true", "trend_days = [90, 30]", "rfm.payments.trend_days"),
    ("frequency = true", "trend_days = [30, 60]", "rfm.payments.trend_days"),
    ("Good = { Poor = 3, Good = 0 }", "", "policy.costs.Good"),
    ("Poor = { Poor = 0, Good = 5 }", "Poor = { Poor = 0, Good = -5 }", "policy.costs.Poor"),
    ("Poor = { Poor = 0, Good = 5 }", "Poor = { Poor = 6, Good = 5 }", "policy.costs.Poor"),
    ("Poor = { Poor = 0, Good = 5 }", "Poor = { Poor = 0, Good = nan }", "policy.costs.Poor.Good"),
    ("Poor = { Poor = 0, Good = 5 }", "Poor = { Poor = 0, Great = 5 }", "policy.costs.Poor.Great"),
    ("base_odds = 2", "base_odds = 0", "base_odds"),
    ("[score]", "[score", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "named"), WRONG, ids=[named for _, _, named in WRONG])
def test_an_error_names_the_key(old: str, new: str, named: str) -> None:
    assert old in MINIMAL
    with pytest.raises(SpecError, match=r"my\.toml") as error:
        parse_spec(MINIMAL.replace(old, new, 1), "my.toml")
    assert named in str(error.value)


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_recipes_specs_are_complete_and_commented(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    spec = parse_spec(text)
    assert (spec.classes[0], spec.best_class) == ("Poor", "Good")
    assert text.count("\n#") >= 10
    if len(spec.classes) == 3:
        assert spec.costs[2][0] == max(max(row) for row in spec.costs), (
            "refusing a good applicant is the dearest mistake"
        )


def test_the_synthetic_spec_shows_every_kind_and_measure() -> None:
    spec = parse_spec((SPECS / "synthetic.toml").read_text())
    assert {a.kind for a in spec.attributes} == {n for n, kind in KINDS.items() if kind.since == 1} - {"text"}, (
        "texts make no feature"
    )
    assert {m for g in spec.groups for m in g.monetary} == set(Monetary)


def test_two_classes_need_no_other_change() -> None:
    assert parse_spec(MINIMAL).probability_columns == ("p_poor", "p_good")


@given(st.data())
def test_a_mutilated_spec_is_read_or_refused_and_never_crashes(data: st.DataObject) -> None:
    lines = MINIMAL.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        value = data.draw(
            st.sampled_from(["0", "-1", "true", '""', "[]", "{}", "1e400", "nan", '["x"]', "[[1]]", "1979-05-27"])
        )
        key = lines[at].split("=")[0].strip() or "stray"
        lines[at] = (
            f"{key} = {value}" if not key.startswith("[") else data.draw(st.sampled_from(["", "[x]", "[score]"]))
        )
    text = "\n".join(lines)
    try:
        spec = parse_spec(text)
    except SpecError:
        return
    assert spec.text == text
    assert tomllib.loads(text)["spec_version"] == 1


def test_both_versions_are_read_and_the_spec_says_which() -> None:
    assert parse_spec(MINIMAL).version == 1
    assert parse_spec(MINIMAL.replace("spec_version = 1", "spec_version = 2")).version == 2

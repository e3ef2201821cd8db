"""Your data in 15 minutes: the guide runs on a lender whose columns the product has never seen."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.draft import Tables, draft_spec
from features.draft.attribute import Drafted, draft_attribute
from features.matrix import build_features
from features.spec.file import parse_spec
from recipes.dataset import Dataset
from tests.conftest import PROJECT, Credit, real_data
from tests.shell import shell
from tests.sizes import KIND


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A lender in złoty, two classes with names of their own, odd columns, dirt."""
    generator = np.random.default_rng(4)
    n = 900
    worth = generator.normal(size=n)
    (tmp_path / "mine").mkdir()
    rent = np.char.mod("%.2f", np.exp(6 + 0.4 * worth))
    rent[::50], rent[1::60] = "brak", "-1"
    pl.DataFrame(
        {
            "application_id": [f"wniosek-{i}" for i in range(n)],
            "customer_id": [f"k{i // 2}" for i in range(n)],
            "as_of": [f"2026-{1 + i % 5:02d}-15" for i in range(n)],
            "czynsz / rent": rent,
            "Żywiciel": generator.choice(["tak", "nie"], n),
            "years": generator.integers(0, 40, n),
            "free text": [f"note {i}" for i in range(n)],
            "empty": [None] * n,
            "products": generator.choice(["loan", "card", "loan, and card", ""], n),
        }
    ).write_csv(tmp_path / "mine/applications.csv")
    owner = generator.integers(0, n // 2, 6000)
    pl.DataFrame(
        {
            "customer_id": np.char.add("k", owner.astype(str)),
            "occurred_at": (np.datetime64("2025-06-01") + generator.integers(0, 330, 6000)).astype(str),
            "kind": generator.choice(["przelew", "karta: zakup", "opłata"], 6000),
            "amount": np.char.mod("%.2f", generator.normal(50, 30, 6000) + 20 * worth[owner * 2]),
        }
    ).write_csv(tmp_path / "mine/events.csv")
    classes = np.where(worth + 0.5 * generator.normal(size=n) > 0, "spłacony", "windykacja")
    labels = pl.DataFrame({"application_id": [f"wniosek-{i}" for i in range(n)], "credit_class": classes})
    labels.write_csv(tmp_path / "mine/labels.csv")
    return tmp_path


@pytest.mark.process
def test_the_guide_runs_with_only_the_edits_it_asks_for(mine: Path) -> None:
    steps = re.findall(r"```sh\n(.*?)```", (PROJECT / "docs/your-data.md").read_text(), flags=re.DOTALL)
    assert len(steps) == 4
    done = shell(steps[0], mine)
    assert done.returncode == 0, done.stderr
    spec = mine / "mine/spec.toml"
    drafted = spec.read_text()
    assert drafted.count("EDIT") >= 4
    assert '# Left out: "free text" is free text: about 2 words a cell, 900 different cells.' in drafted
    assert '# Left out: "empty" has no values: every cell is empty' in drafted
    asked = shell("credit train mine --bundles mine/bundles", mine)
    assert asked.returncode == 2
    choice = 'classes = ["windykacja", "spłacony"]'
    assert choice in asked.stderr
    edited = drafted.replace(f"# {choice}", choice).replace('code = "EUR"', 'code = "PLN"')
    assert edited != drafted
    spec.write_text(edited)
    for step in steps[1:]:
        done = shell("set -e\n" + step, mine)
        assert done.returncode == 0, done.stderr
    kinds = {a.name: a.kind for a in parse_spec(edited).attributes}
    assert kinds == {
        "czynsz / rent": "number",
        "Żywiciel": "boolean",
        "years": "integer",
        "products": "list",
    }
    decisions = pl.read_csv(mine / "mine/decisions.csv")
    assert {"p_windykacja", "p_spłacony"} <= set(decisions.columns)
    assert decisions.height == 900
    accuracy = decisions.join(pl.read_csv(mine / "mine/labels.csv"), on="application_id", suffix="_true")
    assert (accuracy["credit_class"] == accuracy["credit_class_true"]).mean() > 0.6  # type: ignore[operator]


def test_a_second_draft_keeps_the_edited_spec_beside_it(mine: Path, credit: Credit) -> None:
    spec = mine / "mine/spec.toml"
    command = ("spec", "draft", "--applications", mine / "mine/applications.csv", "--events", mine / "mine/events.csv")
    for edited in ("# a day's work\n", "# and another\n"):
        spec.write_text(edited)
        assert "is kept" in credit(*command, "--out", spec).stdout
    assert [(mine / f"mine/spec.toml.{n}").read_text() for n in (1, 2)] == ["# a day's work\n", "# and another\n"]
    assert "is kept" not in credit(*command, "--out", spec).stdout, "an untouched draft needs no copy"


def test_a_draft_of_other_names_says_what_to_rename(mine: Path, credit: Credit) -> None:
    applications = mine / "mine/applications.csv"
    header, rest = applications.read_text().split("\n", 1)
    command = ("spec", "draft", "--events", mine / "mine/events.csv", "--out", mine / "s.toml", "--applications")
    applications.write_text(header.replace("customer_id", "client") + "\n" + rest)
    said = credit(*command, applications).stderr
    assert "Rename the column that holds it, or add it. Other columns found: " in said
    assert "client, " in said
    applications.write_text("wniosek-0,k0,2026-01-15\nwniosek-1,k1,2026-02-15\n")
    said = credit(*command, applications).stderr
    assert "is the first line the header?" in said
    assert "wniosek" not in said, "a first line that is data is not repeated"


def drafted_of(cells: Sequence[object], name: str = "column_x") -> Drafted:
    return draft_attribute(pl.Series(name, cells), len(cells), None)


def test_columns_of_identifiers_are_no_attributes() -> None:
    phones = [f"{number:09d}" for number in range(600_000_000, 600_100_000, 997)]
    for cells in (phones, [f"+{phone}" for phone in phones], [int(phone) for phone in phones]):
        assert drafted_of(cells).reason.startswith("looks like a phone number or another identifier")
    incomes = [1000 * number**2 for number in range(1, 200)]  # all different, some of seven digits and more
    assert 'kind = "integer"' in drafted_of(incomes).lines[1]


def test_a_missing_column_is_looked_for_among_the_others_by_its_name(mine: Path, credit: Credit) -> None:
    applications = mine / "mine/applications.csv"
    header, rest = applications.read_text().split("\n", 1)
    applications.write_text(header.replace("customer_id", "Customer ID") + "\n" + rest)
    said = credit(
        *("spec", "draft", "--applications", applications, "--events", mine / "mine/events.csv"),
        "--out",
        mine / "s.toml",
    ).stderr
    assert "Other columns found: Customer ID, " in said


def test_characters_around_categories_are_stripped_only_where_they_are_dirt() -> None:
    dirty = drafted_of(["own", "own_", "rent", "*rent", "rent_"]).lines
    assert 'values = ["own", "rent"]' in dirty
    assert 'strip = "_*"' in dirty
    names = drafted_of(["A*", "B", "C_"]).lines
    assert 'values = ["A*", "B", "C_"]' in names
    assert not any(line.startswith("strip") for line in names)


@pytest.mark.slow
def test_the_draft_of_uci_trains_untouched(tmp_path: Path, credit: Credit) -> None:
    source = real_data("uci_default_of_credit_card_clients.csv")
    assert credit("dataset", "uci", source, "--out", tmp_path).returncode == 0
    tables = [part for n in ("applications", "events", "labels") for part in (f"--{n}", tmp_path / f"{n}.parquet")]
    assert credit("spec", "draft", *tables, "--out", tmp_path / "spec.toml").returncode == 0
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", KIND)
    assert done.returncode == 0, done.stderr


def test_the_draft_of_dirty_columns_finds_tokens_strips_and_ranges(dataset: Dataset) -> None:
    draft = draft_spec(Tables.of(dataset.applications, dataset.events, dataset.labels))
    assert not any(look.startswith("months_employed: left out") for look in draft.looks)
    spec = parse_spec(draft.text)
    attributes = {a.name: a for a in spec.attributes}
    written = {a.name: a.kind for a in parse_spec(dataset.spec_text).attributes}
    money_is_a_number = {n: "number" if k == "money" else k for n, k in written.items()}
    assert {n: a.kind for n, a in attributes.items()} == money_is_a_number
    assert attributes["months_employed"].strip == "_"
    assert "_______" in attributes["months_employed"].missing_tokens
    assert attributes["months_employed"].minimum == 0, "one cell in a hundred that is -500 does not widen the range"
    assert "-500" in attributes["months_employed"].missing_tokens
    assert spec.classes == ("Poor", "Standard", "Good")
    table = build_features(dataset.applications, dataset.events, spec)
    assert table.rejects.filter(pl.col("code").str.starts_with("event_")).is_empty()


@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["1", "2.5", "_3", "NA", "a, b"]), max_size=12), st.text(max_size=8)
)
@pytest.mark.slow
def test_any_column_drafts_to_a_spec_that_parses(cells: list[str], name: str) -> None:
    column = pl.Series(name, cells, dtype=pl.String)
    assert draft_attribute(column, len(cells), None).name == name
    identity = {"application_id": "a", "customer_id": "c", "as_of": "2026-01-01"}
    if name in identity:
        return
    applications = pl.DataFrame([column]).with_columns(**{k: pl.lit(v) for k, v in identity.items()})
    kinds = [cell.strip() for cell in cells if cell.strip()] or ["payment"]
    events = pl.DataFrame({"customer_id": "c", "occurred_at": "2026-01-01", "kind": kinds, "amount": "1"})
    spec = parse_spec(draft_spec(Tables.of(applications, events)).text)
    build_features(applications, events, spec)

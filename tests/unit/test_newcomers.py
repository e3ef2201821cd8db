"""Where newcomers stumbled who brought a file of their own with docs/your-data.md alone."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.cells.instant_advice import instant_advice
from features.dialect import Dialect
from features.draft import Draft, Tables, draft_spec
from features.errors import InputError
from features.matrix import build_features
from features.protected import protected
from features.spec.file import parse_spec
from storage.tables import read_table
from tests.conftest import Credit
from tests.process.test_draft_columns import NO_EVENTS

ROWS = 200
LUCK = np.random.default_rng(12)
IDS = [f"A{i}" for i in range(ROWS)]
CLASSES = LUCK.choice(["good", "bad"], ROWS, p=[0.8, 0.2])


def drafted(columns: dict[str, Any], events: pl.DataFrame | None = None) -> tuple[Draft, pl.DataFrame, dict[str, str]]:
    """Draft a table of these columns: the draft, the table, and what is said of each column."""
    table = pl.DataFrame({"application_id": IDS, "customer_id": IDS, "as_of": "2024-03-01", **columns})
    made = draft_spec(Tables.of(table, events, pl.DataFrame({"application_id": IDS, "credit_class": CLASSES})))
    return made, table, {look.split(":")[0]: look for look in made.looks}


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def test_amounts_with_a_comma_are_no_identifiers_though_all_are_different_and_as_long() -> None:
    made, _, said = drafted({"income": [german(1000 + 8.37 * i) for i in range(ROWS)]})
    assert "income" not in said
    assert [(a.kind, a.decimal) for a in parse_spec(made.text).attributes] == [("number", ",")]


def test_events_with_a_comma_are_declared_and_attributes_with_a_point_keep_it() -> None:
    names = {"customer_id": IDS, "occurred_at": "2024-02-01", "kind": "card"}
    events = pl.DataFrame({**names, "amount": [german(-1000 - i) for i in range(ROWS)]})
    columns = {"rate": [f"{1 + i / 100:.2f}" for i in range(ROWS)], "flag": ["1.0", "0.0"] * (ROWS // 2)}
    made, table, said = drafted(columns, events)
    assert 'decimal = "," stands at the top' in said["events"]
    spec = parse_spec(made.text)
    features = build_features(table, events, spec)
    assert (features.rejects.height, features.dirt.height, features.matches.applications) == (0, 0, ROWS)
    assert np.isfinite(features.matrix[:, :2]).all()
    assert features.matrix[0, -2] == pytest.approx(-1000)
    advice = instant_advice(table, events, {"event_amount_unreadable": ROWS}, ROWS)
    assert 'write decimal = "," at the top of the spec' in advice
    assert not instant_advice(table, events.with_columns(amount=pl.lit("12.50?")), {"event_amount_unreadable": 9}, 9)


@pytest.mark.parametrize(
    ("name", "cells", "words"),
    [
        ("zip_code", [f"{i:03d}xx" for i in range(ROWS)], "is a code: its digits name something"),
        ("url", [f"https://loans.example/{i * 7919}" for i in range(ROWS)], "an address on the web"),
        ("last_login_ms", [str(1_700_000_000_123 + 77_777_777 * i) for i in range(ROWS)], '"epoch_milliseconds"'),
        ("EMPSTAT", [*[1, 2, 3, 4] * 48, *[9] * 8], '9: 8 cells, .*add "9" to missing_tokens'),
        ("DEPENDANTS", [*[0, 1, 2, 3, 4, 5] * 32, *[9] * 8], '9: 8 cells, .*add "9" to missing_tokens'),
        ("tags", ["[]", '["vip"]'] * (ROWS // 2), r'"\[\]" is taken as "not known": 100 cells, .*% `bad` against'),
        ("opened", ["2024-02-01", "2024-03-02"] * (ROWS // 2), "100 cells lie after as_of: .*% `bad` against"),
    ],
)
def test_what_only_a_person_can_tell_is_said(name: str, cells: list[Any], words: str) -> None:
    _, _, said = drafted({name: cells, "income": LUCK.lognormal(8, 1, ROWS)})
    assert name in said
    assert re.search(words, said[name])


def test_counts_that_run_on_to_nine_are_in_no_doubt() -> None:
    _, _, said = drafted({"enquiries": [*[0, 1, 2, 3, 4, 5, 6, 7] * 24, *[8] * 4, *[9] * 4]})
    assert "enquiries" not in said


def test_a_month_is_not_told_to_lie_after_as_of_where_it_does_not() -> None:
    made, table, said = drafted({"opened": [f"0{1 + i % 3}/2024" for i in range(ROWS)]})
    assert "opened" not in said
    assert build_features(table, NO_EVENTS, parse_spec(made.text)).dirt.is_empty()


@pytest.mark.parametrize(
    "name", ["BRTH_DT", "brthdt", "GEBDAT", "famges", "FAMSTAND", "gastarb", "GNDR_CD", "MRTL_STS"]
)
def test_short_names_of_protected_attributes_are_known(name: str) -> None:
    assert protected(name)


@pytest.mark.parametrize("name", ["BATCH_DT", "gasto", "familiar", "fameleon"])
def test_names_that_only_look_like_them_are_not(name: str) -> None:
    assert protected(name) is None


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("name;größe\n1;2\n", "latin-1"),
        ("name;size\n1;groß\n", "latin-1"),
        ("name;größe €\n1;2\n", "cp1252"),
        ("a\tgröße\n1\t2\n", "latin-1"),
    ],
)
def test_separator_and_encoding_are_named_at_once(content: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode(encoding))
    with pytest.raises(InputError) as refused:
        read_table(path, "applications")
    separator = "tab" if "\t" in content else ";"
    said = str(refused.value)
    assert f'separator = "{separator}" and encoding = "{encoding}"' in said
    assert f'--separator "{separator}" --encoding {encoding}' in said
    dialect = Dialect(separator="\t" if separator == "tab" else separator, encoding=encoding)
    assert read_table(path, "applications", dialect=dialect).height == 1


def test_the_index_that_pandas_writes_is_a_column_by_the_name_that_pandas_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",application_id\n0,A1\n1,A2\n")
    assert read_table(path, "applications").columns == ["Unnamed: 0", "application_id"]
    path.write_text("application_id,\nA1,0\n")
    with pytest.raises(InputError, match="column 2 has no name"):
        read_table(path, "applications")


def test_a_file_that_is_not_there_is_said_before_one_that_is_not_given(tmp_path: Path, credit: Credit) -> None:
    spec = tmp_path / "spec.toml"
    events = pl.DataFrame({"customer_id": IDS, "occurred_at": "2024-02-01", "kind": "card", "amount": "1.00"})
    spec.write_text(drafted({"income": LUCK.lognormal(8, 1, ROWS)}, events)[0].text)
    done = credit("check", "--spec", spec, "--applications", tmp_path / "applications.csv")
    assert "applications.csv: no such file or folder" in done.stderr

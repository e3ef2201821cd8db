"""A lender without account events: no command asks for them, and a spec that measures some says so."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.draft import Tables, draft_spec
from features.spec.file import parse_spec
from recipes.dataset import Dataset
from tests.conftest import Credit

ROWS = 300


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory, credit: Credit) -> Path:
    """Tables without events, a drafted spec, and a bundle linked as `current`."""
    folder = tmp_path_factory.mktemp("lender")
    generator = np.random.default_rng(1)
    worth = generator.normal(size=ROWS)
    pl.DataFrame(
        {
            "application_id": [f"A{i}" for i in range(ROWS)],
            "customer_id": [f"C{i}" for i in range(ROWS)],
            "as_of": "2026-01-15",
            "income": np.rint(3000 + 800 * worth).astype(int),
        }
    ).write_csv(folder / "applications.csv")
    classes = np.where(worth + generator.normal(size=ROWS) > 0, "Good", "Poor")
    labels = pl.DataFrame({"application_id": [f"A{i}" for i in range(ROWS)], "credit_class": classes})
    labels.write_csv(folder / "labels.csv")
    tables = ("--applications", folder / "applications.csv", "--labels", folder / "labels.csv")
    assert credit("spec", "draft", *tables, "--out", folder / "spec.toml").returncode == 0
    done = credit("train", folder, "--bundles", folder / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    (folder / "current").symlink_to(done.stdout.splitlines()[-1])
    done = credit(*score(folder), "--log", folder / "log")
    assert done.returncode == 0, done.stderr
    return folder


def score(folder: Path) -> tuple[object, ...]:
    tables = ("--bundle", folder / "current", "--applications", folder / "applications.csv")
    return ("score", *tables, "--out", folder / "decisions.csv")


@pytest.mark.slow
def test_no_command_asks_for_events_that_the_spec_does_not_measure(lender: Path, credit: Credit) -> None:
    assert parse_spec((lender / "spec.toml").read_text()).groups == ()
    assert pl.read_csv(lender / "decisions.csv").height == ROWS
    bundle, tables = ("--bundle", lender / "current"), ("--applications", lender / "applications.csv")
    for command in (
        ("features", *bundle, *tables, "--application-id", "A0"),
        ("explain", *bundle, *tables, "--application-id", "A0"),
        (
            "monitor",
            *bundle,
            *tables,
            "--decisions",
            lender / "decisions.csv",
            "--out",
            lender / "monitor.html",
            "--fail-on",
            "none",
        ),
        ("report", lender / "current", "--data", lender, "--out", lender / "report.html"),
        ("replay", lender / "log", "--bundles", lender / "bundles"),
    ):
        done = credit(*command)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.process
def test_the_doors_agree_without_events(lender: Path, credit: Credit) -> None:
    done = credit("verify", "--bundle", lender / "current", "--applications", lender / "applications.csv")
    assert done.returncode == 0, done.stderr


def test_rejects_are_located_without_a_file_of_events(lender: Path, credit: Credit, tmp_path: Path) -> None:
    text = (lender / "applications.csv").read_text().replace("A7,C7,2026-01-15", "A7,,2026-01-15")
    (tmp_path / "applications.csv").write_text(text)
    command = ("score", "--bundle", lender / "current", "--applications", tmp_path / "applications.csv")
    done = credit(*command, "--out", tmp_path / "decisions.csv")
    assert done.returncode == 0, done.stderr
    (reject,) = pl.read_csv(tmp_path / "decisions.rejects.csv").to_dicts()
    assert (reject["file"], reject["row"], reject["event_file"]) == ("applications.csv", 8, None)


def test_a_spec_that_measures_events_asks_for_them(bundle: Path, tonight: Path, credit: Credit) -> None:
    command = ("score", "--bundle", bundle, "--applications", tonight / "applications.csv")
    done = credit(*command, "--out", tonight / "decisions.csv")
    assert done.returncode == 2
    assert "Pass them with --events" in done.stderr


def test_events_with_a_header_alone_are_no_events(dataset: Dataset) -> None:
    text = draft_spec(Tables.of(dataset.applications, dataset.events.clear(), dataset.labels)).text
    assert parse_spec(text).groups == ()
    assert text == draft_spec(Tables.of(dataset.applications, None, dataset.labels)).text

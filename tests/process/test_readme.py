"""What the README and the documents say is so: the demo, each command, the cron line, targets, links and codes."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from features.rejects import EXPECTED
from recipes.dataset import Dataset
from tests.conftest import PROJECT, Credit
from tests.shell import shell

README = (PROJECT / "README.md").read_text()


def test_the_demo_scores_a_dirty_file_and_says_where_everything_lies(demo: Path) -> None:
    said = (demo / "said.txt").read_text()
    assert "$ credit score --bundle demo/bundles/current" in said
    assert "cells that became missing" in said
    assert said.endswith("decisions.csv and what is beside it.\n")
    run = json.loads((demo / "demo/decisions.run.json").read_text())
    assert run["applications"] == run["decisions"] + run["rejected_applications"] > 1500
    assert run["rejected_applications"] > 0, "the demo shows a reject"
    for path in ("train/spec.toml", "bundles/current/manifest.json", "decisions.csv", "decisions.rejects.csv"):
        assert (demo / "demo" / path).exists()


def test_the_demo_of_the_stream_shows_decisions_and_dead_letters(demo: Path) -> None:
    done = shell(f"sh {PROJECT / 'demo-stream.sh'}", demo)
    assert done.returncode == 0, done.stderr
    assert "300 applications published to credit.applications" in done.stdout
    assert done.stdout.count('{"decision_id":') == 3
    assert "customer_id_missing  /customer_id" in done.stdout


def test_the_live_demo_names_each_late_event_and_has_no_defect(demo: Path) -> None:
    done = shell(f"sh {PROJECT / 'demo-live.sh'}", demo)
    assert done.returncode == 0, done.stderr
    assert "300 applications published to credit.applications" in done.stdout
    assert "0 defects" in done.stdout
    assert int(re.findall(r"late: .* ([0-9]+)\n", done.stdout)[0]) > 0
    assert not [path for path in (demo / "demo").rglob("*") if path.is_fifo()], "its copy would wait for ever"


def test_the_demo_empties_no_folder_of_somebody_else(tmp_path: Path, credit: Credit) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/spec.toml").write_text("# mine, laid out as a demo is\n")
    done = credit("demo", "--out", tmp_path)
    assert done.returncode == 2
    assert "is not emptied" in done.stderr
    assert (tmp_path / "train/spec.toml").exists()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_a_command_of_the_readme_runs(line: str, demo: Path) -> None:
    """They go on from each other, so all of this file must run in one process, in this order."""
    done = shell(line, demo)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_cron_line_runs(demo: Path, tmp_path: Path) -> None:
    (line,) = (line for block in blocks("cron") for line in block.splitlines())
    *when, command = line.split(maxsplit=5)
    assert all(re.fullmatch(r"[0-9*]+", field) for field in when)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("applications.csv", "events.csv"):
        shutil.copy(demo / "demo/tonight" / name, tmp_path / "in" / name)
    decided = json.loads((demo / "demo/decisions.run.json").read_text())["bundle_id"]
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles/current").symlink_to(demo / "demo/bundles" / decided)
    assert "cd /srv/credit" in command
    local = command.replace("/srv/credit", str(tmp_path)).replace(".venv/bin/credit", "credit")
    done = shell(local, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/decisions.csv").read_bytes() == (demo / "demo/decisions.csv").read_bytes()


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (PROJECT / ".ci/run").read_text()


@pytest.mark.slow
def test_the_tables_attribute_example_is_all_that_a_new_attribute_needs(
    tmp_path: Path, credit: Credit, dataset: Dataset
) -> None:
    (example,) = blocks("toml")
    dataset.applications.with_columns(years_at_address=pl.lit("4.5")).write_parquet(tmp_path / "applications.parquet")
    dataset.events.write_parquet(tmp_path / "events.parquet")
    dataset.labels.write_parquet(tmp_path / "labels.parquet")
    (tmp_path / "spec.toml").write_text(dataset.spec_text + "\n" + example)
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    bundle = Path(done.stdout.splitlines()[-1])
    arguments = ("--applications", tmp_path / "applications.parquet", "--events", tmp_path / "events.parquet")
    shown = credit(
        "features",
        "--bundle",
        bundle,
        *arguments,
        "--application-id",
        dataset.applications["application_id"][0],
        "--json",
    )
    row = {r["feature"]: (r["value"], r["unit"]) for r in json.loads(shown.stdout)}
    assert row["years_at_address"] == (4.5, "years")


def test_the_documented_reject_codes_are_those_of_the_product() -> None:
    table = re.findall(
        r"^\| `([a-z_]+)` \| (.+) \|$",
        (PROJECT / "docs/data.md").read_text().split("## Decisions")[0],
        flags=re.MULTILINE,
    )
    assert dict(table) == EXPECTED


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"

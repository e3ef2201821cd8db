"""Edges of the command line, each found by use: streams that are gone, bundles made by hand, too little to train on."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recipes.dataset import Dataset
from scoring.bundle.folder import canonical_json
from tests.conftest import PROJECT, Credit


def shell(line: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `credit` as "$C" in a line of bash, which can close and break its streams."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "C": f"{sys.executable} -m cli.main"}
    command = ["bash", "-c", line, "bash", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.process
@pytest.mark.parametrize(
    ("stream", "code", "said"),
    [
        ("| true; exit ${PIPESTATUS[0]}", 0, ""),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("> /dev/full", 4, "error: standard output could not be written (No space left on device)"),
    ],
    ids=["reader left", "closed", "both closed", "full"],
)
def test_a_standard_output_that_is_gone_is_no_traceback(
    stream: str, code: int, said: str, tonight: Path, bundle: Path
) -> None:
    line = f'$C score --bundle "$1" --applications "$2/applications.csv" --events "$2/events.csv" --out "$3" {stream}'
    out = tonight / "decisions.csv"
    done = shell(line, bundle, tonight, out)
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (code, False, False)
    assert done.stderr.startswith(said)
    assert pl.read_csv(out).height > 190
    assert not list(tonight.glob(".*"))


def republished(bundle: Path, folder: Path, **facts: object) -> Path:
    """The bundle with other facts in its manifest (None: left out), hashed again by hand."""
    copy = Path(shutil.copytree(bundle, folder / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text()) | facts
    content = canonical_json({name: value for name, value in manifest.items() if value is not None})
    (copy / "manifest.json").write_bytes(content)
    return copy.rename(folder / hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("facts", [{"evaluation": None}, {"model": None}, {"parity": 1}, {"evaluation": {}}])
def test_a_bundle_hashed_by_hand_without_its_facts_is_named(
    facts: dict[str, object], bundle: Path, tmp_path: Path, credit: Credit
) -> None:
    done = credit("bundle", "show", republished(bundle, tmp_path, **facts))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert re.search("lacks facts that every export states|states no complete evaluation", done.stderr)


def test_decisions_of_another_bundle_are_not_priced_by_this_one(
    tonight: Path, bundle: Path, tmp_path: Path, dataset: Dataset, credit: Credit
) -> None:
    out, labels = tonight / "decisions.csv", tonight / "labels.csv"
    dataset.labels.write_csv(labels)
    inputs = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    assert credit("score", "--bundle", bundle, *inputs, "--out", out).returncode == 0
    arguments = ("evaluate", "--decisions", out, "--labels", labels, "--bundle")
    assert credit(*arguments, bundle).returncode == 0
    done = credit(*arguments, republished(bundle, tmp_path, name="another"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "were made by another bundle" in done.stderr


def test_train_says_which_codes_rejected_the_examples_that_it_lacks(
    tmp_path: Path, dataset: Dataset, credit: Credit
) -> None:
    dataset.applications.with_columns(as_of=pl.lit("last summer")).write_csv(tmp_path / "applications.csv")
    dataset.events.head(5).write_csv(tmp_path / "events.csv")
    dataset.labels.write_csv(tmp_path / "labels.csv")
    (tmp_path / "spec.toml").write_text(dataset.spec_text)
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles")
    assert done.returncode == 1
    assert "Rejected rows: as_of_unreadable" in done.stderr


def written_by(command: str, bundle: Path, tonight: Path, out: Path) -> list[object]:
    """A command that writes one file where it is told to."""
    inputs = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    return {
        "report": ["report", bundle, "--out", out],
        "explain": ["explain", "--bundle", bundle, *inputs, "--application-id", "A7-0000000", "--html", out],
        "draft": ["spec", "draft", *inputs, "--out", out],
        "features": ["features", "--bundle", bundle, *inputs, "--out", out],
        "verify": ["verify", "--bundle", bundle, *inputs, "--out", out],
    }[command]


@pytest.mark.parametrize("command", ["report", "explain", "draft", "features"])
@pytest.mark.slow
def test_the_folder_of_a_file_to_write_is_made(command: str, bundle: Path, tonight: Path, credit: Credit) -> None:
    out = tonight / "new/folder/file.csv"
    done = credit(*written_by(command, bundle, tonight, out))
    assert (done.returncode, out.stat().st_size > 0) == (0, True), done.stderr


@pytest.mark.parametrize("command", ["report", "explain", "draft", "features", "verify"])
def test_a_folder_that_cannot_be_made_is_named_before_any_work(
    command: str, bundle: Path, tonight: Path, credit: Credit
) -> None:
    done = credit(*written_by(command, bundle, tonight, tonight / "events.csv/folder/file.csv"))
    assert (done.returncode, done.stdout) == (4, "")
    assert "events.csv/folder: cannot be made (Not a directory)" in done.stderr

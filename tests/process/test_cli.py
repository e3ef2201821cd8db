"""The command as users meet it: every --help with its example, and what it says when it cannot work."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost
from typer.main import get_command

from cli.commands import COMMANDS, load_command
from cli.main import app
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.machine import cpu_family
from tests.conftest import PROJECT, Credit


def examples(node: Any = None) -> dict[tuple[str, ...], list[str]]:
    """Each command, in groups as deep as they go, with the words of its example."""
    found: dict[tuple[str, ...], list[str]] = {}
    root: Any = node or get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            found |= {(name, *inner): example for inner, example in examples(command).items()}
        else:
            found[(name,)] = shlex.split(command.epilog.removeprefix("Example: "))
    return found


def commands() -> list[tuple[str, ...]]:
    return list(examples())


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_has_an_example_of_that_command(command: tuple[str, ...], credit: Credit) -> None:
    done = credit(*command, "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert f"Example: credit {' '.join(command)}" in text


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    said = load_command(name).help.split("\n\n")[0]
    assert " ".join(said.split()) == COMMANDS[name][1]


@pytest.mark.process
def test_the_list_of_commands_imports_none_of_them() -> None:
    code = "import sys; from cli.main import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert not {"polars", "numpy", "onnxruntime", "pydantic", "confluent_kafka"} & set(done.stdout.split())


@pytest.mark.process
def test_the_command_reference_is_that_of_the_command() -> None:
    command = [sys.executable, "-m", "typer", "cli.main", "utils", "docs", "--name", "credit"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    assert made.strip() == (PROJECT / "docs/commands.md").read_text().strip(), "run make docs"


def test_version_names_release_libraries_and_processors(credit: Credit) -> None:
    done = credit("--version")
    assert done.returncode == 0
    release, python, libraries = done.stdout.splitlines()
    assert re.fullmatch(r"credit-scoring \d+\.\d+\.\d+", release)
    assert cpu_family() in python
    assert f"polars {pl.__version__}" in libraries


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_explains_each_option(command: tuple[str, ...]) -> None:
    node: Any = get_command(app)
    for name in command:
        node = node.commands[name]
    for parameter in node.params:
        text = parameter.help or ""
        assert len(text) > 5, parameter.name
        assert not re.search(r"\[[a-z]", text), f"{parameter.name}: what stands in brackets is not shown"
        assert not isinstance(parameter.show_default, str), f"{parameter.name}: would be shown in parentheses"


def test_the_examples_of_help_run(demo: Path, training_folder: Path, tmp_path: Path, credit: Credit) -> None:
    """Those that need no file from elsewhere, in a copy of the demo, with less to train on and a second bundle."""
    demo = Path(shutil.copytree(demo, tmp_path / "copy", symlinks=True))
    shutil.copytree(training_folder, demo / "demo/train", dirs_exist_ok=True)
    inputs = ("--applications", "demo/train/applications.parquet", "--events", "demo/train/events.parquet")
    credit("features", "--spec", "demo/train/spec.toml", *inputs, "--out", "matrix.parquet", cwd=demo)
    matrix = pl.read_parquet(demo / "matrix.parquet").drop("application_id", "customer_id", "as_of").to_numpy()
    data = xgboost.DMatrix(matrix, label=np.arange(len(matrix)) % 3)
    xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, 2).save_model(demo / "model.json")
    (demo / "costs.toml").write_text("costs = [[0, 150, 400], [200, 0, 100], [2000, 250, 0]]\n")
    tree = credit("train", "demo/train", "--bundles", "demo/bundles", "--model", "decision-tree", cwd=demo)
    assert tree.returncode == 0, tree.stderr
    for name in ("current", "next"):
        assert credit("bundle", "promote", tree.stdout.splitlines()[-1], "--as", name, cwd=demo).returncode == 0
    for command, example in examples().items():
        needs_a_file = example[1] == "dataset" and example[2] != "synthetic"
        if needs_a_file or example[1] == "stream":  # these run in tests/kafka/test_stream_cli.py
            continue
        if example[1] == "history" and "--brokers" in example:  # in tests/kafka/test_history_topic.py
            continue
        if example[1] == "challenger":  # of a log with its receipts: in tests/unit/test_challenger_report.py
            continue
        if example[1] == "registry":  # where promote would be refused from then on: in tests/unit/test_registry.py
            continue
        if command in {
            ("demo",),
            ("serve",),
            ("key", "revoke"),
            ("log", "consume"),
            ("spark", "score"),
        }:  # in their own tests
            continue
        done = credit(*example[1:], cwd=demo)
        assert done.returncode == 0, (example, done.stderr)


@pytest.mark.slow
def test_the_bundle_is_the_last_line_of_train_and_can_be_shown_and_verified(bundle: Path, credit: Credit) -> None:
    shown = credit("bundle", "show", bundle)
    assert shown.stdout.splitlines()[0].split()[-1] == bundle.name
    assert "64 golden rows agree to the bit" in shown.stdout
    assert json.loads(credit("bundle", "show", bundle, "--json").stdout)["bundle_id"] == bundle.name
    assert credit("bundle", "verify", bundle).stdout.startswith(f"{bundle.name} verified")


def test_verify_ends_with_2_and_names_the_file(bundle: Path, tmp_path: Path, credit: Credit) -> None:
    broken = shutil.copytree(bundle, tmp_path / bundle.name)
    (broken / "policy.toml").write_text("")
    done = credit("bundle", "verify", broken)
    assert (done.returncode, done.stdout) == (2, "")
    assert "policy.toml" in done.stderr


def test_evaluate_as_json_and_its_errors(demo: Path, credit: Credit) -> None:
    decisions, labels = demo / "demo/decisions.csv", demo / "demo/tonight/labels.csv"
    result = json.loads(credit("evaluate", "--decisions", decisions, "--labels", labels, "--json").stdout)
    assert 0.5 < result["metrics"]["accuracy"]["value"] < 0.8
    assert sum(sum(row.values()) for row in result["confusion"].values()) == result["applications"]
    other = demo / "other.csv"
    for content, message in (
        ("application_id,class\nA,Good\n", "credit_class is missing"),
        ("application_id,credit_class\nnobody,Good\n", "no application_id of the labels is among the decisions"),
        ("application_id,credit_class\nA2-0000000,Great\n", "has no probability column"),
        ("application_id,credit_class\nA,Good\nA,Good\n", "an application_id is repeated"),
        ("decision_id,application_id,credit_class\n0,A2-0000000,Good\n", "labels: are decisions"),
    ):
        other.write_text(content)
        done = credit("evaluate", "--decisions", decisions, "--labels", other)
        assert done.returncode == 1
        assert message in done.stderr


def test_features_of_an_application_that_is_not_there_or_rejected(tonight: Path, bundle: Path, credit: Credit) -> None:
    arguments = ("--bundle", bundle, "--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    done = credit("features", *arguments, "--application-id", "nobody")
    assert (done.returncode, done.stderr.count("no such application")) == (1, 1)
    with (tonight / "applications.csv").open("a") as file:
        file.write("X1,C9,someday,41,1,nurse,,12.5,2,Good,1000,none\n")
    done = credit("features", *arguments, "--application-id", "X1")
    assert done.returncode == 1
    assert "as_of_unreadable" in done.stderr


def test_train_refuses_a_folder_without_its_files(tmp_path: Path, credit: Credit, dataset: Dataset) -> None:
    assert "spec.toml: cannot be read" in credit("train", tmp_path, "--bundles", tmp_path).stderr
    (tmp_path / "spec.toml").write_text(dataset.spec_text)
    done = credit("train", tmp_path, "--bundles", tmp_path)
    assert (done.returncode, "expected applications.parquet or applications.csv" in done.stderr) == (1, True)
    (tmp_path / "spec.toml").write_text("spec_version = 3")
    assert credit("train", tmp_path, "--bundles", tmp_path).returncode == 2


@pytest.mark.process
@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ("xgboost", ["train", "DIR", "--bundles", "B"]),
        ("pydantic_settings", ["serve", "--bundle", "B"]),
        ("confluent_kafka", ["stream", "run", "--bundle", "B"]),
    ],
)
def test_a_plain_install_names_the_extra_that_a_command_needs(absent: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "DIR").mkdir()
    (tmp_path / "DIR/spec.toml").write_text(synthetic(1, seed=1).spec_text)
    code = f"import sys; sys.modules[{absent!r}] = None; sys.argv[1:] = {words!r}; from cli.main import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    extra = {"xgboost": "train", "pydantic_settings": "api", "confluent_kafka": "stream"}[absent]
    assert (done.returncode, f"pip install .[{extra}]" in done.stderr) == (2, True), done.stderr

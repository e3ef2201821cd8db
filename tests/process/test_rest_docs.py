"""What docs/rest.md and the README say of door 3 is run, or made from the product."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.settings import Settings
from api.tables import FLAGS, PAGE, with_tables
from monitoring.live.metric_names import HISTORY, LIVE, REST, metrics_table
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.rest_door import Door, running
from tests.waiting import PATIENCE_S, free_port

pytestmark = pytest.mark.process

COMMANDS = {"python": (sys.executable, "client.py"), "javascript": ("node", "client.mjs"), "shell": ("sh", "client.sh")}


@pytest.fixture(scope="module")
def door(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running(bundle, tmp_path_factory.mktemp("door"), "fastapi") as door:
        yield door


@pytest.mark.parametrize("language", COMMANDS)
def test_a_client_in_three_lines_gets_the_decision(
    language: str, door: Door, scorer: Scorer, credit: Credit, tmp_path: Path
) -> None:
    program, file = COMMANDS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 3
    (tmp_path / file).write_text(code.replace(":8000", f":{door.port}"))
    application = credit("bundle", "schema", scorer.bundle.path, "--example").stdout
    stated, medians = json.loads(application)["attributes"], scorer.bundle.explainer.book.medians
    assert stated["annual_income"] == medians["annual_income"], "the example is a usual application"
    (tmp_path / "application.json").write_text(application)
    done = subprocess.run(
        [program, file], cwd=tmp_path, env={**os.environ, "CREDIT_KEY": door.key}, capture_output=True, check=False
    )
    (answer,) = MessageScorer(scorer).answer([application.encode()])
    assert done.stdout.strip() == answer.decision, done.stderr


def test_the_readme_serves_an_application(bundle: Path, tmp_path: Path, door: Door) -> None:
    (block,) = re.findall(r"```shell\n(.*?)```", (PROJECT / "README.md").read_text(), flags=re.DOTALL)
    key, example, serve, curl = block.strip().splitlines()
    assert serve == "credit serve --bundle demo/bundles/current --port 8000 &"
    (tmp_path / "demo/bundles").mkdir(parents=True)
    (tmp_path / "demo/bundles/current").symlink_to(bundle)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    again = curl.replace("--retry 5", "--retry 200 --retry-delay 1")
    port = free_port()
    lines = [key, example, serve.replace("8000", str(port)), again.replace("8000", str(port)), "kill $!"]
    done = subprocess.run(
        ["sh", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    decision = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    assert json.loads(decision)["bundle_id"] == bundle.name, done.stderr
    assert door.port


def test_the_tables_are_those_of_the_product(credit: Credit) -> None:
    assert with_tables(PAGE.read_text()) == PAGE.read_text(), "python -m api.tables"
    assert all(metrics_table(part) in (PROJECT / "docs/monitoring.md").read_text() for part in (LIVE, HISTORY, REST))
    said = credit("serve", "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in said for name in FLAGS)
    assert all(name in Settings.model_fields for name in FLAGS)

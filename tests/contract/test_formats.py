"""Bundles, specs and logs that users have made with earlier releases keep the bits they had.

`tests/formats/N` holds one of each as the release that wrote format N left it. Nothing in it is ever made anew.
"""

import json
import shutil
from pathlib import Path

import pytest

from scoring.machine import cpu_family
from tests.conftest import PROJECT, Credit

RECEIPTS = {"2": 121, "3": 234}
FORMATS = sorted((PROJECT / "tests" / "formats").iterdir())


@pytest.fixture(params=FORMATS, ids=[folder.name for folder in FORMATS])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def _bundle(old: Path) -> Path:
    (bundle,) = (old / "bundles").iterdir()
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    if manifest["cpu_family"] != cpu_family():
        pytest.skip(f"bits are promised per CPU family: the bundle was made on {manifest['cpu_family']}")
    return bundle


def test_a_night_gives_the_bytes_it_gave(old: Path, credit: Credit) -> None:
    out = old / "out" / "decisions.csv"
    out.parent.mkdir()
    tables = ["--applications", old / "applications.csv", "--events", old / "events.csv"]
    done = credit("score", "--bundle", _bundle(old), *tables, "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == (old / "decisions.csv").read_bytes()
    assert (old / "out" / "decisions.rejects.csv").read_bytes() == (old / "decisions.rejects.csv").read_bytes()


@pytest.mark.parametrize("command", ["verify", "show", "schema"])
def test_the_bundle_loads(command: str, old: Path, credit: Credit) -> None:
    done = credit("bundle", command, _bundle(old))
    assert done.returncode == 0, done.stderr


def test_receipts_replay_to_the_bit(old: Path, credit: Credit) -> None:
    done = credit("replay", old / "log", "--bundles", _bundle(old).parent)
    assert done.returncode == 0, done.stderr
    assert f"Every bit of {RECEIPTS[old.name]} decisions agrees." in done.stdout
    assert credit("log", "verify", old / "log").returncode == 0


@pytest.mark.process
def test_the_doors_agree_on_it(old: Path, credit: Credit) -> None:
    tables = ["--applications", old / "applications.csv", "--events", old / "events.csv"]
    done = credit("verify", "--bundle", _bundle(old), *tables)
    assert done.returncode == 0, done.stdout + done.stderr

"""The wheel holds all packages and nothing else, and what is installed from it runs, or says that it is not alone."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from cli.start import PACKAGES
from tests.conftest import PROJECT
from tests.process.test_layout import MAY_IMPORT

pytestmark = pytest.mark.process


def run(*command: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd="/", env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it of what is committed or will be: a copy, so that nothing is written into the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for name in filter(None, files.stdout.split("\0")):
        if (PROJECT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack it, as an installation does; libraries are those of this environment."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
    return folder


def test_the_start_knows_all_packages() -> None:
    assert set(PACKAGES) == MAY_IMPORT.keys()


def test_the_wheel_holds_the_packages_the_licence_and_their_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (commands,) = [content.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    assert "credit = cli.start:main" in commands
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert {f"{name}/py.typed" for name in PACKAGES} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_what_is_installed_runs_from_anywhere(installed: Path) -> None:
    done = run(sys.executable, "-m", "cli.start", "--help", PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert "one verified bundle" in done.stdout


@pytest.mark.parametrize("name", ["api", "features", "verify"])
def test_a_package_of_the_same_name_is_not_imported_in_our_place(name: str, installed: Path, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("print('imported')")
    done = run(sys.executable, "-m", "cli.start", "--help", PYTHONPATH=f"{tmp_path}:{installed}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"error: the package '{name}' is that of another program ({tmp_path / name})" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif("CREDIT_WHEEL" not in os.environ, reason="downloads all libraries: part of `make soak`")
def test_the_main_job_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    pip = (tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check")
    locked = run(*pip, "--require-hashes", "-r", PROJECT / "requirements.txt")
    assert locked.returncode == 0, locked.stderr
    own = run(*pip, "--no-deps", wheel)
    assert own.returncode == 0, own.stderr
    done = subprocess.run(
        [tmp_path / "venv/bin/credit", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "replayed" in done.stdout or "agree" in done.stdout

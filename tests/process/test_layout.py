"""The layout is the architecture: a folder is a layer, and imports point one way."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.gate import FIRST

DOORS = {
    "features",
    "storage",
    "metrics",
    "scoring",
    "monitoring",
    "receipts",
    "registry",
    "history",
    "serving",
    "batch",
    "stream",
    "api",
}
MAY_IMPORT = {
    "features": set(),
    "recipes": {"features"},
    "metrics": {"features"},
    "storage": {"features"},
    "scoring": {"features", "storage", "metrics"},
    "pages": set(),
    "monitoring": {"features", "metrics", "scoring", "pages"},
    "receipts": {"features", "storage", "metrics", "scoring"},
    "registry": {"features", "storage", "scoring"},
    "history": {"features", "metrics", "scoring"},
    "serving": {"features", "storage", "metrics", "scoring", "monitoring", "receipts", "history"},
    "batch": {"features", "storage", "metrics", "scoring", "monitoring", "receipts"},
    "stream": {"features", "storage", "metrics", "scoring", "monitoring", "receipts", "history", "serving"},
    "api": {"features", "storage", "metrics", "scoring", "monitoring", "receipts", "registry", "history", "serving"},
    "training": {"features", "metrics", "scoring", "pages"},
    "model_export": {"features", "storage", "metrics", "scoring", "pages", "training"},
    "verify": DOORS,
    "cli": {*DOORS, "pages", "verify", "training", "model_export", "recipes"},
}
ONLY_IN = {
    "onnxruntime": {"scoring"},
    "xgboost": {"training", "model_export"},
    "sklearn": {"training", "model_export"},
    "skl2onnx": {"model_export"},
    "optuna": {"training"},
    "matplotlib": {"pages", "training"},
    "lime": {"training"},
    "confluent_kafka": {"stream"},
    "fastapi": {"api"},
    "flask": {"api"},
    "prometheus_client": {"monitoring"},
    "lmdb": {"history"},
    "psycopg": {"history"},
    "cryptography": {"registry"},
}
MODULES = [path for package in MAY_IMPORT for path in sorted((PROJECT / package).rglob("*.py"))]


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def offenders(*rules: tuple[Path, bool]) -> list[str]:
    """Return the files that break a rule, so that a red test names all of them."""
    return [str(path.relative_to(PROJECT)) for path, sound in rules if not sound]


def own(path: Path) -> str:
    return path.relative_to(PROJECT).parts[0]


def test_imports_point_down() -> None:
    sound = [(p, imported_packages(p) & MAY_IMPORT.keys() <= MAY_IMPORT[own(p)] | {own(p)}) for p in MODULES]
    assert offenders(*sound) == []


def test_libraries_stay_in_their_layer() -> None:
    for library, layers in ONLY_IN.items():
        users = [(path, own(path) in layers) for path in MODULES if library in imported_packages(path)]
        assert offenders(*users) == [], library
    kafka = [path for path in MODULES if "confluent_kafka" in imported_packages(path)]
    assert kafka == [PROJECT / "stream/client/client.py"]


def test_every_top_level_package_is_in_the_agreement() -> None:
    packages = {p.parent.name for p in PROJECT.glob("*/__init__.py")}
    assert packages == {*MAY_IMPORT, "tests", "benchmarks"}


def test_the_architecture_page_shows_this_table() -> None:
    page = (PROJECT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page, flags=re.MULTILINE)
    shown = {name: set(re.findall(r"`(\w+)`", imports)) for name, imports in rows}
    assert {name: shown.get(name) for name in MAY_IMPORT} == MAY_IMPORT


@pytest.mark.process
def test_serving_never_loads_training_libraries() -> None:
    code = (
        "import sys, cli.commands; [cli.commands.load_command(name) for name in cli.commands.COMMANDS]; "
        "print([m for m in ('xgboost', 'sklearn', 'skl2onnx', 'onnx', 'scipy', 'optuna', 'matplotlib', 'lime', "
        "'training', 'model_export', 'confluent_kafka', 'fastapi', 'flask') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_pickle_and_no_eval_in_the_product() -> None:
    for path in MODULES:
        assert not imported_packages(path) & {"pickle", "joblib", "cloudpickle", "dill"}, path
        called = {
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not called & {"eval", "exec"}, path


def test_no_file_is_long_and_no_folder_is_full() -> None:
    assert offenders(*[(path, len(path.read_text().splitlines()) <= 350) for path in MODULES]) == []
    folders = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert offenders(*[(folder, count <= 15) for folder, count in folders.items()]) == []


def test_the_files_that_run_first_are_there() -> None:
    assert len(set(FIRST)) == len(FIRST)
    assert {f"{name}.py" for name in FIRST} <= {path.name for path in (PROJECT / "tests").rglob("test_*.py")}


def test_every_test_lies_in_a_folder_that_says_what_it_needs() -> None:
    files = sorted((PROJECT / "tests").rglob("test_*.py"))
    assert {path.parent.name for path in files} == {"unit", "contract", "process", "kafka", "browser"}
    assert len({path.name for path in files}) == len(files)
    for path in files:
        marks = set(re.findall(r"pytest\.mark\.(process|kafka|browser)\b", path.read_text()))
        allowed = {"unit": set(), "process": {"process"}, "kafka": {"process", "kafka"}}
        assert marks <= allowed.get(path.parent.name, marks), f"{path} needs {marks}: move it"

"""The layout is the architecture: a folder is a layer, and imports point one way."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
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
    "compare": {"features", "storage", "metrics", "scoring", "pages", "receipts"},
    "verify": DOORS,
    "cli": {*DOORS, "pages", "compare", "verify", "training", "model_export", "recipes"},
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
    "mlflow": {"registry"},
    "rfc3161_client": {"registry"},
    "onnx": {"compare", "model_export"},
    "pyspark": {"batch"},
    "pyarrow": {"batch"},
    "deltalake": {"storage"},
    "obstore": {"storage"},
}
TESTS = sorted(PROJECT.glob("tests/**/*.py")) + sorted(PROJECT.glob("benchmarks/**/*.py"))
SHARED = {
    "Aside",
    "Cells",
    "Claim",
    "Compared",
    "Decided",
    "Events",
    "Evidence",
    "Finding",
    "Found",
    "Key",
    "Kind",
    "Layout",
    "Limits",
    "Linear",
    "Loaded",
    "Metric",
    "Notes",
    "Number",
    "Outcomes",
    "Part",
    "Place",
    "Plan",
    "Ranked",
    "Reading",
    "Receipts",
    "Rules",
    "Seen",
    "Span",
    "Standing",
    "State",
    "Tables",
    "Unusable",
    "Watched",
}
MODULES = [path for package in MAY_IMPORT for path in sorted((PROJECT / package).rglob("*.py"))]


@cache
def imported_packages(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return frozenset(names)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


PATHS = {module_of(path): path for path in MODULES}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path, *, when_run: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each module of the product that a file imports from, and the name. `when_run`: as it is imported itself."""
    todo: list[ast.AST] = [parsed(path)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ImportFrom) and node.module in PATHS:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in PATHS)
        elif not (when_run and (isinstance(node, ast.FunctionDef) or _for_types(node))):
            todo += ast.iter_child_nodes(node)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def listed(module: str) -> frozenset[str]:
    """Return the names in the `__all__` of a module."""
    for node in parsed(PATHS[module]).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def is_face(module: str) -> bool:
    """Whether a module is a package, or each package above it lists the next step of the way to it."""
    above, _, name = module.rpartition(".")
    return not above or (name in listed(above) and is_face(above))


def offenders(*rules: tuple[Path, bool]) -> list[str]:
    """Return the files that break a rule, so that a red test names all of them."""
    return [str(path.relative_to(PROJECT)) for path, sound in rules if not sound]


def own(path: Path) -> str:
    return path.relative_to(PROJECT).parts[0]


def test_imports_point_down() -> None:
    sound = [(p, imported_packages(p) & MAY_IMPORT.keys() <= MAY_IMPORT[own(p)] | {own(p)}) for p in MODULES]
    assert offenders(*sound) == []


def test_others_import_what_a_face_lists_and_nothing_else() -> None:
    past = [
        f"{path.relative_to(PROJECT)}: {module}.{name}"
        for path in MODULES
        for module, name in imports(path)
        if module.split(".")[0] != own(path) and not (is_face(module) and name in listed(module))
    ]
    assert past == []


def test_a_face_lists_what_is_there_and_what_others_use() -> None:
    used = {(module, name) for path in [*MODULES, *TESTS] for module, name in imports(path)}
    ways = [module.split(".") for module, _ in used]
    steps = {(".".join(way[:count]), way[count]) for way in ways for count in range(1, len(way))}
    for module in filter(listed, PATHS):
        there = set(vars(import_module(module))) | {m.rpartition(".")[2] for m in PATHS if m.startswith(f"{module}.")}
        assert listed(module) <= there, module
        assert {(module, name) for name in listed(module)} <= used | steps, module


def test_no_circle_between_files() -> None:
    """A file needs what it imports, and with it the faces of the rooms in which that lies."""

    def above(module: str) -> set[str]:
        parts = module.split(".")
        return {".".join(parts[:count]) for count in range(1, len(parts))}

    needs: dict[str, set[str]] = {}
    for module, path in PATHS.items():
        found = {f"{m}.{n}" if f"{m}.{n}" in PATHS else m for m, n in imports(path, when_run=True)}
        needs[module] = found.union(*map(above, found)) - above(module) - {module}
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the files


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


def classes() -> Iterator[tuple[str, str]]:
    for module, path in PATHS.items():
        yield from ((node.name, module) for node in parsed(path).body if isinstance(node, ast.ClassDef))


def test_no_module_or_class_is_named_with_a_synonym_of_the_glossary() -> None:
    page = (PROJECT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]*) ?\|$", page.split("## Words")[1], flags=re.MULTILINE)
    never = {word.strip() for row in rows[2:] for word in row.split(",") if word.strip()}
    assert len(never) > 20
    names = {name for name, _ in classes()} | {step for module in PATHS for step in module.split(".")}
    said = {name: " ".join(re.findall(r"[A-Z]?[a-z]+", name)).lower() for name in names}
    assert {n for n, words in said.items() if any(re.search(rf"\b{word}s?\b", words) for word in never)} == set()


def test_no_further_class_shares_its_name() -> None:
    """`SHARED` is what is left to rename; it only gets shorter."""
    places = Counter(name for name, _ in classes() if not name.startswith("_"))
    assert {name for name, count in places.items() if count > 1} <= SHARED


@pytest.mark.process
def test_serving_never_loads_training_libraries() -> None:
    code = (
        "import sys, cli.commands; [cli.commands.load_command(name) for name in cli.commands.COMMANDS]; "
        "print([m for m in ('xgboost', 'sklearn', 'skl2onnx', 'onnx', 'scipy', 'optuna', 'matplotlib', 'lime', "
        "'training', 'model_export', 'confluent_kafka', 'fastapi', 'flask', 'pyspark', 'pyarrow') "
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

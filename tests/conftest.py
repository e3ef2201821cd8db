import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, settings

from batch.job import BatchJob
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.bundle.folder import read_bundle
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.gate import (  # noqa: F401 - hooks of pytest
    pytest_collection_modifyitems,
    pytest_runtest_logreport,
    pytest_runtest_protocol,
    pytest_terminal_summary,
)
from tests.kafka_broker import KafkaServer
from tests.kafka_wire import TAKE_ANYTHING
from tests.s3_server import S3, s3_server
from tests.shelf import Shelf
from tests.shell import call, shell
from tests.stage import Stage
from tests.variants import recalibrated, variant
from training.data import TrainingData
from training.run import Trained, train

PROJECT = Path(__file__).parents[1]
CUSTOMERS = 700

# Derandomized: the same commit gives the same verdict. --hypothesis-profile=soak searches further, on another path
# each time.
for name, examples in (("quick", 20), ("gate", 60), ("soak", 2000)):
    settings.register_profile(
        name,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of a test
        derandomize=name != "soak",
        max_examples=examples,
    )
settings.load_profile("gate")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return synthetic(CUSTOMERS, seed=7)


@pytest.fixture(scope="session")
def spec(dataset: Dataset) -> Spec:
    return parse_spec(dataset.spec_text)


@pytest.fixture(scope="session")
def training_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data as `credit train` takes it."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("applications", "events", "labels"):
        getattr(dataset, name).write_parquet(folder / f"{name}.parquet")
    (folder / "spec.toml").write_text(dataset.spec_text)
    return folder


@pytest.fixture(scope="session")
def trained(dataset: Dataset, spec: Spec) -> Trained:
    return train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shelf"
    root.mkdir(exist_ok=True)
    return Shelf(root)


@pytest.fixture(scope="session")
def bundle(shelf: Shelf, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The bundle of `trained`, for all workers of the run."""
    (made,) = shelf.take("bundle", lambda folder: export(request.getfixturevalue("trained"), folder)).iterdir()
    yield made
    read_bundle(made)  # fails if a test has changed it


@pytest.fixture(scope="session")
def rival(shelf: Shelf, bundle: Path) -> Iterator[Path]:
    """A bundle of the same spec with another calibration, which decides otherwise."""

    def make(folder: Path) -> Path:
        return variant(bundle, folder, model=recalibrated(bundle, 0.7))

    (made,) = shelf.take("rival", make).iterdir()
    yield made
    read_bundle(made)


@pytest.fixture(scope="session")
def scorer(bundle: Path) -> Scorer:
    return Scorer.open(bundle)


@pytest.fixture(scope="session")
def good(scorer: Scorer) -> bytes:
    """An application as a message that is decided."""
    return json.dumps(example_application(scorer.bundle.spec)).encode()


@pytest.fixture
def tonight(dataset: Dataset, tmp_path: Path) -> Path:
    """A folder with applications.csv and events.csv as a core system would export them; 200 applications."""
    applications = dataset.applications.head(200)
    events = dataset.events.join(applications, on="customer_id", how="semi")
    applications.write_csv(tmp_path / "applications.csv")
    events.write_csv(tmp_path / "events.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    return tmp_path


@pytest.fixture
def job(tonight: Path) -> BatchJob:
    """Tonight's batch."""
    return BatchJob(
        applications=tonight / "applications.csv", events=tonight / "events.csv", out=tonight / "decisions.csv"
    )


@pytest.fixture(scope="session")
def demo(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo ran, with `credit` on the PATH as `make demo` has it; a copy of this worker."""

    def run(folder: Path) -> None:
        done = shell("credit demo", folder)
        assert done.returncode == 0, done.stderr
        (folder / "said.txt").write_text(done.stdout)

    return Path(shutil.copytree(shelf.take("demo", run), tmp_path_factory.mktemp("demo") / "copy", symlinks=True))


Credit = Callable[..., "subprocess.CompletedProcess[str]"]


def in_a_process(*arguments: object, cwd: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
    """The command as a user runs it."""
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "error"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=900, check=False)


@pytest.fixture(scope="session")
def credit_process() -> Credit:
    """The command in a process of its own, for what signals, imports or the hash seed decide."""
    return in_a_process


@pytest.fixture(scope="session")
def credit() -> Credit:
    """The command: what it does, prints and returns. In this process, which has its libraries loaded; doors are not."""

    def run(*arguments: object, cwd: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
        is_door = arguments[0] in {"serve", "stream"} or "consume" in arguments[:2]
        if is_door and "--help" not in arguments:
            return in_a_process(*arguments, cwd=cwd)
        return call(arguments, cwd)

    return run


@pytest.fixture(scope="session")
def java() -> None:
    """Only where Java is absent, and never in CI, are the tests of Apache Kafka skipped."""
    if shutil.which("java") is None and "CREDIT_GATE" not in os.environ:
        pytest.skip("Java 17 is not on this machine, so Apache Kafka cannot run")


@pytest.fixture(scope="session")
def kafka(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:  # noqa: ARG001
    """A real Apache Kafka of this test run."""
    server = KafkaServer.steady(tmp_path_factory.mktemp("kafka")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka_39(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:  # noqa: ARG001
    """The last Apache Kafka before 4.0."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka-39"), version="3.9.1").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def believing(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:  # noqa: ARG001
    """One that takes writes of transactions that never began."""
    folder = tmp_path_factory.mktemp("believing")
    (folder / "extra.properties").write_text(TAKE_ANYTHING)
    server = KafkaServer(folder / "kafka", extra=folder / "extra.properties").start()
    yield server
    server.stop()


@pytest.fixture
def stage(kafka: KafkaServer, tmp_path: Path) -> Iterator[Stage]:
    """Topics of this test on it."""
    with contextlib.closing(Stage(kafka.address, tmp_path).create(kafka)) as made:
        yield made


def real_data(name: str) -> Path:
    """Find a real data set in a `data` folder of a sibling of the checkout, or skip with the reason."""
    found = sorted(PROJECT.parent.glob(f"*/data/{name}"))
    if not found:
        pytest.skip(f"real data set {name} is not on this machine")
    return found[0]


def one_row(frame: pl.DataFrame, **columns: object) -> pl.DataFrame:
    """The first row of a frame with some cells replaced."""
    return frame.head(1).with_columns(**{name: pl.lit(value) for name, value in columns.items()})


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """An object store on loopback, which the environment names; temporary files lie apart, and none is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TMPDIR", str(scratch))
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield server
        server.fault = lambda *_: None
        assert not [path for path in scratch.iterdir() if path.name.startswith("credit-objects-")]

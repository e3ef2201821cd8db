"""`credit verify`: the doors agree on every bit, and it sees one that does not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from batch.inputs import read_inputs
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.kafka_broker import KafkaServer
from tests.postgres import PostgresServer, find_tools
from tests.sizes import size
from verify.doors import Question
from verify.run import verify

pytestmark = pytest.mark.process

DOORS = {"stream", "FastAPI", "Flask"}
CUSTOMERS = size(gate=700, whole=5_200)  # of two applications each


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write(synthetic(CUSTOMERS, seed=11), tmp_path_factory.mktemp("verify"))


def write(dataset: Dataset, folder: Path) -> tuple[Path, Path]:
    """A folder of two part files of applications, of which some share their id, and events with unusable ones."""
    applications = dataset.applications
    odd = [
        {**applications.row(0, named=True), "application_id": "", "months_employed": "41"},
        {**applications.row(1, named=True), "application_id": None},
        {**applications.row(2, named=True), "application_id": " spaced ", "customer_id": "odd"},
        {**applications.row(3, named=True), "application_id": "späte\t", "customer_id": "odd"},
        {**applications.row(4, named=True), "application_id": 'quote"\\u0041', "customer_id": "C-é"},
    ]
    events = [
        {"customer_id": "odd", "occurred_at": "2025-01-01", "kind": "salary", "amount": "1e-7", "recorded_at": None},
        {"customer_id": "C-é", "occurred_at": "2025-01-01", "kind": "bribe", "amount": "1", "recorded_at": None},
        {"customer_id": "", "occurred_at": "2025-01-01", "kind": "salary", "amount": "1", "recorded_at": None},
    ]
    (folder / "applications").mkdir()
    half = applications.height // 2
    pl.concat([applications.head(half), pl.DataFrame(odd, schema=applications.schema)]).write_csv(
        folder / "applications/a.csv"
    )
    pl.concat([applications.tail(-half), applications[5:9]]).write_csv(folder / "applications/b.csv")
    text = dataset.events.with_columns(
        pl.col("occurred_at", "recorded_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), pl.col("amount").cast(pl.String)
    )
    pl.concat([text, pl.DataFrame(events, schema=text.schema)]).write_csv(folder / "events.csv")
    return folder / "applications", folder / "events.csv"


def test_dirty_applications_get_the_same_bits_at_every_door(
    bundle: Path, files: tuple[Path, Path], tmp_path: Path, credit: Credit
) -> None:
    out = tmp_path / "report.json"
    done = credit("verify", "--bundle", bundle, "--applications", files[0], "--events", files[1], "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report["agree"]
    assert report["applications"] > 1.9 * CUSTOMERS
    assert report["repeated"] == 8
    assert {c["door"] for c in report["comparisons"]} == DOORS
    assert all(c["compared"] == report["applications"] - 8 for c in report["comparisons"])
    codes = report["rejects_by_code"]
    assert codes["application_id_missing"] == 2
    assert codes["event_kind_unknown_category"] == 1
    assert codes["event_amount_too_many_decimals"] == 2
    assert report["decisions"] + sum(codes.values()) + 8 == report["applications"]
    assert "Every bit" in done.stdout


@pytest.fixture(params=["a folder", "PostgreSQL"])
def store_flags(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    if request.param == "a folder":
        yield []
        return
    server = PostgresServer(find_tools()).make()
    yield ["--store", server.database()]
    server.stop()


def wrong_events(name: str) -> list[dict[str, str | None]]:
    """For the future, recorded before it occurred and long after, of another kind and sign, twice, by nobody."""
    usual: dict[str, str | None] = {
        "customer_id": name,
        "occurred_at": "2025-01-01",
        "kind": "salary",
        "amount": "10",
        "recorded_at": None,
    }
    changes: list[dict[str, str | None]] = [
        {"occurred_at": "2199-01-01"},
        {"recorded_at": "2024-12-31"},
        {"recorded_at": "2199-01-01"},
        {"amount": "-3.5"},
        {},
        {},
        {"customer_id": "x" * 257},
        {"customer_id": f" {name} "},
    ]
    return [usual | change for change in changes]


def test_events_that_went_through_a_store_give_the_same_bits_at_every_door(
    bundle: Path, store_flags: list[str], tmp_path: Path, credit: Credit
) -> None:
    dataset = synthetic(150, seed=12)
    applications, events = write(dataset, tmp_path)
    wrong = wrong_events(dataset.applications["customer_id"][10])
    told = pl.read_csv(events, infer_schema=False)
    pl.concat([told, pl.DataFrame(wrong, schema=told.schema)]).write_csv(events)
    files = ("--applications", applications, "--events", events)
    done = credit("verify", "--bundle", bundle, *files, "--history", *store_flags, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["agree"], report["history"]) == (True, True)
    assert {c["door"] for c in report["comparisons"]} == DOORS
    assert {"event_kind_unknown_category", "event_amount_too_many_decimals"} <= report["rejects_by_code"].keys()
    assert report["matches"]["matched_applications"] > 200


def test_a_store_without_history_is_refused(bundle: Path, few: tuple[Path, Path], credit: Credit) -> None:
    files = ("--bundle", bundle, "--applications", few[0], "--events", few[1])
    done = credit("verify", *files, "--store", "somewhere")
    assert (done.returncode, "--history" in done.stderr) == (2, True)


CHANGES = {  # what a faulty door does to one of its decisions, and the columns in which it shows
    "p_good": "decision['p_good'] = flip(decision['p_good'])",
    "credit_class": "decision['credit_class'] = 'Fair'",
    "credit_score": "decision['credit_score'] += 1",
    "reasons.1.contribution": "decision['reasons'][0]['contribution'] = flip(decision['reasons'][0]['contribution'])",
    "reasons.2.text": "decision['reasons'][1]['text'] += ' '",
    "customer_id": "decision['customer_id'] = 'C0'",
    "as_of": "decision['as_of'] = decision['as_of'].replace('.000000Z', '.000001Z')",
    "members": "decision['more'] = 1",
}
FAULTY = """
import dataclasses, json, struct, sys
sys.path.insert(0, {project!r})
import scoring.message.message_scorer as messages

changes = json.loads({changes!r})

def flip(value):
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    (flipped,) = struct.unpack("<f", struct.pack("<I", bits ^ 1))
    return flipped

def change(answer):
    decision = json.loads(answer.decision) if answer.decision else {{}}
    exec(changes.get(decision.get("application_id"), ""))
    return dataclasses.replace(answer, decision=json.dumps(decision).encode()) if decision else answer

honest = messages.MessageScorer.answer
if "flask" in sys.argv:
    messages.MessageScorer.answer = lambda self, bodies: [change(answer) for answer in honest(self, bodies)]
from cli.main import main
main()
"""


@pytest.fixture
def few(tonight: Path) -> tuple[Path, Path]:
    applications = tonight / "applications.csv"
    applications.write_text("".join(applications.read_text().splitlines(keepends=True)[:60]))
    return applications, tonight / "events.csv"


@pytest.fixture
def victims(few: tuple[Path, Path], scorer: Scorer) -> list[str]:
    """Applications that are decided with more than one reason."""
    decisions = scorer.score(*read_inputs(*few, scorer.bundle.spec)).decisions
    return list(decisions.filter(pl.col("reasons").list.len() > 1)["application_id"])


def test_a_door_that_changes_one_bit_of_one_decision_is_found(
    bundle: Path, few: tuple[Path, Path], victims: list[str], tmp_path: Path
) -> None:
    """The fault is in what the Flask door sends; each column is changed in an application of its own."""
    changes = dict(zip(victims, CHANGES.values(), strict=False))
    assert len(changes) == len(CHANGES)
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY.format(changes=json.dumps(changes), project=str(PROJECT)))
    applications, events = few
    command = (sys.executable, str(script))
    report = verify(Question(bundle=bundle, applications=applications, events=events, command=command))
    assert not report.agree
    assert report.first_application_id == victims[0]
    found = {c.door: c for c in report.comparisons}
    assert found["Flask"].first_columns == ("p_good",)
    assert found.pop("Flask").by_column == dict.fromkeys(CHANGES, 1)
    assert all(c.different == 0 for c in found.values()), "the others agree"


REFUSING = """
import sys
if "flask" in sys.orig_argv:
    import scoring.message.message_scorer as m
    m.MessageScorer.answer = lambda self, bodies: [m.Answer(refusal=m.Refusal.of("as_of_missing")) for _ in bodies]
"""


def test_a_door_that_refuses_what_others_decide_ends_the_command_with_7(
    bundle: Path, few: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(REFUSING)
    command = [sys.executable, "-m", "cli.main", "verify", "--bundle", str(bundle)]
    done = subprocess.run(
        [*command, "--applications", str(few[0]), "--events", str(few[1]), "--json"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{PROJECT}"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    report = json.loads(done.stdout)
    flask = next(c for c in report["comparisons"] if c["door"] == "Flask")
    assert flask["different"] == flask["compared"] == 59
    assert flask["by_column"]["code"] == 59
    assert report["first_application_id"] == pl.read_csv(few[0])["application_id"][0]


@pytest.mark.kafka
@pytest.mark.parametrize("version", ["kafka", "kafka_39"])
def test_the_stream_can_be_asked_on_a_real_broker(
    bundle: Path, few: tuple[Path, Path], version: str, request: pytest.FixtureRequest, credit: Credit
) -> None:
    """Exactly once, through transactions; brokers before 4.0 know no group protocol of today."""
    kafka: KafkaServer = request.getfixturevalue(version)
    files = ("--applications", few[0], "--events", few[1])
    done = credit("verify", "--bundle", bundle, *files, "--brokers", kafka.address, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {c["door"] for c in json.loads(done.stdout)["comparisons"]} == DOORS


def test_files_that_cannot_be_used_are_named(bundle: Path, tonight: Path, credit: Credit) -> None:
    files = ("--applications", tonight / "absent.csv", "--events", tonight / "events.csv")
    done = credit("verify", "--bundle", bundle, *files)
    assert done.returncode == 1
    assert "absent.csv" in done.stderr


def test_nothing_to_compare_is_no_agreement(bundle: Path, tonight: Path, credit: Credit) -> None:
    twice = pl.read_csv(tonight / "applications.csv", infer_schema=False).head(1)
    pl.concat([twice, twice]).write_csv(tonight / "twice.csv")
    files = ("--applications", tonight / "twice.csv", "--events", tonight / "events.csv")
    done = credit("verify", "--bundle", bundle, *files)
    assert done.returncode == 1
    assert "nothing to compare" in " ".join(done.stderr.split())

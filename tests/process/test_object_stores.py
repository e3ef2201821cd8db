"""`credit score` with an object store: the same bytes as locally, one commit, and clear errors."""

import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from features.errors import DeliveryError
from storage.remote.addresses import Address
from storage.remote.objects import Listed, Store
from tests.conftest import PROJECT, Credit
from tests.killed_delivery import deliver
from tests.s3_server import KEY, S3, SECRET

pytestmark = pytest.mark.process
MANIFEST = "out/decisions.run.json"


@pytest.fixture
def lake(s3: S3, tonight: Path) -> S3:
    """Tonight's tables in the store; a row that is rejected, and one that is there twice."""
    applications = (tonight / "applications.csv").read_text().splitlines()
    rows = [*applications, applications[5], "," + applications[7].split(",", 1)[1]]
    (tonight / "applications.csv").write_text("\n".join(rows) + "\n")
    for name in ("applications", "events"):
        s3.lake[f"{name}/part-0.csv"] = (tonight / f"{name}.csv").read_bytes()
    return s3


def score(bundle: Path, out: object, applications: object = "s3://lake/applications/", *more: object) -> list[object]:
    events = "s3://lake/events/"
    return ["score", "--bundle", bundle, "--applications", applications, "--events", events, "--out", out, *more]


def delivered(s3: S3) -> tuple[bytes, bytes]:
    """Decisions and rejects, as a reader of the manifest finds them."""
    names = sorted(json.loads(s3.lake[MANIFEST])["outputs"])
    return s3.lake[f"out/{names[0]}"], s3.lake[f"out/{names[1]}"]


def test_the_server_lets_exactly_one_of_eight_racing_writers_win(s3: S3) -> None:
    store = Store(Address("s3://lake/race", delta=False), DeliveryError)
    for number in range(10):
        for before in (None, "old"):
            name = f"{number}-{before}"
            if before:
                s3.lake[f"race/{name}"] = before.encode()
            item = store.head(name)
            start = threading.Barrier(8)

            def write(
                writer: int, name: str = name, before: Listed | None = item, start: threading.Barrier = start
            ) -> bool:
                start.wait()
                return store.put_if(name, b"%d" % writer, before)

            with ThreadPoolExecutor(8) as pool:
                won = [writer for writer, first in enumerate(pool.map(write, range(8))) if first]
            assert [b"%d" % writer for writer in won] == [s3.lake[f"race/{name}"]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_decisions_and_rejects_are_those_of_a_local_run(
    lake: S3, bundle: Path, tonight: Path, credit: Credit, kind: str
) -> None:
    local = ["--applications", tonight / "applications", "--events", tonight / "events"]
    for name in ("applications", "events"):
        (tonight / name).mkdir()
        del lake.lake[f"{name}/part-0.csv"]
        table = pl.read_csv(tonight / f"{name}.csv", infer_schema=False)
        for half in range(2):
            part = table.slice(half * table.height // 2, -(-table.height // 2) if not half else None)
            file = tonight / name / f"part-{half}.{kind}"
            part.write_csv(file) if kind == "csv" else part.write_parquet(file)
            lake.lake[f"{name}/{file.name}"] = file.read_bytes()
    done = credit("score", "--bundle", bundle, *local, "--out", tonight / f"decisions.{kind}")
    assert done.returncode == 0, done.stderr
    done = credit(*score(bundle, f"s3://lake/out/decisions.{kind}"))
    assert done.returncode == 0, done.stderr
    expected = tuple((tonight / name).read_bytes() for name in (f"decisions.{kind}", "decisions.rejects.csv"))
    assert delivered(lake) == expected
    assert expected[1].count(b"\n") > 3
    manifest = json.loads(lake.lake[MANIFEST])
    assert [one["file"] for one in manifest["inputs"]] == [
        f"s3://lake/{name}/part-{half}.{kind}" for name in ("applications", "events") for half in range(2)
    ]
    said = done.stdout + done.stderr + lake.lake[MANIFEST].decode()
    assert not [word for word in (KEY, SECRET, "credit-objects", "s3:/l") if word in said]
    done = credit("score", "--bundle", bundle, *local, "--out", "s3://lake/out")  # a folder holds decisions.parquet
    assert done.returncode == 0, done.stderr
    assert f"{MANIFEST}" in done.stdout
    assert delivered(lake)[0][:4] == b"PAR1"


def test_a_repeat_replaces_and_keeps_what_readers_of_the_one_before_may_still_read(
    lake: S3, bundle: Path, credit: Credit
) -> None:
    lake.lake["out/decisions.runs/0123/decisions.csv"] = b"left by a run that was killed"
    before: list[set[str]] = []
    for _ in range(3):
        assert credit(*score(bundle, "s3://lake/out/decisions.csv")).returncode == 0
        before.append({name for name in lake.lake if name.startswith("out/decisions.runs/")})
    assert [len(names) for names in before] == [2, 4, 4]
    assert len(before[1] & before[2]) == 2


def test_one_of_two_runs_wins_and_the_other_says_so(lake: S3, bundle: Path, credit: Credit) -> None:
    def other(method: str, key: str, _number: int) -> None:
        if method == "PUT" and key.endswith("rejects.csv"):
            lake.lake[MANIFEST] = b'{"outputs": {}}'

    lake.after = other
    done = credit(*score(bundle, "s3://lake/out/decisions.csv"))
    assert done.returncode == 4
    assert "another run delivered this output while this one worked" in done.stderr
    assert lake.lake[MANIFEST] == b'{"outputs": {}}'
    assert not [name for name in lake.lake if "/decisions.runs/" in name]


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("AccessDenied", 1, "the store does not permit it"),
        ("ExpiredToken", 4, "the credentials of this run expired"),
        ("SlowDown", 4, "the store gave no usable answer"),
    ],
)
def test_what_the_store_refuses_is_said(  # noqa: PLR0913, PLR0917
    lake: S3, bundle: Path, credit: Credit, code: str, exit_code: int, said: str
) -> None:
    lake.fault = lambda method, key, _number: code if method == "GET" and key.startswith("events/") else None
    done = credit(*score(bundle, "s3://lake/out/decisions.csv"))
    assert done.returncode == exit_code, done.stderr
    assert "s3://lake/events/part-0.csv: " + said in done.stderr
    assert KEY not in done.stderr
    lake.fault = lambda method, key, _number: code if method == "PUT" and key.startswith("out/") else None
    done = credit(*score(bundle, "s3://lake/out/decisions.csv"))
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert not [name for name in lake.lake if name.startswith("out/")]


def test_what_is_not_there_or_changes_is_said(lake: S3, bundle: Path, credit: Credit) -> None:
    def refused(exit_code: int, said: str, *given: object) -> None:
        done = credit(*score(bundle, *given))
        assert (done.returncode, said in done.stderr) == (exit_code, True), done.stderr
        assert not [name for name in lake.lake if name.startswith("out/")]

    out = "s3://lake/out/decisions.csv"
    refused(1, "s3://none/x: there is no such bucket", out, "s3://none/x")
    refused(1, "s3://lake/none: nothing lies there", out, "s3://lake/none")
    refused(4, "s3://none/out/decisions.runs: there is no such bucket", "s3://none/out/decisions.csv")
    refused(2, "the address holds a login or a query", out, "s3://key:s3cret@lake/x")
    refused(2, "ftp://lake/x: this kind of address is not supported", out, "ftp://lake/x")
    refused(2, "is or lies in the input", "s3://lake/applications/d.csv")
    lake.lake["ended/decisions.runs/1/decisions.csv"] = b"a\n1\n"
    refused(1, "that no run manifest names, so it did not end", out, "s3://lake/ended")

    def replaced(method: str, key: str, _number: int) -> None:
        if method == "GET" and not key:
            lake.lake["events/part-0.csv"] = lake.lake["events/part-0.csv"].swapcase()  # of the same size

    lake.after = replaced
    refused(1, "s3://lake/events/part-0.csv: was replaced while it was read", out)


def test_rejects_of_a_refused_run_lie_beside_the_output(lake: S3, bundle: Path, credit: Credit) -> None:
    done = credit(*score(bundle, "s3://lake/out/decisions.csv"), "--max-reject-share", 0)
    assert done.returncode == 3, done.stderr
    assert "s3://lake/out/decisions.rejects.csv.failed" in done.stderr
    assert [name for name in lake.lake if name.startswith("out/")] == ["out/decisions.rejects.csv.failed"]


def test_a_run_killed_at_any_request_leaves_the_old_output_or_the_new_one(lake: S3, bundle: Path) -> None:
    """Each time the process is killed before, or just after, the store did one more of the requests of its delivery."""
    words = [*map(str, score(bundle, "s3://lake/out/decisions.csv"))]
    assert deliver(lake, words)[0] == 0
    old = lake.lake[MANIFEST]
    contents = delivered(lake)
    for kill_at, after in [*((step, False) for step in range(1, 5)), (4, True)]:  # after one is before the next
        before = lake.lake[MANIFEST]
        deliver(lake, words, kill_at, after=after)
        assert delivered(lake) == contents
        assert (lake.lake[MANIFEST] == before) == (not after)
    assert deliver(lake, words)[0] == 0
    assert lake.lake[MANIFEST] != old
    runs = {re.split("/", name)[2] for name in lake.lake if name.startswith("out/decisions.runs/")}
    assert len(runs) == 2  # this one and the one before; nothing of those that were killed
    left = [path for path in Path(os.environ["TMPDIR"]).iterdir() if path.name.startswith("credit-objects-")]
    assert not left


def test_a_bundle_is_taken_from_the_store_and_verified(lake: S3, bundle: Path, credit: Credit) -> None:
    """By its own name, by an object that holds its id, or from a copy of its folder by another name."""
    for folder in (f"models/{bundle.name}", "copies/current"):
        for file in bundle.rglob("*"):
            if file.is_file():
                lake.lake[f"{folder}/{file.relative_to(bundle)}"] = file.read_bytes()
    lake.lake["models/current"] = f"{bundle.name}\n".encode()
    for place in (f"models/{bundle.name}", "models/current", "copies/current"):
        done = credit(*score(Path("s3://lake") / place, "s3://lake/out/decisions.csv"))
        assert done.returncode == 0, done.stderr
        assert json.loads(lake.lake[MANIFEST])["bundle_id"] == bundle.name
    lake.lake["copies/current/model.onnx"] += b"x"
    for place, said in (("copies/current", "model.onnx"), ("copies/none", "nothing lies there")):
        done = credit(*score(Path("s3://lake") / place, "s3://lake/out/decisions.csv"))
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    done = credit("bundle", "show", "s3://lake/models/current")
    assert (done.returncode, "is the address of an object store" in done.stderr) == (2, True), done.stderr


def test_check_and_features_read_there_too(lake: S3, bundle: Path, credit: Credit) -> None:
    inputs = ["--bundle", bundle, "--applications", "s3://lake/applications", "--events", "s3://lake/events"]
    assert credit("check", *inputs).returncode == 0
    name = lake.lake["applications/part-0.csv"].splitlines()[1].split(b",")[0].decode()
    assert credit("features", *inputs, "--application-id", name).returncode == 0


def test_without_the_libraries_the_extra_is_named(tonight: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError(name='obstore')")
    words = ["score", "--bundle", str(bundle), "--applications", "s3://lake/a.csv", "--out", str(tonight / "d.csv")]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{PROJECT}"}
    command = [sys.executable, "-m", "cli.main", *words, "--events", str(tonight / "events.csv")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=PROJECT)
    assert (done.returncode, "pip install .[cloud]" in done.stderr) == (2, True), done.stderr


def test_a_decision_log_is_read_where_it_lies(s3: S3, bundle: Path, tonight: Path, credit: Credit) -> None:
    log, inputs = tonight / "log", [f"--{name}={tonight / name}.csv" for name in ("applications", "events")]
    given = ("--bundle", bundle, *inputs, "--out", tonight / "decisions.csv", "--log", log)
    assert credit("score", *given).returncode == 0
    for path in (path for path in log.rglob("*") if path.is_file()):
        s3.lake[f"log/{path.relative_to(log)}"] = path.read_bytes()
    there = credit("log", "verify", "s3://lake/log", "--json")
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == json.loads(credit("log", "verify", log, "--json").stdout)
    one = pl.read_csv(tonight / "decisions.csv")["application_id"][3]
    asked = ("--application-id", one, "--json")
    assert credit("log", "find", "s3://lake/log", *asked).stdout == credit("log", "find", log, *asked).stdout != ""
    lacking = credit("log", "find", "s3://lake/log", "--application-id", "nobody")
    assert lacking.returncode == 1
    assert "s3://lake/log: holds no receipt" in lacking.stderr
    receipts = next(name for name in s3.lake if name.endswith("receipts.0.parquet"))
    content = s3.lake[receipts]
    s3.lake[receipts] = content[:99] + bytes([content[99] ^ 1]) + content[100:]
    broken = credit("log", "verify", "s3://lake/log")
    assert broken.returncode == 1
    assert "BROKEN s3://lake/log/writers/" in broken.stdout
    refused = credit("log", "expire", "s3://lake/log", "--before", "2030-01-01")
    assert refused.returncode == 2
    assert "address of an object store" in refused.stderr

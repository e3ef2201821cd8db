"""`credit registry mirror`: what a real MLflow shows of a registry, and what is said where it cannot."""

import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from registry import Action, Entry, Ledger
from tests.conftest import Credit
from tests.waiting import free_port, wait_until

pytestmark = pytest.mark.process
SPRING, SUMMER = "5" * 64, "a" * 64
START = datetime(2026, 5, 3, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow on loopback, with a database of its own; its address."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    where = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", *where, "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    with (folder / "said.txt").open("w") as said:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            assert wait_until(lambda: answers(port) or server.poll() is not None)
            assert server.poll() is None, (folder / "said.txt").read_text()[-2_000:]
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 9)
            server.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def client(mlflow: str) -> Any:
    """MLflow's own client, which says what is there."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient  # noqa: PLC0415 - after the line above

    return MlflowClient(mlflow, mlflow)


class Bundles:
    """A folder of bundles with a registry, whose entries are written one by one."""

    def __init__(self, folder: Path) -> None:
        """Begin the registry."""
        self.folder, self._hours = folder, count()
        for name in (SPRING, SUMMER):
            (folder / name).mkdir(parents=True)
        self.write(Action.INIT, "Root", "new")

    def write(self, action: Action, by: str, note: str, bundle: str = "", link: str = "") -> None:
        """Add an entry; where it names a link, that leads to the bundle from now on."""
        ledger = Ledger(self.folder)
        with ledger.changing():
            entry = Entry.new(action, by, note, bundle=bundle, link=link)
            ledger.append(entry, START + timedelta(hours=next(self._hours)), None)
        if link:
            (self.folder / link).unlink(missing_ok=True)
            (self.folder / link).symlink_to(bundle)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    """Two bundles; the first is approved and serves, the second is proposed."""
    made = Bundles(tmp_path / "bundles")
    made.write(Action.PROPOSE, "Ada", "spring model", SPRING)
    made.write(Action.APPROVE, "Grace", "board of 3 May", SPRING, "current")
    made.write(Action.PROPOSE, "Ada", "summer model", SUMMER)
    return made


def mirrored(
    credit: Credit, bundles: Bundles, server: str, model: str, *more: str
) -> "subprocess.CompletedProcess[str]":
    return credit("registry", "mirror", "--bundles", bundles.folder, "--mlflow", server, "--model", model, *more)


def there(client: Any, model: str) -> dict[str, tuple[str, str]]:
    """Version, and standing and note, by bundle."""
    found = client.search_model_versions(f"name = '{model}'")
    return {
        v.tags["credit.bundle"]: (v.version, v.tags["credit.standing"] + "; " + v.tags["credit.note"]) for v in found
    }


def test_mlflow_shows_what_the_registry_says_at_each_step(
    credit: Credit, bundles: Bundles, mlflow: str, client: Any
) -> None:
    first = mirrored(credit, bundles, mlflow, "credit", "--location", "s3://models/")
    assert first.returncode == 0, first.stderr
    assert "version 1" in first.stdout
    assert "alias current -> version 1" in first.stdout
    assert there(client, "credit") == {
        SPRING: ("1", "approved as current by Grace on 2026-05-03; board of 3 May"),
        SUMMER: ("2", "proposed by Ada on 2026-05-03, not approved; summer model"),
    }
    assert client.get_model_version("credit", "1").source == f"s3://models/{SPRING}"
    assert client.get_model_version("credit", "2").description == "Proposed by Ada: summer model"

    again = mirrored(credit, bundles, mlflow, "credit", "--location", "s3://models/")
    assert again.stdout == "credit: nothing to change\n"

    bundles.write(Action.APPROVE, "Grace", "board of 1 June", SUMMER, "current")
    told = mirrored(credit, bundles, mlflow, "credit").stdout
    assert "alias current -> version 2" in told
    assert "version 1" not in told
    assert client.get_model_version_by_alias("credit", "current").tags["credit.bundle"] == SUMMER
    assert there(client, "credit")[SUMMER] == ("2", "approved as current by Grace on 2026-05-03; board of 1 June")

    bundles.write(Action.ROLLBACK, "Grace", "false negatives doubled", SPRING, "current")
    mirrored(credit, bundles, mlflow, "credit")
    assert client.get_model_version_by_alias("credit", "current").version == "1"
    assert there(client, "credit")[SPRING][1].endswith("; false negatives doubled")

    (bundles.folder / "current").unlink()
    assert "alias current taken away" in mirrored(credit, bundles, mlflow, "credit").stdout
    assert client.get_registered_model("credit").aliases == {}


def test_what_others_keep_in_mlflow_is_left_alone_and_what_they_wrote_into_ours_is_put_right(
    credit: Credit, bundles: Bundles, mlflow: str, client: Any
) -> None:
    client.create_registered_model("shared")
    other = client.create_model_version("shared", "s3://other/model", tags={"team": "fraud"})
    client.set_registered_model_alias("shared", "champion", other.version)
    client.set_registered_model_alias("shared", "current", other.version)
    mirrored(credit, bundles, mlflow, "shared")
    assert client.get_registered_model("shared").aliases == {"champion": "1", "current": "2"}
    client.set_model_version_tag("shared", "3", "credit.standing", "approved as current by Mallory")
    client.set_registered_model_alias("shared", "current", "3")
    assert mirrored(credit, bundles, mlflow, "shared").stdout.count("\n") == 2
    assert client.get_registered_model("shared").aliases == {"champion": "1", "current": "2"}
    assert "not approved" in client.get_model_version("shared", "3").tags["credit.standing"]
    assert client.get_model_version("shared", "1").tags == {"team": "fraud"}


def test_more_versions_than_a_page_are_all_found_again(
    credit: Credit, bundles: Bundles, mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.mirror._PAGE", 2)
    for number in range(5):
        bundles.write(Action.PROPOSE, "Ada", "one of many", f"{number:064x}")
    assert mirrored(credit, bundles, mlflow, "many").stdout.count("bundle") == 7
    assert mirrored(credit, bundles, mlflow, "many").stdout == "many: nothing to change\n"


def test_a_ledger_edited_by_hand_changes_nothing_there(
    credit: Credit, bundles: Bundles, mlflow: str, client: Any
) -> None:
    ledger = Ledger(bundles.folder).path
    ledger.write_text(ledger.read_text().replace("Grace", "Mallory"))
    refused = mirrored(credit, bundles, mlflow, "edited")
    assert refused.returncode == 2
    assert "line 3" in refused.stderr
    assert client.search_registered_models("name = 'edited'") == []


def test_what_mlflow_refuses_is_said_with_its_reason(credit: Credit, bundles: Bundles, mlflow: str) -> None:
    bundles.write(Action.APPROVE, "Grace", "board", SUMMER, "v1")  # what MLflow takes for a version
    refused = mirrored(credit, bundles, mlflow, "named")
    assert refused.returncode == 2
    assert "MLflow refuses" in refused.stderr
    assert "alias" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_that_is_down_is_a_reason_to_come_again(credit: Credit, bundles: Bundles) -> None:
    down = mirrored(credit, bundles, f"http://127.0.0.1:{free_port()}", "credit")
    assert down.returncode == 4
    assert "does not answer. Run the command again when it does." in down.stderr
    assert "Traceback" not in down.stderr


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_refused_needs_a_person(credit: Credit, bundles: Bundles, status: int) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"you are not permitted")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        refused = mirrored(credit, bundles, f"http://127.0.0.1:{server.server_port}", "credit")
        server.shutdown()
    assert refused.returncode == 2
    assert "you are not permitted" in refused.stderr


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("https://ada:hunter2@mlflow.example", "MLFLOW_TRACKING_USERNAME"),
        ("sqlite:///mlflow.db", "expected the address of a server"),
        ("mlflow.example:5000", "expected the address of a server"),
        ("", "expected the address of a server"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(
    credit: Credit, bundles: Bundles, server: str, said: str
) -> None:
    refused = mirrored(credit, bundles, server, "credit")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "hunter2" not in refused.stderr


def test_a_folder_without_a_registry_says_how_to_begin(credit: Credit, bundles: Bundles) -> None:
    shutil.rmtree(bundles.folder)
    bundles.folder.mkdir()
    refused = mirrored(credit, bundles, "http://127.0.0.1:1", "credit")
    assert refused.returncode == 2
    assert "credit registry init" in refused.stderr

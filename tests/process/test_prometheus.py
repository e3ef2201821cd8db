"""A real Prometheus scrapes both doors while they work: each panel shows something, each rule is evaluated."""

import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from features.spec.contract import Spec
from recipes.dataset import Dataset
from stream.client.cluster import EmbeddedBroker
from stream.publish import publish
from stream.settings.settings import ConnectionSettings
from tests.live_doors import SHIFTED, shift, worker
from tests.process.test_alerts import ALERTS, FOLDER, PANELS, expressions, tool
from tests.rest_door import Door, running
from tests.waiting import PATIENCE_S, free_port, wait_until

pytestmark = pytest.mark.process

OF_A_HISTORY_STORE = {"Seconds behind the topic of events", "Events that the store lacks"}  # none here
NOTHING_TO_SHOW = {"Alerts that fire"} | OF_A_HISTORY_STORE


@dataclass(frozen=True)
class Prometheus:
    """The API of a running one."""

    port: int

    def get(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def up(self) -> bool:
        try:
            return len(self.query("up == 1")) == 2
        except OSError:  # it does not listen yet, or is busy
            return False


@contextmanager
def prometheus(folder: Path, targets: dict[str, int]) -> Iterator[Prometheus]:
    """Run it on the rules as they are; of the configuration only targets and times are others."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    flags = {"config.file": folder / "prometheus.yml", "storage.tsdb.path": folder / "data"}
    command = [tool("prometheus"), *(f"--{name}={value}" for name, value in flags.items())]
    with (folder / "prometheus.log").open("w") as said:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=said)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def traffic(door: Door, broker: str, messages: list[bytes]) -> Iterator[None]:
    """Send applications to both doors, and now and then what is none, until the block ends."""
    ended = threading.Event()
    connection = ConnectionSettings(brokers=broker)

    def send() -> None:
        while not ended.is_set():
            for start in range(0, len(messages), 200):
                if ended.is_set():
                    break
                some = [*messages[start : start + 200], b"{}"]
                door.score(b"[" + b",".join(some) + b"]", "/v1/score/batch")
                door.score(some[0])
                door.score(b"{")
                publish(connection, "credit.applications", [("c", body) for body in some], None)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def scraped(
    bundle: Path, rival: Path, dataset: Dataset, spec: Spec, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus, while both doors decide applications whose income has shifted, one beside a challenger."""
    folder, broker, port = tmp_path_factory.mktemp("prometheus"), EmbeddedBroker(), free_port()
    with (
        running(bundle, folder, "fastapi", "--challenger", rival) as door,
        worker(broker.address, port, bundle, folder),
        traffic(door, broker.address, shift(dataset, spec)),
        prometheus(folder, {"credit-stream": port, "credit-rest": door.port}) as server,
    ):
        assert wait_until(server.up), (folder / "prometheus.log").read_text()
        assert wait_until(lambda: len(server.query("credit_feature_psi > 0.2")) == 2)
        yield server


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_shows_something(panel: dict[str, Any], scraped: Prometheus) -> None:
    if panel["title"] not in NOTHING_TO_SHOW:
        assert wait_until(lambda: all(scraped.query(expression) for expression in expressions(panel)))


def test_each_rule_is_evaluated_and_drift_waits_to_become_an_alert(scraped: Prometheus) -> None:
    def rules(group: str = ".*") -> list[dict[str, Any]]:
        found = [g for g in scraped.get("rules")["groups"] if re.fullmatch(group, g["name"])]
        return [rule for g in found for rule in g["rules"]]

    def pending() -> set[tuple[str, ...]]:
        alerts = [(rule["name"], a["labels"]) for rule in rules("credit-drift") for a in rule["alerts"]]
        return {(name, its["job"], its.get("feature", "")) for name, its in alerts}  # others tell of a busy machine

    assert wait_until(lambda: {r["name"]: r["health"] for r in rules()} == dict.fromkeys(ALERTS, "ok"))
    drift = {("CreditFeatureDrift", job, SHIFTED) for job in ("credit-rest", "credit-stream")}
    assert wait_until(lambda: pending() >= drift)
    assert pending() == drift

"""Drift at the doors as they are deployed: processes of their own, asked over sockets."""

import json
import urllib.request
from pathlib import Path

import pytest

from features.matrix import list_features
from features.spec.contract import Spec
from model_export.write_bundle import publish as publish_bundle
from monitoring.live.live import LEAST_DECISIONS, NO_REFERENCE
from recipes.dataset import Dataset
from scoring.bundle.folder import MANIFEST, REFERENCE
from scoring.message.from_tables import to_messages
from scoring.scorer import Scorer
from stream.client.cluster import EmbeddedBroker
from stream.publish import publish
from stream.settings.settings import ConnectionSettings
from tests.live_doors import SHIFTED, Metrics, shift, worker
from tests.rest_door import running
from tests.waiting import PATIENCE_S, free_port, wait_until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def usual(dataset: Dataset, spec: Spec) -> list[bytes]:
    return [m.body for m in to_messages(dataset.applications, dataset.events, spec)]


@pytest.fixture(scope="module")
def shifted(dataset: Dataset, spec: Spec) -> list[bytes]:
    return shift(dataset, spec)


def assert_only_the_shifted_feature_drifts(before: Metrics, after: Metrics) -> None:
    usual, now = (m.by("credit_feature_psi", "feature") for m in (before, after))
    assert max(usual.values()) < 0.1
    assert now[SHIFTED] > 0.2
    assert max(value for name, value in now.items() if name != SHIFTED) < 0.1


def test_the_rest_door_shows_drift_in_the_feature_that_shifted_and_in_no_other(
    bundle: Path, tmp_path: Path, usual: list[bytes], shifted: list[bytes]
) -> None:
    with running(bundle, tmp_path, "fastapi", drift_window=1000) as door:

        def send(messages: list[bytes]) -> Metrics:
            for start in range(0, len(messages), 200):
                body = b"[" + b",".join(messages[start : start + 200]) + b"]"
                assert door.score(body, "/v1/score/batch").status == 200
            return Metrics(door.ask("GET", "/metrics").body.decode())

        before, after = send(usual), send(shifted)
        assert_only_the_shifted_feature_drifts(before, after)
        assert after["credit_window_decisions"] <= 1100, "what is older than the window is forgotten"
        (bundle_id,) = after.by("credit_bundle_info", "bundle_id")
        assert bundle_id == bundle.name


def test_workers_of_a_rest_door_count_together_and_one_that_dies_is_counted_out(
    bundle: Path, tmp_path: Path, usual: list[bytes]
) -> None:
    with running(bundle, tmp_path, "fastapi", "--workers", 2) as door:
        assert door.workers_ready(2), "one that dies before is not counted as ready"

        def metrics() -> Metrics:
            return Metrics(door.ask("GET", "/metrics").body.decode())

        for start in range(0, 1200, 100):
            door.score(b"[" + b",".join(usual[start : start + 100]) + b"]", "/v1/score/batch")
        found = metrics()
        decided = sum(found.by("credit_rest_decisions_total", "credit_class").values())
        assert found["credit_window_decisions"] == decided == found["credit_score_points_count"]
        assert max(found.by("credit_feature_psi", "feature").values()) < 0.1
        assert found["credit_rest_worker_deaths_total"] == 0
        for process in door.processes():
            process.kill()
        assert door.workers_ready(4)
        found = metrics()
        assert found["credit_rest_worker_deaths_total"] == 2
        assert found["credit_window_decisions"] == 0
        assert found["credit_score_points_count"] == decided, "counters never fall"


def without_reference(bundle: Path, folder: Path) -> Path:
    """The bundle as a release before monitoring would have published it."""
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    contents = {name: (bundle / name).read_bytes() for name in manifest["files"] if name != REFERENCE}
    return publish_bundle(contents, manifest, folder)


def test_a_bundle_without_a_reference_has_no_drift_and_both_doors_say_so_once(
    bundle: Path, tmp_path: Path, usual: list[bytes]
) -> None:
    old = without_reference(bundle, tmp_path / "bundles")
    with running(old, tmp_path, "fastapi") as door:
        door.score(b"[" + b",".join(usual[:600]) + b"]", "/v1/score/batch")
        found = Metrics(door.ask("GET", "/metrics").body.decode())
        assert [line["reason"] for line in door.lines() if line["event"] == "no_drift_metrics"] == [NO_REFERENCE]
    assert found["credit_window_decisions"] > LEAST_DECISIONS
    assert found.by("credit_feature_missing_share", "feature").keys() == {
        feature.name for feature in list_features(Scorer.open(old).bundle.spec)
    }
    drift = {"credit_feature_psi", "credit_score_psi", "credit_class_psi", "credit_feature_missing_reference"}
    assert not drift & {name for name, _ in found.values}
    broker = EmbeddedBroker()
    with worker(broker.address, free_port(), old, tmp_path):
        pass
    assert (tmp_path / "worker.log").read_text().count(NO_REFERENCE) == 1


def test_the_stream_shows_drift_in_the_feature_that_shifted_and_in_no_other(
    bundle: Path, tmp_path: Path, usual: list[bytes], shifted: list[bytes]
) -> None:
    broker, port = EmbeddedBroker(), free_port()
    connection = ConnectionSettings(brokers=broker.address)
    publish(connection, "credit.applications", [("c", body) for body in usual], None)
    with worker(broker.address, port, bundle, tmp_path, drift_window=1000):

        def metrics(messages: int) -> Metrics:
            found: list[Metrics] = []

            def arrived() -> bool:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
                    found.append(Metrics(answer.read().decode()))
                return found[-1]["credit_stream_messages_total"] == messages

            assert wait_until(arrived), (tmp_path / "worker.log").read_text()
            return found[-1]

        before = metrics(len(usual))
        publish(connection, "credit.applications", [("c", body) for body in shifted], None)
        assert_only_the_shifted_feature_drifts(before, metrics(len(usual) + len(shifted)))

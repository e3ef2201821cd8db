"""What docker-compose.yml describes, really run: `make containers` makes the base images and calls this, as root.

Images are built from the Dockerfile, services are brought up by podman-compose, 1,000 applications go through Kafka and
100 over HTTP, and all of them are accounted for. Grafana is not run: Debian has no package of it.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.shell import shell

STORE = os.environ.get("CREDIT_CONTAINERS", "")
pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(not STORE, reason="images and containers need root and podman: make containers"),
]
SERVICES = ("kafka", "topics", "stream", "receipts", "rest", "prometheus")
USER = 1000
PUBLISHED, POSTED = 1000, 100
_MOST_ADDED = 450e6  # bytes of the image over its base; 432 MB were measured, the half of it Polars and ONNX Runtime
# Podman of Debian 12 knows no condition `service_healthy` and fails over chains of dependencies: the order is ours.
_ORDER = "services:\n" + "".join(
    f"  {name}: {{depends_on: !reset null}}\n" for name in ("topics", "stream", "receipts")
)
PODMAN = PROJECT / "deploy/containers/podman.sh"
BUILD = "--isolation=chroot --network=host --env=PIP_CERT=/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Project:
    """A checkout in which compose runs."""

    folder: Path

    def compose(self, *words: str) -> str:
        """Call podman-compose."""
        files = ["--file=docker-compose.yml", "--file=order.yml"]
        options = [
            *files,
            "--parallel=1",
            f"--podman-path={PODMAN}",
            f"--podman-build-args={BUILD}",
        ]
        return _output(["podman-compose", *options, *words], self.folder)

    def podman(self, *words: str) -> str:
        """Call podman."""
        return _output([str(PODMAN), *words], self.folder)

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return f"{self.folder.name}_{service}_1"

    def credit(self, service: str, *words: str) -> str:
        """Call `credit` in a service's container."""
        return self.podman("exec", self.container(service), "python", "-m", "cli.main", *words)

    def state(self, service: str) -> dict[str, Any]:
        """Return what podman says of a service's container."""
        (found,) = json.loads(self.podman("inspect", self.container(service)))
        return dict(found["State"])

    def healthy(self, service: str, seconds: float = 120) -> None:
        """Wait until the health check that the compose file states succeeds."""
        command = [str(PODMAN), "healthcheck", "run", self.container(service)]
        end = time.monotonic() + seconds
        while subprocess.run(command, capture_output=True, check=False).returncode:
            assert time.monotonic() < end, self.podman("logs", "--tail=40", self.container(service))
            time.sleep(1)


def _output(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "UID": str(USER)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def project(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """All services that can run here, up; the demo's bundle and a key are the user's."""
    folder = tmp_path_factory.mktemp("containers") / "credit"
    folder.mkdir()
    _output(["sh", "-c", f"git -C {PROJECT} ls-files -z | (cd {PROJECT} && xargs -0 tar c) | tar x"], folder)
    shutil.copytree(demo / "demo", folder / "demo", symlinks=True)
    made = shell("credit key new --keys demo/keys.json --name me > demo/key", folder)
    assert made.returncode == 0, made.stderr
    _output(["sh", "-c", f"chown -R {USER} demo && chmod -R a+rX .. ."], folder)
    (folder / "order.yml").write_text(_ORDER)
    running = Project(folder)
    try:
        running.compose("build", *SERVICES)
        running.compose("up", "--detach", "kafka")
        running.healthy("kafka")
        running.compose("up", "--detach", "topics")
        assert _until(lambda: running.state("topics")["Status"], "exited") == "exited"
        assert running.state("topics")["ExitCode"] == 0, running.podman("logs", running.container("topics"))
        running.compose("up", "--detach", "stream", "receipts", "rest", "prometheus")
        for service in ("stream", "rest", "prometheus"):
            running.healthy(service)
        yield running
    finally:
        down = ["podman-compose", "--file=docker-compose.yml", f"--podman-path={PODMAN}", "down", "-v"]
        subprocess.run(down, cwd=folder, check=False)


def test_everything_published_and_posted_is_accounted_for(project: Project) -> None:
    _publish(project, PUBLISHED)
    example = _example(project)
    posted = [_post(project, example, number) for number in range(POSTED)]
    assert {answer["application_id"] for answer in posted} == {f"posted-{n}" for n in range(POSTED)}
    decided = _until(lambda: len(_decisions(project)) + len(_dead_letters(project)), PUBLISHED)
    assert decided == PUBLISHED
    receipts = len(_decisions(project)) + POSTED
    assert _until(lambda: _receipts(project), receipts, seconds=150) == receipts  # REST seals once a minute


@pytest.mark.usefixtures("project")
def test_prometheus_sees_both_doors() -> None:
    def up() -> set[str]:
        with urllib.request.urlopen("http://127.0.0.1:9090/api/v1/query?query=up==1", timeout=10) as answer:
            return {one["metric"]["job"] for one in json.load(answer)["data"]["result"]}

    assert _until(up, {"credit-stream", "credit-rest"}, seconds=90) >= {"credit-stream", "credit-rest"}


@pytest.mark.parametrize("service", ["stream", "rest", "receipts"])
def test_a_killed_container_comes_back_and_goes_on(project: Project, service: str) -> None:
    before = project.state(service)
    os.kill(before["Pid"], 9)
    assert _until(lambda: project.state(service)["Pid"] not in {0, before["Pid"]}, expected=True, seconds=60)
    if service != "receipts":
        project.healthy(service)
    if service == "rest":
        assert _post(project, _example(project), 0)["application_id"] == "posted-0"


@pytest.mark.parametrize("service", ["stream", "rest", "receipts"])
def test_doors_run_as_a_user_without_rights_on_a_file_system_that_is_read_only(project: Project, service: str) -> None:
    name = project.container(service)
    assert project.podman("exec", name, "id", "-u").strip() == str(USER)
    for place in ("/app", "/usr/bin", "/demo/bundles"):
        refused = [str(PODMAN), "exec", name, "sh", "-c", f"touch {place}/x"]
        assert subprocess.run(refused, capture_output=True, check=False).returncode != 0, place


def test_the_image_holds_no_secret_and_little_besides_libraries(project: Project) -> None:
    image = "localhost/credit-scoring"
    size, base = (
        json.loads(project.podman("image", "inspect", name))[0]["Size"]
        for name in (image, "docker.io/library/python:3.11-slim")
    )
    assert size - base <= _MOST_ADDED, f"{(size - base) / 1e6:.0f} MB over the base"
    listed = project.podman("run", "--rm", "--entrypoint=find", image, "/app", "-type", "f")
    for name in ("demo/", ".git/", ".venv", "keys.json", "requirements-dev"):
        assert f"/app/{name}" not in listed, name
    history = project.podman("history", "--no-trunc", "--format={{.CreatedBy}}", image)
    environment = json.loads(project.podman("image", "inspect", image))[0]["Config"].get("Env", [])
    key = (project.folder / "demo/key").read_text().strip()
    for text in (history, *environment):
        assert key not in text
        assert "SECRET" not in text.upper()
        assert "PASSWORD" not in text.upper()


def test_everything_stops_within_its_grace(project: Project) -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    for service in ("rest", "stream", "receipts"):
        grace = int(compose[service]["stop_grace_period"].removesuffix("s"))
        start = time.monotonic()
        project.podman("stop", f"--time={grace}", project.container(service))
        assert time.monotonic() - start < grace
        assert project.state(service)["ExitCode"] == 0, project.podman("logs", "--tail=20", project.container(service))


def _publish(project: Project, count: int) -> None:
    lines = (project.folder / "demo/tonight/applications.csv").read_text().splitlines(keepends=True)
    (project.folder / "demo/tonight/some.csv").write_text("".join(lines[: count + 1]))
    tables = ["--applications=/demo/tonight/some.csv", "--events=/demo/tonight/events.csv"]
    project.credit("stream", "stream", "publish", "--brokers=kafka:9092", *tables, "--topic=credit.applications")


def _decisions(project: Project) -> list[str]:
    return project.credit("stream", "stream", "decisions", "--brokers=kafka:9092", "--limit=100000").splitlines()


def _dead_letters(project: Project) -> list[str]:
    listed = project.credit("stream", "stream", "dead-letters", "list", "--brokers=kafka:9092", "--json")
    return listed.splitlines()


def _receipts(project: Project) -> int:
    return int(json.loads(project.credit("receipts", "log", "verify", "/log", "--json"))["receipts"])


def _example(project: Project) -> dict[str, Any]:
    return dict(json.loads(project.credit("rest", "bundle", "schema", "/demo/bundles/current", "--example")))


def _post(project: Project, example: dict[str, Any], number: int) -> dict[str, Any]:
    key = (project.folder / "demo/key").read_text().split()[0]
    body = json.dumps({**example, "application_id": f"posted-{number}"}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:8000/v1/score", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - of this machine
        return dict(json.load(answer))


def _until(ask: Callable[[], Any], expected: object, seconds: float = 90) -> Any:
    """Ask until the answer is the expected one, or time is up; return the last answer."""
    end = time.monotonic() + seconds
    while (found := ask()) != expected and time.monotonic() < end:
        time.sleep(2)
    return found

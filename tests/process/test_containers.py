"""Dockerfile and compose file cannot be run here; what they say is checked against the schema and the command line."""

import inspect
import re
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.log.log_consume import consume
from cli.main import app
from stream.settings.settings import PREFIX, StreamSettings
from tests.conftest import PROJECT

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
GRAFANA = PROJECT / "monitoring/grafana"
PROMETHEUS_FILE = PROJECT / "monitoring/prometheus/prometheus.yml"
PROMETHEUS: dict[str, Any] = yaml.safe_load(PROMETHEUS_FILE.read_text())
BUILT = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
CREDIT = {name: service for name, service in BUILT.items() if service["build"]["target"] == "app"}


@pytest.mark.process
def test_the_compose_file_fits_the_schema_of_compose_files(tmp_path: Path) -> None:
    check = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, "docker-compose.yml"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((PROJECT / "docker-compose.yml").read_text().replace("stop_grace_period", "stop_grace"))
    assert subprocess.run([*check, str(broken)], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", CREDIT)
def test_the_command_line_knows_each_command_flag_and_variable(name: str) -> None:
    node: Any = get_command(app)
    words = list(CREDIT[name]["command"])
    while words and hasattr(node, "commands"):
        node = node.commands[words.pop(0)]
    flags = {option for parameter in node.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= flags
    variables = set(CREDIT[name].get("environment", {}))
    assert variables <= {PREFIX + field.upper() for field in StreamSettings.model_fields}


def test_ports_and_dependencies_belong_together() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    stream = services["stream"]
    assert stream["environment"]["CREDIT_STREAM_HEALTH_PORT"] in stream["ports"]
    assert f":{stream['environment']['CREDIT_STREAM_HEALTH_PORT']}/readyz" in stream["healthcheck"]["test"][-1]
    start = (PROJECT / "stream/kafka/start.sh").read_text()
    assert "KAFKA_PORT:-9092" in start
    assert stream["environment"]["CREDIT_STREAM_BROKERS"] == "kafka:9092"


def test_images_that_are_not_built_here_are_pinned() -> None:
    pulled = {name: service["image"] for name, service in COMPOSE["services"].items() if name not in BUILT}
    assert pulled.keys() == {"prometheus", "grafana"}
    assert all(re.fullmatch(r"[a-z]+/[a-z]+:v?[0-9]+\.[0-9]+\.[0-9]+", image) for image in pulled.values())


def test_prometheus_asks_the_doors_at_their_ports() -> None:
    services = COMPOSE["services"]
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in PROMETHEUS["scrape_configs"]}
    asked = {name: (*job["names"], job["type"], job["port"]) for name, job in jobs.items()}
    stream = int(services["stream"]["environment"]["CREDIT_STREAM_HEALTH_PORT"])
    rest = services["rest"]["command"]
    assert asked == {
        "credit-stream": ("stream", "A", stream),
        "credit-rest": ("rest", "A", int(rest[rest.index("--port") + 1])),
    }
    hosts = services["stream"]["environment"]["CREDIT_STREAM_HEALTH_HOST"], rest[rest.index("--host") + 1]
    assert all(ip_address(host).is_unspecified for host in hosts), "other containers must reach them"


def test_prometheus_and_grafana_find_their_files_where_they_are_mounted() -> None:
    services = COMPOSE["services"]
    mounts = {name: mounted(services[name]) for name in ("prometheus", "grafana")}
    config = next(word.partition("=")[2] for word in services["prometheus"]["command"] if "config.file" in word)
    assert mounts["prometheus"][str(Path(config).parent)].joinpath(Path(config).name) == PROMETHEUS_FILE
    assert all((PROMETHEUS_FILE.parent / name).is_file() for name in PROMETHEUS["rule_files"])
    assert mounts["grafana"]["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/credit-scoring.yml").read_text())["providers"]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert mounts["grafana"][str(home.parent)].joinpath(home.name).is_file()
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0].rpartition(':')[2]}"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    assert all(
        service["ports"][0].startswith("127.0.0.1:") for service in (services["prometheus"], services["grafana"])
    )


def mounted(service: dict[str, Any]) -> dict[str, Path]:
    """Folders of the project by where a service sees them; they are mounted to be read only."""
    parts = [volume.split(":") for volume in service["volumes"] if volume.startswith("./")]
    assert all(mode == "ro" for _, _, mode in parts)
    return {inside: PROJECT / outside for outside, inside, _ in parts}


def test_receipts_reach_a_log_that_can_be_written_to() -> None:
    services = COMPOSE["services"]
    topic = inspect.signature(consume).parameters["topic"].default
    assert {services[name]["environment"]["CREDIT_STREAM_RECEIPTS"] for name in ("topics", "stream")} == {topic}
    logging = [s for s in services.values() if "--log" in s.get("command", ())]
    assert len(logging) == 2
    for service in logging:
        log = service["command"][service["command"].index("--log") + 1]
        assert f"log:{log}" in service["volumes"]
        assert f"mkdir --mode=1777 {log}" in DOCKERFILE, "a new volume takes the mode of the image's folder"


def test_the_dockerfile_uses_lines_and_variables_that_the_tests_run() -> None:
    start = (PROJECT / "stream/kafka/start.sh").read_text()
    assert "dependency:copy-dependencies" in DOCKERFILE
    assert "dependency:copy-dependencies" in start
    for variable in re.findall(r"(KAFKA_[A-Z]+)=", DOCKERFILE):
        assert f"${{{variable}:-" in start
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, flags=re.MULTILINE))
    assert {service["build"]["target"] for service in BUILT.values()} == targets
    for source in re.findall(r"^COPY (?:--\S+ )?(\S+) ", DOCKERFILE, flags=re.MULTILINE):
        assert (PROJECT / source).exists()


def test_the_images_packages_are_pinned_as_everywhere_and_hold_no_training_library() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9.\-]+==\S+)", (PROJECT / name).read_text(), flags=re.MULTILINE))

    served = pins("requirements-serve.txt")
    assert served <= pins("requirements.txt")
    names = {pin.split("==")[0] for pin in served}
    assert {"confluent-kafka", "fastapi", "onnxruntime", "polars"} <= names
    assert not names & {"xgboost-cpu", "scikit-learn", "onnx", "optuna", "matplotlib", "pandas", "scipy"}

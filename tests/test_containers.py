"""Dockerfile and compose file cannot be run here; what they say is checked against the schema and the command line."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.log_consume import consume
from cli.main import app
from stream.settings import PREFIX, StreamSettings
from tests.conftest import PROJECT

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
BUILT = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
CREDIT = {name: service for name, service in BUILT.items() if service["build"]["target"] == "app"}


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

"""The REST door against MLflow's scoring server and a plain FastAPI + pandas + XGBoost handler, in one run.

    python -m benchmarks.rest_speed [--folder /tmp/credit-bench] [--seconds 5]

Each server has one core, the load comes from another process on another core, over real sockets. All requests carry
one application with 30 events; MLflow gets its feature row ready-made, so it does less: no parsing of events, no
features, no reasons, no decision. The product's decision and the plain handler's must be equal.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import rest_mlflow
from benchmarks.score_end_to_end import make_model
from features.matrix import build_features
from scoring.message.decoder import MessageDecoder
from scoring.message.schema import example_application
from scoring.scorer import Scorer

PORT = 8431
RATE = 500
_SERVE = [sys.executable, "-m", "cli.main", "serve", "--no-auth", "--rate-limit", "0", "--port", str(PORT)]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and its figures."""

    process: psutil.Process
    figures: dict[str, Any]

    def core_seconds(self) -> float:
        """Return what the process and its children have computed, which other work on the machine does not change."""
        members = [self.process, *self.process.children(recursive=True)]
        return sum(member.cpu_times().user + member.cpu_times().system for member in members)


@contextmanager
def serving(command: list[str], ready: str, environment: dict[str, str]) -> Iterator["Server"]:
    """Run a server on one core; when it answers, yield it with its seconds to ready; its memory follows at the end."""
    cores = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment)
    process.cpu_affinity(cores[:1])
    figures: dict[str, Any] = {}
    try:
        while not answers(ready):
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode}")
            time.sleep(0.02)
        figures["ready_s"] = round(time.perf_counter() - began, 2)
        yield Server(process, figures)
        members = [process, *process.children(recursive=True)]
        figures["memory_mb"] = round(sum(member.memory_info().rss for member in members) / 1e6)
    finally:
        for member in [*process.children(recursive=True), process] if process.poll() is None else []:
            member.terminate()
        process.wait()


def answers(path: str) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=1):
            return True
    except OSError:
        return False


def load(path: str, body: Path, connections: int, seconds: float, rate: float = 0) -> dict[str, Any]:
    """Run the load generator on the last core."""
    command = [sys.executable, "-m", "benchmarks.rest_load", str(PORT), path, str(body), str(connections), str(seconds)]
    cores = sorted(os.sched_getaffinity(0))
    process = psutil.Popen([*command, str(rate)], stdout=subprocess.PIPE)
    process.cpu_affinity(cores[-1:])
    said, _ = process.communicate()
    return dict(json.loads(said))


def measure(server: Server, path: str, body: Path, seconds: float) -> dict[str, Any]:
    """Measure one connection, sixteen, and a fixed rate."""
    alone, before = load(path, body, 1, seconds), server.core_seconds()
    sixteen = load(path, body, 16, seconds)
    core_seconds = server.core_seconds() - before
    fixed = load(path, body, 64, seconds, RATE) if sixteen["per_second"] > RATE else {"p50_ms": None, "p99_ms": None}
    return {
        "one_connection_per_second": alone["per_second"],
        "sixteen_per_second": sixteen["per_second"],
        "core_us_at_sixteen": round(1e6 * core_seconds / sixteen["requests"]),
        "not_200": alone["not_200"] + sixteen["not_200"],
        f"p50_ms_at_{RATE}": fixed["p50_ms"],
        f"p99_ms_at_{RATE}": fixed["p99_ms"],
    }


def write_bodies(scorer: Scorer, folder: Path) -> dict[str, Path]:
    """Write one application with 30 events, and its feature row for MLflow."""
    spec = scorer.bundle.spec
    application = example_application(spec)
    kinds = spec.event_kinds
    application["attributes"] = {name: str(value) for name, value in application["attributes"].items()}
    application["attributes"] |= {"credit_history": "18 Years and 9 Months"}
    application["events"] = [
        {
            "occurred_at": f"2026-{1 + i % 8:02d}-{1 + i % 28:02d}T09:30:00",
            "kind": kinds[i % len(kinds)],
            "amount": f"-{30 + i}.5{i % 10}",
        }
        for i in range(30)
    ]
    application["as_of"] = "2026-08-31T00:00:00"
    paths = {"application": folder / "application.json", "row": folder / "row.json"}
    paths["application"].write_text(json.dumps(application))
    decoded = MessageDecoder(spec).decode([paths["application"].read_bytes()])
    rest_mlflow.write_body(build_features(decoded.applications, decoded.events, spec).matrix[0], paths["row"])
    return paths


def ask(path: str, body: Path) -> dict[str, Any]:
    """Ask once."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", body.read_bytes(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own address
        return dict(json.loads(answer.read()))


def main(folder: Path, seconds: float) -> dict[str, Any]:
    """Measure all servers, one after the other, and return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(folder)
    bundle = (model / "bundle").resolve()
    paths = write_bodies(Scorer.open(bundle), folder)
    python = rest_mlflow.prepare(bundle, folder)
    plain = [sys.executable, "-m", "uvicorn", "benchmarks.rest_plain:app", "--port", str(PORT), "--no-access-log"]
    one = {"OMP_NUM_THREADS": "1", "PYTHONPATH": "."}
    servers: dict[str, tuple[list[str], str, str, Path, dict[str, str]]] = {
        name: (
            [*_SERVE, "--bundle", str(bundle), "--framework", framework],
            "/readyz",
            "/v1/score",
            paths["application"],
            more,
        )
        for name, framework, more in (
            ("product, FastAPI", "fastapi", {}),
            ("product, Flask", "flask", {}),
            ("product, FastAPI, no coalescing", "fastapi", {"CREDIT_API_ROUND_SIZE": "1"}),
        )
    }
    servers["plain FastAPI, pandas, XGBoost"] = (
        plain,
        "/docs",
        "/score",
        paths["application"],
        {**one, "MODEL": str(model)},
    )
    search = {"PATH": f"{python.parent}:{os.environ['PATH']}"}  # MLflow starts the uvicorn that it finds there
    mlflow = rest_mlflow.serve_command(python, folder, PORT)
    servers["MLflow, ready-made row"] = (mlflow, "/ping", "/invocations", paths["row"], one | search)
    result, decided = {}, {}
    for name, (command, ready, path, body, environment) in servers.items():
        with serving(command, ready, environment) as server:
            decided[name] = ask(path, body)
            server.figures.update(measure(server, path, body, seconds))
        result[name] = server.figures
    check_equal(decided["product, FastAPI"], decided["plain FastAPI, pandas, XGBoost"])
    return result


def check_equal(product: dict[str, Any], plain: dict[str, Any]) -> None:
    """End the benchmark where the two do not decide the same."""
    different = [n for n in plain if n.startswith("p_") and abs(product[n] - plain[n]) > 1e-6]
    if different or product["credit_class"] != plain["credit_class"]:
        raise SystemExit(f"the baseline decides otherwise: {product} {plain}")


def as_markdown(result: dict[str, Any]) -> str:
    """Lay the figures out as a table, with ratios of this run."""
    base = {name: result[name]["sixteen_per_second"] for name in result}
    header = (
        "server",
        "1 connection",
        "16 connections",
        "against MLflow",
        "against plain",
        "core us a request",
        "p99 ms at 500/s",
        "ready s",
        "MB",
    )
    rows = [
        (
            name,
            f["one_connection_per_second"],
            f["sixteen_per_second"],
            round(base[name] / base["MLflow, ready-made row"], 2),
            round(base[name] / base["plain FastAPI, pandas, XGBoost"], 2),
            f["core_us_at_sixteen"],
            f[f"p99_ms_at_{RATE}"],
            f["ready_s"],
            f["memory_mb"],
        )
        for name, f in result.items()
    ]
    cells = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join('' if c is None else str(c) for c in row)} |" for row in cells) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    figures_of_all = main(options.folder, options.seconds)
    sys.stderr.write(as_markdown(figures_of_all))
    sys.stdout.write(json.dumps(figures_of_all) + "\n")

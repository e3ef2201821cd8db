"""MLflow's scoring server with the bundle's own ONNX model on ready-made feature rows, in an environment of its own."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

PACKAGES = ("mlflow==3.17.2", "onnx", f"onnxruntime=={version('onnxruntime')}")
_SAVE = """
import sys, onnx, mlflow.onnx
from mlflow.models import infer_signature
import numpy as np
model = onnx.load(sys.argv[1])
columns = model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
signature = infer_signature(np.zeros((1, columns), np.float32))
mlflow.onnx.save_model(model, sys.argv[2], onnx_session_options=options, signature=signature)
"""


def prepare(bundle: Path, folder: Path) -> Path:
    """Install MLflow and save the model; return the Python of that environment."""
    python = folder / "mlflow-venv/bin/python"
    if not python.with_name("mlflow").exists():
        run([sys.executable, "-m", "venv", str(folder / "mlflow-venv")])
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
    if not (folder / "mlflow-model").exists():
        run([str(python), "-c", _SAVE, str(bundle / "model.onnx"), str(folder / "mlflow-model")])
    return python


def serve_command(python: Path, folder: Path, port: int) -> list[str]:
    """Return the command that serves the model with one worker."""
    command = ["-m", "mlflow", "models", "serve", "--model-uri", str(folder / "mlflow-model"), "--port", str(port)]
    return [str(python), *command, "--host", "127.0.0.1", "--env-manager", "local", "--workers", "1"]


def write_body(row: "np.ndarray[tuple[int], np.dtype[np.float32]]", path: Path) -> None:
    """Write one feature row as MLflow takes it; it has no missing values, which JSON cannot say."""
    path.write_text(json.dumps({"inputs": [np.nan_to_num(row).tolist()]}))


def run(command: list[str]) -> None:
    """Run a command, or end with what it said."""
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - commands of this file

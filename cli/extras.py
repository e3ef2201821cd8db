"""Which libraries a plain install leaves out, and what to say where one is asked for."""

from importlib.util import find_spec

_EXTRAS = {
    "api": {"fastapi", "flask", "prometheus_client", "pydantic_settings", "uvicorn", "waitress"},
    "cloud": {"deltalake", "obstore"},
    "history": {"lmdb", "psycopg"},
    "lime": {"lime"},
    "mlflow": {"mlflow"},
    "sign": {"cryptography"},
    "spark": {"pyarrow", "pyspark"},
    "stream": {"confluent_kafka"},
    "train": {"matplotlib", "onnx", "optuna", "scipy", "skl2onnx", "sklearn", "xgboost"},
}


def missing_extra(library: str | None) -> str | None:
    """Say which extra brings a library that is not there; None where it is none of ours."""
    extra = next((name for name, libraries in _EXTRAS.items() if library in libraries), None)
    if extra is None:
        return None
    return f"this command needs libraries that a plain install leaves out. Run pip install .[{extra}] and try again."


def stream_installed() -> bool:
    """Say whether the extra `stream` is there: its commands take their options from its settings."""
    return all(find_spec(name) is not None for name in ("pydantic_settings", "confluent_kafka"))

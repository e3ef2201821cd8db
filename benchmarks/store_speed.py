"""`credit score` from and to an object store on loopback against the same run on local files: the outputs are equal.

    python -m benchmarks.store_speed [--applications 100000] [--folder /tmp/credit-bench]

The store is the server of the tests, in this process; what it costs itself is measured and named, for it is Python.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.lender import make_lender
from benchmarks.score_end_to_end import figures, make_model, measured
from storage.durable import sha256_of
from tests.s3_server import S3, s3_server

_TABLES = ("applications", "events")


def main(applications: int, folder: Path) -> dict[str, Any]:
    """Measure both and return the figures."""
    model, lender = make_model(folder), make_lender(folder, applications)
    common = [sys.executable, "-m", "cli.main", "score", f"--bundle={model / 'bundle'}"]
    out = lender / "decisions.parquet"
    here = measured([*common, *[f"--{name}={lender / name}.parquet" for name in _TABLES], f"--out={out}"])
    with s3_server() as store:
        os.environ.update(store.environment)
        for name in _TABLES:
            store.lake[f"{name}/part-0.parquet"] = (lender / f"{name}.parquet").read_bytes()
        before = time.process_time()
        there = measured([*common, *[f"--{name}=s3://lake/{name}/" for name in _TABLES], "--out=s3://lake/out"])
        served = time.process_time() - before
        _check_equal(store, out)
    return {
        "applications": applications,
        "local": figures(here),
        "store": figures(there),
        "seconds_against_local": round(there.seconds / here.seconds, 2),
        "core_seconds_against_local": round(there.core_seconds / here.core_seconds, 2),
        "core_seconds_of_the_server": round(served, 1),
    }


def _check_equal(store: S3, out: Path) -> None:
    """Fail unless what was delivered is the local output."""
    named = json.loads(store.lake["out/decisions.run.json"])["outputs"]
    (digest,) = (digest for name, digest in named.items() if name.endswith(".parquet"))
    if digest != sha256_of(out):
        raise SystemExit("the output in the store is another one than on local files")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--applications", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    options = parser.parse_args()
    print(json.dumps(main(options.applications, options.folder), indent=2))  # noqa: T201

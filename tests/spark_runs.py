"""Run as a program: several jobs in one session of Spark, since a session takes longer than a small job.

Arguments: the bundle, and jobs as JSON, the fields of `SparkJob`. Prints a line for each: the error or nothing.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch import Accepted
from batch.spark import SparkJob, open_session, run_on_spark, translated
from features.errors import CreditError
from scoring.scorer import Scorer


def job(fields: dict[str, Any]) -> SparkJob:
    paths: dict[str, Any] = {name: Path(fields.pop(name)) for name in ("applications", "events", "out")}
    accepted = Accepted(**fields.pop("accepted", {}))
    return SparkJob(**paths, accepted=accepted, **fields)


def main(bundle: str, jobs: list[dict[str, Any]]) -> None:
    scorer = Scorer.open(Path(bundle))
    with open_session() as session:

        @contextmanager
        def shared() -> Iterator[Any]:
            with translated():
                yield session

        for fields in jobs:
            try:
                run_on_spark(job(fields), scorer, shared)
                said = ["", ""]
            except CreditError as error:
                said = [type(error).__name__, str(error)]
            sys.stdout.write(f"{json.dumps(said)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))

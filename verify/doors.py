"""Batch, here and on Spark, and REST as processes of their own, as a user runs them; their answers are compared."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec
import polars as pl

from features.dialect import Dialect
from features.errors import DeliveryError, InputError
from features.rejects import APPLICATIONS
from features.spec.contract import Spec
from storage.tables import SourceTable
from verify.answers import DoorAnswer, from_files
from verify.processes import running

_CONNECTIONS = 16
_SCORED = 200
_REFUSED = (400, 413, 422)
COMMAND = (sys.executable, "-m", "cli.main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What all doors are asked: the bundle, the user's files, and how the `credit` command is started.

    `dialect`: of CSV files, where it is not the spec's. `store`: where the events are; None: messages carry them.
    """

    bundle: Path
    applications: Path
    events: Path | None
    command: Sequence[str] = COMMAND
    dialect: Dialect | None = None
    store: str | None = None

    @property
    def history(self) -> tuple[str, ...]:
        """The options by which a door takes events from the store."""
        return () if self.store is None else ("--history", self.store)


def ask_batch(question: Question, table: SourceTable, spec: Spec, compared: Sequence[int]) -> pl.DataFrame:
    """Score the files with `credit score`; return the outcomes of the rows `compared` (0-based) of the table, in order.

    Raises:
        InputError: the files cannot be used, with what the command said.

    """
    with tempfile.TemporaryDirectory(prefix="credit-verify-") as folder:
        out = Path(folder) / "decisions.parquet"
        _run("batch", _command(question, spec, ("score",), out))
        decisions = pl.read_parquet(out)
        codes = _codes_by_row(out.with_name("decisions.rejects.csv"), table)
    return from_files(decisions, _decided(codes), codes, spec)[list(compared)]


def ask_spark(
    question: Question, table: SourceTable, ids: pl.Series, spec: Spec, compared: Sequence[int]
) -> pl.DataFrame:
    """Score the files with `credit spark score` on all cores of this machine; return the same as `ask_batch`.

    `ids`: the application_id of each row of the table, since Spark keeps no order.

    Raises:
        InputError: the files cannot be used, or there is no Spark, with what the command said.

    """
    with tempfile.TemporaryDirectory(prefix="credit-verify-") as folder:
        out = Path(folder) / "decisions"
        master = f"--master local[*,4] --conf spark.ui.enabled=false --conf spark.local.dir={folder} pyspark-shell"
        _run("Spark", _command(question, spec, ("spark", "score"), out), PYSPARK_SUBMIT_ARGS=master)
        decisions = pl.read_parquet(out / "part-*.parquet")
        codes = _codes_by_row(next(out.glob("_rejects-*.csv")), table)
    decided = _decided(codes)
    placed = ids[decided].to_frame("application_id").join(decisions, "application_id", "left", maintain_order="left")
    return from_files(placed.select(decisions.columns), decided, codes, spec)[list(compared)]


def _command(question: Question, spec: Spec, words: Sequence[str], out: Path) -> list[str]:
    """Return a command that scores the files, whatever the night is like."""
    events = ("--events", question.events) if question.events else ()
    files = ("--applications", question.applications, *events, "--out", out)
    csv = question.dialect
    dialect = () if csv is None else ("--separator", csv.separator, "--encoding", csv.encoding)
    degraded = [part for attribute in spec.attributes for part in ("--allow-degraded", attribute.name)]
    options = ("--max-reject-share", 1, "--allow-empty-events", *degraded, *dialect)
    return [str(part) for part in (*question.command, *words, "--bundle", question.bundle, *files, *options)]


def _run(door: str, command: list[str], **more: str) -> None:
    """Run the command of a door, with `more` in its environment."""
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{door}: {_last_error(done.stderr)}")


def _last_error(said: str) -> str:
    """Return what a command said of why it ended, without what libraries said before."""
    return said.strip().rpartition("error: ")[2]


def _decided(codes: Sequence[str | None]) -> list[int]:
    return [row for row, code in enumerate(codes) if code is None]


def _codes_by_row(path: Path, table: SourceTable) -> list[str | None]:
    """Return the code of each row of the table, None where it was decided, from a file of rejects."""
    rejects = pl.read_csv(path, infer_schema=False).filter(pl.col("table") == APPLICATIONS)
    file, row = table.locate(pl.Series(range(1, table.rows + 1), dtype=pl.Int64))
    places = pl.DataFrame([file.alias("file"), row.alias("row")])
    own = rejects.select("file", pl.col("row").cast(pl.Int64), "code")
    joined = places.join(own, on=["file", "row"], how="left", maintain_order="left", validate="1:1")
    return joined["code"].to_list()


def ask_rest(question: Question, framework: str, messages: Sequence[bytes]) -> list[DoorAnswer]:
    """Serve with `credit serve` and post each message to /v1/score on real sockets, over 16 connections.

    Raises:
        DeliveryError: the door did not start, or broke off.

    """
    longest = max(map(len, messages), default=0) + 1024
    settings = {
        "RATE_LIMIT": "0",
        "MAX_BODY_BYTES": str(longest),
        "MAX_BYTES_IN_FLIGHT": str(4 * _CONNECTIONS * longest),
        "DEADLINE_SECONDS": "120",
    }
    arguments = ("serve", "--bundle", question.bundle, "--framework", framework, "--no-auth", "--port", 0)
    environment = {f"CREDIT_API_{name}": value for name, value in settings.items()}
    command = (*question.command, *arguments, *question.history)
    with running(command, framework, environment) as door, ThreadPoolExecutor(_CONNECTIONS) as pool:
        port = int(door.first_line().split()[0].rpartition(":")[2])
        shares = [range(start, len(messages), _CONNECTIONS) for start in range(_CONNECTIONS)]
        outcomes: list[DoorAnswer] = [DoorAnswer()] * len(messages)
        for answers in pool.map(lambda share: list(_post(port, messages, share)), shares):
            for row, outcome in answers:
                outcomes[row] = outcome
    return outcomes


def _post(port: int, messages: Sequence[bytes], share: Iterable[int]) -> Iterator[tuple[int, DoorAnswer]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=150)
    try:
        for row in share:
            connection.request("POST", "/v1/score", messages[row], {"Content-Type": "application/json"})
            response = connection.getresponse()
            yield row, _outcome(response.status, response.read())
    except (OSError, HTTPException) as error:
        raise DeliveryError(f"REST: the door broke off ({type(error).__name__}).") from error
    finally:
        connection.close()


def _outcome(status: int, body: bytes) -> DoorAnswer:
    if status == _SCORED:
        return DoorAnswer(decision=body)
    if status in _REFUSED:
        return DoorAnswer(code=msgspec.json.decode(body)["code"])
    return DoorAnswer(code=f"http_{status}")

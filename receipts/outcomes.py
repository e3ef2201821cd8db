"""True outcomes beside the log: LOG/outcomes/<number>-<SHA-256>.parquet, added and never changed.

A file is put in place whole or not at all, and holds only what was new, so that adding the same labels again, or after
a crash, adds nothing twice.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import identifier, require_columns
from features.cells import Reader
from features.cells.instants import instant
from features.errors import InputError
from features.spec.class_values import class_texts, class_value, spelled
from features.spec.contract import probability_column
from receipts.log.folder import OUTCOMES, busy, check_log, delivering
from receipts.log.read import Segment, segments
from receipts.pii import keyed
from scoring.evaluate_files import refuse_decisions
from scoring.lookup import Lookup
from storage.durable import put
from storage.locks import Lock

__all__ = ["Rules", "add_outcomes", "read_labels", "read_outcomes"]

LABELS = "labels"
_COLUMNS: dict[str, pl.DataType] = {
    "application_id": pl.String(),
    "credit_class": pl.String(),
    "outcome_at": pl.Datetime("us", "UTC"),
}
SCHEMA = pl.Schema(_COLUMNS)
_DIGITS = 16  # of the SHA-256 in a file's name
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """How many outcomes were new, were there before, or belong to no decision; and how many the log has now."""

    new: int
    known: int
    unknown: int
    total: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What is let pass: outcomes dated before their decision, if after `as_of`; applications that are not in the log.

    Decisions that were made in hindsight are younger than their outcomes. Rejected applications have no decision.
    """

    backfilled: bool = False
    skip_unknown: bool = False


STRICT = Rules()


def read_labels(table: pl.DataFrame) -> pl.DataFrame:
    """Check labels: application_id, credit_class and, where known, outcome_at (an instant; a date is 00:00 UTC).

    Raises:
        InputError: a column is missing, an application repeated, a class empty or an instant unreadable; or these
            are decisions.

    """
    require_columns(table, LABELS, ("application_id", "credit_class"))
    refuse_decisions(table)
    if table.is_empty():
        raise InputError("labels: not one row. Expected an application_id and its credit_class in each.")
    ids = table.select(identifier(table.schema, LABELS, "application_id")).to_series()
    classes = class_texts(table["credit_class"]).str.strip_chars()
    _refuse((ids.is_null() | (ids == "")).fill_null(value=True), "have no application_id. Name the application in each")
    _refuse(ids.is_duplicated(), "name an application that another row names too. Keep one outcome per application")
    _refuse((classes.is_null() | (classes == "")).fill_null(value=True), "have no credit_class. Leave them out")
    return pl.DataFrame([ids, classes, _dates(table)], schema=SCHEMA)


def _dates(table: pl.DataFrame) -> pl.Series:
    if "outcome_at" not in table.columns:
        return pl.repeat(None, table.height, dtype=SCHEMA["outcome_at"], eager=True).alias("outcome_at")
    own = table.select("outcome_at")
    cells = Reader([instant(LABELS, "outcome_at", own.schema["outcome_at"])]).read(own)
    values, causes = cells["outcome_at"].values, cells["outcome_at"].causes
    unusable = values.is_null() & (causes != "missing").fill_null(value=False)
    _refuse(unusable, "have an outcome_at that is no instant. Expected such as 2026-08-31, or nothing")
    return values.cast(SCHEMA["outcome_at"]).alias("outcome_at")


def _refuse(bad: pl.Series, what: str) -> None:
    if bad.any():
        first = bad.arg_true()[0] + 1
        raise InputError(f"labels: {bad.sum():,} rows (the first is row {first:,}) {what}.")


def add_outcomes(log: Path, labels: pl.DataFrame, key: bytes | None = None, rules: Rules = STRICT) -> Added:
    """Add the outcomes of `read_labels` to a log. What is there already, with the same class, is left as it is.

    With a key, applications whose ids are stored keyed are found too. Outcomes that bear a date must be younger than
    their decision.

    Raises:
        InputError: nothing is added, because the log is none, or an application is not in it, has another outcome
            already, has a class that its bundle does not know, or an outcome dated before its decision.
        DeliveryError: the file could not be written, or another process adds.

    """
    check_log(log)
    folder = log / OUTCOMES
    with delivering(log):
        folder.mkdir(exist_ok=True)
    with Lock(folder / ".lock", busy(folder, "another `credit outcomes add`")):
        stored = _as_stored(log, labels, key, rules)
        before = read_outcomes(log)
        places = Lookup(before["application_id"]).find(stored["application_id"])
        known = pl.Series(places >= 0)
        former = before["credit_class"].gather(np.maximum(places, 0)) if before.height else stored["credit_class"]
        _refuse(known & (former != stored["credit_class"]), "have another outcome in the log already. Leave them out")
        fresh = stored.filter(~known)
        if fresh.height:
            with delivering(folder):
                _put(folder, fresh)
        return Added(
            new=fresh.height,
            known=stored.height - fresh.height,
            unknown=labels.height - stored.height,
            total=before.height + fresh.height,
        )


def _put(folder: Path, fresh: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    fresh.write_parquet(buffer)
    content = buffer.getvalue()
    number = len(_files(folder)) + 1
    put(folder / f"{number:08d}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}.parquet", content)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def read_outcomes(log: Path) -> pl.DataFrame:
    """Return all outcomes of a log, one row per application, in the order in which they were added.

    Raises:
        InputError: a file changed since it was written, or cannot be read.

    """
    found = [pl.DataFrame(schema=SCHEMA)]
    for path in _files(log / OUTCOMES) if (log / OUTCOMES).is_dir() else ():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
        if hashlib.sha256(content).hexdigest()[:_DIGITS] != path.stem.partition("-")[2]:
            raise InputError(f"{path}: changed since it was written. Restore it from a copy.")
        found.append(pl.read_parquet(io.BytesIO(content)))
    return pl.concat(found)


def _as_stored(log: Path, labels: pl.DataFrame, key: bytes | None, rules: Rules) -> pl.DataFrame:
    """Find every application in the log and check its outcome; return ids in the form in which the log has them."""
    labels = labels.with_columns(_spelled_as_decided(log, labels["credit_class"]))
    forms = [labels["application_id"]]
    if key is not None:
        hidden = [keyed(key, "application_id", value) for value in labels["application_id"]]
        forms.append(pl.Series("application_id", hidden, dtype=pl.String))
    seen = [_Seen(form, labels["credit_class"], backfilled=rules.backfilled) for form in forms]
    for segment in segments(log):
        for found in seen:
            found.look(segment)
    decided = np.minimum.reduce([found.earliest for found in seen])
    known = pl.Series(decided < _NEVER)
    if rules.skip_unknown and not known.any():
        raise InputError(f"labels: none of their applications is in {log}. Check that they belong together.")
    if not rules.skip_unknown:
        what = f"name an application that is not in {log}. Check that they belong together; --skip-unknown leaves out"
        _refuse(~known, f"{what} those that were rejected")
    misfit = np.logical_or.reduce([found.misfit for found in seen])
    _refuse(pl.Series(misfit), "have a credit_class that the bundle that decided does not know. Correct it")
    dated = labels["outcome_at"].to_physical()
    early = known & (dated < pl.Series(decided)).fill_null(value=False)
    than = "as_of" if rules.backfilled else "its decision. If that was made in hindsight, add --backfilled; if not"
    _refuse(early, f"have an outcome dated before {than}, correct it")
    first = pl.Series(seen[0].earliest < _NEVER)
    return labels.with_columns(forms[0].zip_with(first, forms[-1]).alias("application_id")).filter(known)


def _spelled_as_decided(log: Path, classes: pl.Series) -> pl.Series:
    """Spell classes that are numbers or booleans as the decisions of the log do: 1.0 is its class 1."""
    if all(class_value(name) == name for name in classes.unique()):
        return classes
    known = set[str]()
    for segment in segments(log):
        columns = pl.read_parquet_schema(segment.path("receipts")).keys() if segment.rows else ()
        known |= {name.removeprefix("p_") for name in columns if name.startswith("p_")}
    fit = classes.str.to_lowercase().is_in(list(known))
    return classes.zip_with(fit, spelled(classes, known))


class _Seen:
    """Looks for applications in segments: the earliest instant of their decisions, and classes that do not fit."""

    def __init__(self, ids: pl.Series, classes: pl.Series, *, backfilled: bool) -> None:
        self._lookup, self._classes = Lookup(ids), classes
        self._instant = "as_of" if backfilled else "decided_at"
        self.earliest: NDArray[np.int64] = np.full(len(ids), _NEVER)
        self.misfit: NDArray[np.bool_] = np.zeros(len(ids), dtype=np.bool_)

    def look(self, segment: Segment) -> None:
        columns = pl.read_parquet_schema(segment.path("receipts")).keys() if segment.rows else ()
        probabilities = [name for name in columns if name.startswith("p_")]
        spelled: dict[str, bool] = {}
        for frame in segment.frames(["application_id", self._instant, "credit_class"]):
            places = self._lookup.find(frame["application_id"])
            inside = places >= 0
            instants = frame[self._instant].to_physical().to_numpy()[inside]
            np.minimum.at(self.earliest, places[inside], instants)
            spelled |= dict.fromkeys(frame["credit_class"].unique(), True)
            own = self._classes.gather(places[inside])
            fits = {name: _is_class(name, probabilities, spelled) for name in own.unique()}
            self.misfit[places[inside]] |= np.array([not fits[name] for name in own], dtype=np.bool_)


def _is_class(name: str, probabilities: list[str], spelled: dict[str, bool]) -> bool:
    """Tell whether a class has a probability column, and is spelled as the decisions spell it, if they assign it."""
    column = probability_column(name)
    others = {probability_column(other) for other in spelled if other != name}
    return column in probabilities and column not in others

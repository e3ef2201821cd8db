"""`credit verify`: every door is asked about the same applications, and every bit of every answer is compared."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from batch import open_inputs
from features.applications import identifier
from features.errors import InputError
from features.matrix import build_features
from features.rejects import APPLICATIONS
from features.rfm import NO_MATCHES, Matches
from scoring.doors import DOORS
from scoring.message import encode_messages, to_messages
from scoring.scorer import Scorer
from verify.answers import DoorAnswer, from_messages
from verify.compare import Comparison, compare
from verify.doors import Question, ask_batch, ask_rest, ask_spark
from verify.stream_door import ask_stream
from verify.through_store import filled_store

Progress = Callable[[str], None]
REFERENCE, SPARK = "batch", "Spark"
WAYS: dict[str, Callable[[Question, list[bytes], str | None], list[DoorAnswer]]] = {  # in which `DOORS` are asked
    "stream": ask_stream,
    "FastAPI": lambda question, messages, _: ask_rest(question, "fastapi", messages),
    "Flask": lambda question, messages, _: ask_rest(question, "flask", messages),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was compared and what came out. `repeated`: rows whose id is repeated, which only files can see.

    `history`: the doors took the events from a history store, else messages carried them.
    """

    bundle_id: str
    applications: int
    repeated: int
    decisions: int
    rejects_by_code: dict[str, int]
    columns: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    first_application_id: str | None
    matches: Matches = NO_MATCHES
    history: bool = False

    @property
    def agree(self) -> bool:
        """Whether no bit differs anywhere."""
        return not any(comparison.different for comparison in self.comparisons)

    def document(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {"agree": self.agree, **asdict(self), "reference": REFERENCE}


def verify(
    question: Question,
    brokers: str | None = None,
    progress: Progress = lambda _stage: None,
    *,
    history: bool = False,
    spark: bool = False,
) -> Report:
    """Ask all doors and compare each with the batch door; `brokers` None: the stream on the embedded broker.

    `history`: the events go through a new history store, at `question.store` or in a folder that is removed, and the
    doors are asked without them. `spark`: the batch on Apache Spark is asked, too.

    Raises:
        InputError: a file cannot be used.
        BundleError: the bundle does not verify.
        SettingsError: the spec needs no events, or there is a store at that address already.
        DeliveryError: a door did not start or broke off.

    """
    progress("read")
    scorer = Scorer.open(question.bundle)
    spec = scorer.bundle.spec
    table, events = open_inputs(question.applications, question.events, spec, question.dialect)
    applications, movements = table.read(), events.read()
    ids = applications.select(identifier(applications.schema, APPLICATIONS, "application_id")).to_series()
    compared = once(applications)
    if not compared:  # agreement about nothing would be no proof
        raise InputError(
            f"{question.applications}: each application_id is repeated, which only files can see, so there is nothing "
            "to compare. Leave one row of each."
        )
    asked = applications[compared]
    with filled_store(question.store, movements, spec) if history else nullcontext() as store:
        told = encode_messages(asked, None, spec.attributes) if history else to_messages(asked, movements, spec)
        messages = [m.body for m in told]
        progress("batch")
        reference = ask_batch(question, table, spec, compared)
        comparisons = []
        for way in [way for door in DOORS.values() for way in door.asked if way != REFERENCE]:
            progress(way)
            outcomes = WAYS[way](replace(question, store=store), messages, brokers)
            comparisons.append(compare(way, reference, from_messages(outcomes, spec)))
    if spark:
        progress(SPARK)
        comparisons.append(compare(SPARK, reference, ask_spark(question, table, ids, spec, compared)))
    matches = build_features(asked, movements, spec).matches
    report = _report(scorer.bundle.bundle_id, ids, compared, reference, comparisons)
    return replace(report, matches=matches, history=history)


def once(applications: pl.DataFrame) -> list[int]:
    """Return the 0-based rows whose application_id is not repeated; rows without an id are no repeats."""
    ids = applications.select(identifier(applications.schema, APPLICATIONS, "application_id")).to_series()
    repeated = ids.is_duplicated() & ids.is_not_null() & (ids != "")
    return (~repeated.fill_null(value=False)).arg_true().to_list()


def _report(
    bundle_id: str, ids: pl.Series, compared: list[int], reference: pl.DataFrame, comparisons: list[Comparison]
) -> Report:
    codes = reference["code"].drop_nulls().value_counts().sort("count", "code", descending=[True, False])
    first = min((c.first_row for c in comparisons if c.first_row is not None), default=None)
    return Report(
        bundle_id=bundle_id,
        applications=len(ids),
        repeated=len(ids) - len(compared),
        decisions=int(reference["code"].is_null().sum()),
        rejects_by_code=dict(codes.iter_rows()),
        columns=tuple(reference.columns),
        comparisons=tuple(comparisons),
        first_application_id=None if first is None else ids[compared[first]],
    )

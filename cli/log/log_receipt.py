"""How a receipt is shown: as JSON, and for people."""

import json
from typing import Any

import polars as pl

from cli.console import say, say_table
from receipts.frame import CHECK_ID, FEATURE, KIND, OPTIONAL, ORIGIN, SHADOW
from receipts.log import Segment
from receipts.outbox import Waiting
from scoring.decisions import decision_lines


def as_record(place: Segment | Waiting, receipt: pl.DataFrame) -> dict[str, Any]:
    """Return one receipt as JSON: where it lies, where it came from, the application, features and the decision.

    That of a challenger has a `kind`. One that is not sealed yet has a `segment` of null and says in which `outbox` it
    waits.
    """
    names = [name for name in receipt.columns if name.startswith(FEATURE)]
    decision = receipt.drop(*names, *ORIGIN, CHECK_ID, *OPTIONAL, strict=False)
    (line,) = decision_lines(decision.select(pl.all().exclude("bundle_id"), "bundle_id"))
    origin = {name: receipt[name].item() for name in ORIGIN if name not in {"application", "decided_at"}}
    text = receipt["application"].item()
    features = receipt.select(pl.col(name).fill_nan(None) for name in names).to_dicts()[0]
    return {
        **({KIND: SHADOW} if KIND in receipt.columns else {}),
        **_where(place),
        "origin": {"decided_at": receipt["decided_at"].item().isoformat()}
        | {name: value for name, value in origin.items() if value is not None}
        | _optional(receipt),
        "application": None if text is None else json.loads(text),
        "features": {name.removeprefix(FEATURE): value for name, value in features.items()},
        "decision": json.loads(line),
        **({} if receipt[CHECK_ID].item() is None else {CHECK_ID: receipt[CHECK_ID].item()}),
    }


def _optional(receipt: pl.DataFrame) -> dict[str, Any]:
    found = {name: receipt[name].item() for name in OPTIONAL if name != KIND and name in receipt.columns}
    return {name: json.loads(text) for name, text in found.items() if text is not None}


def _where(place: Segment | Waiting) -> dict[str, Any]:
    if isinstance(place, Waiting):
        return {"segment": None, "outbox": {"writer": place.writer, "file": place.file}}
    return {"segment": {"writer": place.writer, "number": place.number, "hash": place.hash}}


def say_receipt(record: dict[str, Any]) -> None:
    """Print a receipt: the decision first, then its reasons, where it came from, what went in, features."""
    decision = record["decision"]
    say(f"Application {decision['application_id']} of customer {decision['customer_id']}, as of {decision['as_of']}")
    chances = ", ".join(f"{name} {value:.4g}" for name, value in decision.items() if name.startswith("p_"))
    if KIND in record:
        say("This is the receipt of a challenger: what it would have decided, which had no effect.")
    say(f"Decision    {decision['credit_class']}, {decision['credit_score']} points ({chances})")
    for number, reason in enumerate(decision["reasons"], start=1):
        say(f"  {number}. {reason['text']}  [{reason['code']} {reason['contribution']:+.3f}]")
    say()
    rows = [("decision_id", decision["decision_id"]), ("bundle", decision["bundle_id"])]
    say_table((), [*rows, *record["origin"].items(), *_place(record)])
    say()
    features = [(name, "missing" if value is None else f"{value:.9g}") for name, value in record["features"].items()]
    say_table(("feature", "value"), features)
    say()
    if record["application"] is None:
        say("The receipt keeps the feature row; the application is in the input file at this row.")
    else:
        say(json.dumps(record["application"], ensure_ascii=False))
    say()


def _place(record: dict[str, Any]) -> list[tuple[str, str]]:
    segment = record["segment"]
    if segment is None:
        return [("segment", f"none yet: it waits in the outbox of {record['outbox']['writer']}")]
    return [("segment", f"{segment['writer']} {segment['number']}"), ("segment's hash", segment["hash"])]

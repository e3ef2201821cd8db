"""`credit replay`: receipts are decided again and every bit compared, or another bundle says what it had done."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, say_table, stages
from cli.log.log_options import AsJson, Log, PiiKey, instant, read_pii_key
from features.errors import InputError, SettingsError

if TYPE_CHECKING:
    from polars import DataFrame

    from receipts.log import Segment
    from receipts.replay import Parts, Replay, WhatIf

app = typer.Typer()
_DIFFERS = 7


@app.command(epilog="Example: credit replay demo/log --bundles demo/bundles")
def replay(  # noqa: PLR0917 - typer takes options by name
    log: Log,
    bundles: Annotated[Path, typer.Option("--bundles", help="Folder of the bundles that decided.", show_default=False)],
    decision_id: Annotated[
        str | None, typer.Option("--decision-id", help="One decision alone.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Decided at or after this date or instant.", show_default=False)
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="What this bundle would have decided.", show_default=False)
    ] = None,
    pii_key: PiiKey = None,
    as_json: AsJson = False,
) -> None:
    """Decide receipts again and compare every bit; exit 7 if one differs. With --against, what would change instead."""
    from receipts.replay import replay as run
    from receipts.replay import what_if
    from scoring.scorer import Scorer

    threads = len(os.sched_getaffinity(0))
    with stages("Replaying", 2) as stage:
        stage("read")
        parts, folders = _chosen(log, bundles, (decision_id, since), pii_key)
        stage("replay")
        if against is not None:
            compared = what_if(parts, Scorer.open(against, threads))
        else:
            report = run(parts, folders, threads)
    if against is not None:
        _say_what_if(compared, as_json=as_json)
        return
    _say(report, as_json=as_json)
    sys.exit(_DIFFERS if report.different else 0)


def _chosen(
    log: Path, bundles: Path, which: tuple[str | None, str | None], pii_key: Path | None
) -> tuple["Parts", dict[str, Path]]:
    from receipts.log import segments
    from receipts.replay import all_parts, find_bundles, since_when

    decision_id, since = which
    if decision_id is not None and since is not None:
        raise SettingsError("--decision-id and --since: expected one of the two.")
    if decision_id is not None:
        found = _found(log, decision_id.strip(), read_pii_key(pii_key))
        return iter(found), find_bundles(bundles, [segment for segment, _ in found])
    begin = None if since is None else instant("--since", since)
    chosen = since_when(segments(log), begin)
    if not chosen:
        raise InputError(f"{log}: holds no receipts{'' if since is None else ' from then on'}.")
    return all_parts(chosen, begin), find_bundles(bundles, chosen)


def _found(log: Path, decision_id: str, key: bytes | None) -> list[tuple["Segment", "DataFrame"]]:
    from receipts.log import find
    from receipts.outbox import find_unsealed
    from receipts.pii import stored_forms

    unsealed = find_unsealed(log, "decision_id", decision_id, key)
    found = list(find(log, "decision_id", stored_forms("decision_id", decision_id, key)))
    if found:
        return found
    waits = "It waits in an outbox of the REST door and is not sealed yet; replay it once it is."
    why = waits if unsealed.found else "Check it, or find it with `credit log find`."
    raise InputError(f"{log}: holds no receipt with this decision_id. {why}")


def _say(report: "Replay", *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(report.document(), indent=2))
        return
    say_table((), list(_counts(report)))
    say()
    if not report.different:
        say(f"Every bit of {report.receipts:,} decisions agrees.")
        return
    rows = [
        (
            column,
            count,
            report.first[column].decision_id,
            f"{report.first[column].writer} {report.first[column].number}",
        )
        for column, count in report.by_column.most_common()
    ]
    say_table(("column that differs", "receipts", "first decision_id", "in segment"), rows)
    say()
    say(f"{report.different:,} of {report.receipts:,} decisions differ.")


def _counts(report: "Replay") -> Iterator[tuple[str, int]]:
    yield "receipts", report.receipts
    yield from ((f"  of the door {door}", count) for door, count in sorted(report.by_door.items()))
    yield "  from the application with its events: everything", report.from_applications
    yield "  from the feature row alone: model, policy, reasons, decision_id", report.from_features
    yield "bundles", len(report.bundles)
    yield "decisions that differ", report.different


def _say_what_if(compared: "WhatIf", *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(compared.document(), indent=2))
        return
    document: dict[str, Any] = compared.document()
    say(f"{document['receipts']:,} receipts, {document['changed']:,} would get another class.")
    if document["undecided"]:
        say(f"{document['undecided']:,} more cannot be scored by this bundle: its spec asks for other data.")
    say()
    money = document["currency"]
    rows = [
        (c["from"], c["to"], c["receipts"], f"{c['cost_before']:,.2f}", f"{c['cost_after']:,.2f}", f"{c['saved']:,.2f}")
        for c in [*document["changes"], {"from": "all", "to": "", **document["total"]}]
    ]
    say_table(("decided", "would be", "receipts", f"expected cost, {money}", "would be", "saved"), rows)
    say()
    say("Costs are expected, by this bundle's calibrated probabilities and prices.")
    rows_by_column = list(document["by_column"].items())
    if rows_by_column:
        say()
        say_table(("column that differs", "receipts"), rows_by_column)

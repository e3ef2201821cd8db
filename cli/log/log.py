"""`credit log`: the decision log, its receipts and its chains."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, say_table, stages, warn
from cli.doors.no_stream import ANY, stream
from cli.extras import stream_installed
from cli.log.log_options import AsJson, Log, PiiKey, instant, read_pii_key
from cli.log.log_receipt import as_record, say_receipt
from features.errors import InputError, SettingsError

if TYPE_CHECKING:
    from receipts.log import Audit, Removed

_KEYED = "Ids in this log are stored keyed: give the file of the key with --pii-key."
app = typer.Typer(no_args_is_help=True, help="The decision log: find receipts, verify its chains, remove what must go.")


@app.command("find", epilog="Example: credit log find demo/log --application-id A2-0000000")
def find_receipts(  # noqa: PLR0917 - typer takes options by name
    log: Log,
    application_id: Annotated[
        str | None, typer.Option("--application-id", help="Receipts of this application.", show_default=False)
    ] = None,
    customer_id: Annotated[
        str | None, typer.Option("--customer-id", help="Receipts of this customer.", show_default=False)
    ] = None,
    decision_id: Annotated[
        str | None, typer.Option("--decision-id", help="Receipts of this decision.", show_default=False)
    ] = None,
    header: Annotated[
        str | None,
        typer.Option("--header", help="NAME=VALUE: receipts that such a header came with.", show_default=False),
    ] = None,
    pii_key: PiiKey = None,
    as_json: AsJson = False,
) -> None:
    """Print receipts: inputs, features, decision, reasons, bundle. Of an application, customer, decision or header."""
    from receipts.log import find, find_by_header
    from receipts.outbox import find_unsealed
    from receipts.pii import stored_forms

    asked = {"application_id": application_id, "customer_id": customer_id, "decision_id": decision_id}
    given = [(column, value.strip()) for column, value in asked.items() if value is not None]
    given += [] if header is None else [_header(header)]
    if len(given) != 1:
        raise SettingsError("expected one of --application-id, --customer-id, --decision-id and --header.")
    (column, value), key = given[0], read_pii_key(pii_key)
    unsealed = find_unsealed(log, column, value, key, header=header is not None)
    by_id = find(log, column, stored_forms(column, value, key))
    found = list(by_id if header is None else find_by_header(log, column, value))
    waiting = unsealed.but([rows for _, rows in found])
    for why in unsealed.unread:
        warn(f"note: receipts that are not sealed yet could not be read: {why}")
    if not found and not waiting:
        raise InputError(f"{log}: holds no receipt with this {column}. {_why_not(log, pii_key, unsealed.rows)}")
    records = [as_record(at, row) for at, rows in found for row in rows.iter_slices(1)]
    records += [as_record(at, row) for at, rows in waiting for row in rows.iter_slices(1)]
    if as_json:
        say(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for record in records:
        say_receipt(record)
    _say_repeated(records)


def _header(text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not (name and equal and value):
        raise SettingsError("--header: expected NAME=VALUE, such as correlation-id=7f3a.")
    return name.strip().lower(), value.strip()


def _why_not(log: Path, pii_key: Path | None, unsealed: int) -> str:
    from receipts.log import segments

    found = segments(log)
    keyed = any(segment.keyed for segment in found)
    if keyed and pii_key is None:
        return _KEYED
    removed = sum(removal["rows"] for segment in found for removal in segment.manifest.removals)
    there = sum(segment.rows for segment in found)
    waiting = f", and {unsealed:,} that a REST door has not sealed yet" if unsealed else ""
    gone = f"; {removed:,} more have expired or were erased" if removed else ""
    stream = " Receipts of the stream are in their topic until `credit log consume` takes them."
    late = stream if any(segment.door == "stream" for segment in found) else ""
    return f"{there:,} receipts are there{waiting}{gone}. Check the id{' and the key' if keyed else ''}.{late}"


def _say_repeated(records: list[dict[str, Any]]) -> None:
    ids = [record["decision"]["decision_id"] for record in records]
    if len(set(ids)) < len(ids):
        decisions = len(set(ids))
        of = "one decision" if decisions == 1 else f"{decisions:,} decisions"
        say(f"{len(ids):,} receipts of {of}: a run was repeated, or a message came again.")


@app.command(epilog="Example: credit log verify demo/log")
def verify(
    log: Log,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="A head that you kept elsewhere; more than one may be given.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check each chain, file and receipt; exit 1 if anything was changed, removed or added, naming what and where."""
    from receipts.log import audit

    with stages("Verifying", 1) as stage:
        stage("read")
        found = audit(log, head or ())
    if as_json:
        say(json.dumps({"intact": not found.problems, **_document(found)}, indent=2))
    else:
        _say_audit(found)
        if _unsealed(log):
            say("note: receipts that a REST door has not sealed yet are in no chain and were not checked")
    if found.problems:
        sys.exit(InputError.exit_code)


def _document(found: "Audit") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


def _say_audit(found: "Audit") -> None:
    rows = [("segments", found.segments), ("receipts", found.receipts)]
    rows += [("receipts of challengers", found.shadows)] if found.shadows else []
    rows += [("expired or erased", found.removed)]
    say_table((), rows)
    say()
    say_table(("writer", "segments", "head"), [(head.writer, head.number, head.hash) for head in found.heads])
    for note in found.notes:
        say(f"note: {note}")
    say()
    if not found.problems:
        say(
            "The chains are intact. Keep the heads elsewhere: without one there, this rules out accidents, but not "
            "that the whole log was written anew."
        )
    for problem in found.problems:
        say(f"BROKEN {problem}")


@app.command(epilog="Example: credit log expire demo/log --before 2020-01-01")
def expire(
    log: Log,
    before: Annotated[
        str, typer.Option("--before", help="Decisions made before this date or instant go.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Remove receipts that are older than you must keep them. Tombstones stay, and the chain still verifies."""
    from receipts.log import expire as run

    _say_removed(log, run(log, instant("--before", before), datetime.now(UTC)), as_json=as_json)


@app.command(epilog="Example: credit log erase demo/log --customer-id C-0000000")
def erase(
    log: Log,
    customer_id: Annotated[str, typer.Option("--customer-id", help="Whose receipts go.", show_default=False)],
    pii_key: PiiKey = None,
    as_json: AsJson = False,
) -> None:
    """Remove the receipts of one customer. Tombstones hold no personal data, and the chain still verifies."""
    from receipts.log import all_segments
    from receipts.log import erase as run
    from receipts.pii import stored_forms

    key = read_pii_key(pii_key)
    if key is None and any(segment.keyed for segment in all_segments(log)):
        raise SettingsError(f"{log}: nothing was erased. {_KEYED}")
    removed = run(log, stored_forms("customer_id", customer_id.strip(), key), datetime.now(UTC))
    _say_removed(log, removed, as_json=as_json)
    if not removed.receipts:
        warn("note: no receipt of this customer is there. Check the id and the key: another key finds nothing.")


def _say_removed(log: Path, removed: "Removed", *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        say(json.dumps(asdict(removed)))
    else:
        say(f"{removed.receipts:,} receipts removed from {removed.segments:,} segments")
        if removed.swept:
            say(f"{removed.swept:,} files that an interrupted removal had left are gone now")
    if _unsealed(log):
        warn("note: receipts that a REST door has not sealed yet are not touched; run this again when they are")


def _unsealed(log: Path) -> bool:
    from receipts.log import OUTBOX
    from receipts.outbox import SUFFIX

    return any((log / OUTBOX).glob(f"*/*{SUFFIX}"))


if stream_installed():
    from cli.log import log_consume

    app.command(epilog=log_consume.EXAMPLE)(log_consume.consume)
else:
    app.command("consume", context_settings=ANY)(stream)

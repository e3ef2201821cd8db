"""`credit log`: the decision log, its receipts and its chains."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, say_table, stages, warn
from cli.doors.no_stream import ANY, stream
from cli.doors.trusted import TrustOption
from cli.extras import stream_installed
from cli.log.log_options import AsJson, Log, PiiKey, instant, read_pii_key
from cli.log.log_receipt import as_record, say_receipt
from cli.places import log_here
from features.errors import InputError, SettingsError
from receipts.frame import KIND
from storage.durable import replace_files
from storage.targets import prepare_folder

if TYPE_CHECKING:
    from receipts.log import Audit, Removed
    from registry import SignedHeads

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
    """Print receipts: inputs, features, decision, reasons, bundle. Of an application, customer, decision or header.

    Those of challengers come last, and say that nobody was told what they hold.
    """
    from receipts.log import find, find_by_header
    from receipts.outbox import find_unsealed
    from receipts.pii import stored_forms

    asked = {"application_id": application_id, "customer_id": customer_id, "decision_id": decision_id}
    given = [(column, value.strip()) for column, value in asked.items() if value is not None]
    given += [] if header is None else [_header(header)]
    if len(given) != 1:
        raise SettingsError("expected one of --application-id, --customer-id, --decision-id and --header.")
    (column, value), key = given[0], read_pii_key(pii_key)
    with log_here(log) as here:
        unsealed = find_unsealed(here.path, column, value, key, header=header is not None)
        by_id = find(here.path, column, stored_forms(column, value, key), shadows=True)
        found = list(by_id if header is None else find_by_header(here.path, column, value))
        waiting = unsealed.but([rows for _, rows in found])
        for why in unsealed.unread:
            warn(f"note: receipts that are not sealed yet could not be read: {here.say(why)}")
        if not found and not waiting:
            why_not = _why_not(here.path, pii_key, unsealed.rows)
            raise InputError(f"{here.shown}: holds no receipt with this {column}. {why_not}")
    records = [as_record(at, row) for at, rows in found for row in rows.iter_slices(1)]
    records += [as_record(at, row) for at, rows in waiting for row in rows.iter_slices(1)]
    records.sort(key=lambda record: KIND in record)  # what was decided, then what challengers would have
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
    ids = [record["decision"]["decision_id"] for record in records if KIND not in record]
    if len(set(ids)) < len(ids):
        decisions = len(set(ids))
        of = "one decision" if decisions == 1 else f"{decisions:,} decisions"
        say(f"{len(ids):,} receipts of {of}: a run was repeated, or a message came again.")


@app.command(epilog="Example: credit log verify demo/log")
def verify(  # noqa: PLR0917 - typer takes options by name
    log: Log,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="A head that you kept elsewhere; more than one may be given.", show_default=False),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option("--heads", help="A file of `log sign`; more than one may be given.", show_default=False),
    ] = None,
    trust: TrustOption = None,
    tsa_roots: Annotated[
        Path | None,
        typer.Option(
            "--tsa-roots",
            help="Certificates, .pem: each of --heads must bear a time stamp of them.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check each chain, file and receipt; exit 1 if anything was changed, removed or added, naming what and where."""
    from receipts.log import audit

    signed = _signed(heads or (), trust, tsa_roots)
    with stages("Verifying", 1) as stage, log_here(log) as here:
        stage("read")
        found, unsealed = audit(here.path, head or ()), _unsealed(here.path)
    found.problems, found.notes = ([here.say(text) for text in texts] for texts in (found.problems, found.notes))
    for one in signed:
        found.problems += [f"{here.shown}: {text}" for text in one.differences(found.links)]
    if as_json:
        said = [{"name": one.name, "signed_at": one.at, "chains": len(one.heads)} for one in signed]
        more = {"signed_heads": said} if signed else {}
        say(json.dumps({"intact": not found.problems, **_document(found), **more}, indent=2))
    else:
        _say_audit(found, proven=bool(signed or head))
        for one in signed:
            clock = "as a time-stamp authority says" if one.stamped else "by their own clock"
            say(f"{one.name} signed the heads of {len(one.heads)} chains at {one.at}, {clock}.")
        if unsealed:
            say("note: receipts that a REST door has not sealed yet are in no chain and were not checked")
    if found.problems:
        sys.exit(InputError.exit_code)


def _signed(files: Sequence[Path], trust: Path | None, roots: Path | None) -> list["SignedHeads"]:
    """Read signed heads; without keys nobody can say whose they are."""
    if not files:
        if roots is not None:
            raise SettingsError("--tsa-roots: expected --heads as well, whose time stamps these certificates verify.")
        return []
    from registry import Trust, read_heads

    if trust is None:
        raise SettingsError("--heads: expected --trust as well, the keys whose signatures count.")
    known, now = Trust.read(trust), datetime.now(UTC)
    return [read_heads(path, known, now, roots) for path in files]


@app.command(epilog="Example: credit log sign demo/log --key demo/committee.pem --out heads.json")
def sign(
    log: Log,
    key: Annotated[Path, typer.Option("--key", help="Private key, .pem.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", help="The signed heads, to be kept away from the log.", show_default=False)
    ],
    tsa: Annotated[
        str | None,
        typer.Option("--tsa", help="URL of a time-stamp authority (RFC 3161), which is asked.", show_default=False),
    ] = None,
) -> None:
    """Verify a log and sign the heads of its chains, so that `log verify --heads` tells if it was written anew."""
    from receipts.log import audit
    from registry import sign_heads
    from registry.keys import read_key

    if out.resolve().is_relative_to(log.resolve()):
        raise SettingsError(f"{out}: lies in the log. Whoever writes that anew would sign anew: keep it elsewhere.")
    own = read_key(key)
    prepare_folder(out)
    with stages("Verifying", 1) as stage:
        stage("read")
        found = audit(log)
    for problem in found.problems:
        say(f"BROKEN {problem}")
    if found.problems:
        raise InputError(f"{log}: nothing was signed, since its chains are not intact.")
    heads = [(head.writer, head.number, head.hash) for head in found.heads]
    replace_files({out: sign_heads(heads, own, datetime.now(UTC), tsa)})
    say(f"{out}: {len(heads)} chains, {found.receipts:,} receipts, signed by key {own.id}")


def _document(found: "Audit") -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(found).items() if name != "links"}


def _say_audit(found: "Audit", *, proven: bool) -> None:
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
        alone = (
            " Keep the heads elsewhere (`credit log sign`): without one there, this rules out accidents, but not that "
            "the whole log was written anew."
        )
        say("The chains are intact." + ("" if proven else alone))
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

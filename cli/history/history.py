"""`credit history`: each customer's account events, so that applications may come without them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say, stages, warn
from cli.data.spec_files import read_spec
from cli.doors.no_stream import ANY, stream
from cli.extras import stream_installed
from cli.history import history_reconcile
from cli.history.history_options import StoreOption, customer_option, instant_option, positions_option
from cli.options import Encoding, Separator, csv_dialect

app = typer.Typer(no_args_is_help=True, help="Keep customers' account events, so that applications may come without.")


@app.command(epilog="Example: credit history init --spec demo/train/spec.toml --store demo/history")
def init(
    spec: Annotated[Path, typer.Option("--spec", help="Says how events are read, .toml.", show_default=False)],
    store: StoreOption,
    map_gib: Annotated[
        int | None,
        typer.Option(
            "--map-gib", min=1, help="Address space for the folder's store; default: 512.", show_default=False
        ),
    ] = None,
) -> None:
    """Make an empty history store for the events of a spec."""
    from history import create_store

    made = create_store(store, read_spec(spec), map_gib)
    days = made.settings.retention_days
    say(
        f"{made.where}: keeps events for {days} days. `credit history load` fills it from a file, `consume` from Kafka."
    )
    made.close()


@app.command(epilog="Example: credit history load demo/tonight/events.csv --store demo/history")
def load(  # noqa: PLR0917 - typer takes options by name
    events: Annotated[Path, typer.Argument(help="CSV or Parquet file of events, or a folder.", show_default=False)],
    store: StoreOption,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="What of the topic the file covers, PARTITION:OFFSET,...: the next offset to read of each.",
            show_default=False,
        ),
    ] = None,
    complete_since: Annotated[
        str | None,
        typer.Option("--complete-since", help="The file lacks what came before.", show_default=False),
    ] = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Fill a store from a file with all events of all customers; what an earlier run wrote is not written again."""
    from history import Loading, fingerprint, load_events, open_store
    from storage.tables import read_table

    opened = open_store(store)
    spec = opened.settings.spec
    since = 0 if complete_since is None else instant_option(complete_since)
    loading = Loading(
        fingerprint=fingerprint(events),
        until=positions_option(until, "--until"),
        complete_since=since,
    )
    with stages("Loading", 2) as stage:
        stage("read")
        table = read_table(events, "events", dialect=csv_dialect(separator, encoding, spec.csv))
        stage("write")
        loaded = load_events(opened, table, spec, loading)
    opened.close()
    say(f"{loaded.rows:,} events: {loaded.rows - loaded.already:,} written, {loaded.already:,} were there already")
    if loaded.unusable or loaded.orphans:
        warn(
            f"{loaded.unusable:,} events cannot be used, so their customers' applications are refused; "
            f"{loaded.orphans:,} have no usable customer_id."
        )


@app.command(epilog="Example: credit history schema --store demo/history")
def schema(store: StoreOption) -> None:
    """Print the JSON Schema of the messages of the topic of events."""
    from history import open_store
    from scoring.message import event_schema

    opened = open_store(store)
    say(json.dumps(event_schema(opened.settings.spec), indent=2, ensure_ascii=False))
    opened.close()


@app.command(epilog="Example: credit history show --customer-id C-1 --store demo/history")
def show(
    customer_id: Annotated[str, typer.Option("--customer-id", help="Whose events.", show_default=False)],
    store: StoreOption,
    at: Annotated[
        str | None,
        typer.Option("--at", help="As of these positions, PARTITION:OFFSET,...", show_default=False),
    ] = None,
) -> None:
    """Print a customer's events, one line of JSON each, with their places; those that cannot be used as they came."""
    from history import open_store, rows, visible

    name = customer_option(customer_id)
    opened = open_store(store)
    snapshot = opened.read([name])
    files = {name: read for name, read in snapshot.state.positions.items() if not name.isdecimal()}
    seen = None if at is None else {**files, **positions_option(at, "--at")}
    customer = visible(snapshot.customers[0], seen)
    spec = opened.settings.spec
    for row in rows(name, customer, snapshot.state.kinds, spec.currency.minor_digits, spec.decimal):
        say(json.dumps(row, ensure_ascii=False))
    opened.close()


@app.command(epilog="Example: credit history export --out demo/exported --store demo/history")
def export(
    out: Annotated[Path, typer.Option("--out", help="A new folder for Parquet part files.", show_default=False)],
    store: StoreOption,
) -> None:
    """Write all events as a table that `credit score --events` reads, without those that were taken back or erased."""
    from history import export_events, open_store

    opened = open_store(store)
    with stages("Exporting", 1) as stage:
        stage("write")
        count = export_events(opened, out)
    opened.close()
    say(f"{count:,} events written to {out}")


@app.command(epilog="Example: credit history expire --before 2020-01-01 --store demo/history")
def expire(
    before: Annotated[str, typer.Option("--before", help="An instant: older events go.", show_default=False)],
    store: StoreOption,
) -> None:
    """Remove events that no allowed application needs; applications whose window reaches before it are refused."""
    from history import open_store

    opened = open_store(store)
    gone = opened.expire(instant_option(before, "--before"))
    opened.close()
    say(f"{gone:,} events removed")


@app.command(epilog="Example: credit history copy --out demo/history-copy --store demo/history")
def copy(
    out: Annotated[Path, typer.Option("--out", help="A new folder.", show_default=False)], store: StoreOption
) -> None:
    """Write a compacted copy of a folder's store: a backup with its positions, without the bytes of what was erased."""
    from history import open_store

    opened = open_store(store)
    opened.copy(out)
    opened.close()
    say(f"{out} is a history store of its own")


app.command(epilog=history_reconcile.EXAMPLE)(history_reconcile.reconcile)

if stream_installed():
    from cli.history import history_consume

    app.command(epilog=history_consume.EXAMPLE)(history_consume.consume)
    app.command(epilog=history_consume.VERIFY)(history_consume.verify)
    app.command(epilog=history_consume.PUBLISH)(history_consume.publish)
    app.command(epilog=history_consume.ERASE)(history_consume.erase)
    app.command(epilog=history_consume.VOID)(history_consume.void)
else:
    app.command("consume", context_settings=ANY)(stream)

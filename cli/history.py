"""`credit history`: each customer's account events, so that applications may come without them."""

import re
from pathlib import Path
from typing import Annotated

import typer

from cli.console import read_spec, say, stages, warn
from cli.options import Encoding, Separator, csv_dialect
from features.errors import SettingsError
from features.instants import read_instant

app = typer.Typer(no_args_is_help=True, help="Keep customers' account events, so that applications may come without.")

StoreOption = Annotated[
    str,
    typer.Option(
        "--store", help="The history store: a folder on a local disk, or postgresql://...", show_default=False
    ),
]
_OFFSETS = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*")


@app.command(epilog="Example: credit history init --spec demo/spec.toml --store demo/history")
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
    say(f"{made.where}: keeps events for {made.settings.retention_days} days. Fill it with `credit history load`.")
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
    from batch.tables import read_table
    from history import load_events, open_store
    from history.loading import Loading, fingerprint

    opened = open_store(store)
    spec = opened.settings.spec
    loading = Loading(fingerprint=fingerprint(events), until=_positions(until), complete_since=_instant(complete_since))
    with stages("Loading", 2) as stage:
        stage("read")
        table = read_table(events, "events", dialect=csv_dialect(separator, encoding, spec.csv))
        stage("write")
        loaded = load_events(opened, table, spec, loading)
    opened.close()
    say(f"{loaded.rows:,} events: {loaded.rows - loaded.already:,} written, {loaded.already:,} were there already")
    if loaded.marked or loaded.orphans:
        warn(
            f"{loaded.marked:,} events cannot be used, so their customers' applications are refused; "
            f"{loaded.orphans:,} have no usable customer_id."
        )


def _positions(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    if not _OFFSETS.fullmatch(text):
        raise SettingsError("--until: expected PARTITION:OFFSET,..., such as 0:1234,1:567.")
    return {str(int(pair.split(":")[0])): int(pair.split(":")[1]) for pair in text.split(",")}


def _instant(text: str | None) -> int:
    if text is None:
        return 0
    found = read_instant(text)
    if not isinstance(found, int):
        raise SettingsError("--complete-since: expected an instant such as 2025-01-01T00:00:00Z, or a date.")
    return found

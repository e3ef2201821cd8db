"""`credit outcomes add`: true classes beside the decision log, as they mature."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import note, say, stages, warn
from cli.log.log_options import Log, PiiKey, read_pii_key
from cli.options import Encoding, Separator, csv_dialect
from storage.tables import read_table

app = typer.Typer(no_args_is_help=True, help="True outcomes of decisions, beside the decision log.")


@app.callback()
def outcomes() -> None:
    """True outcomes of decisions, beside the decision log."""


@app.command(epilog="Example: credit outcomes add demo/log --labels demo/tonight/labels.csv --skip-unknown")
def add(  # noqa: PLR0917 - typer takes options by name
    log: Log,
    labels: Annotated[
        Path,
        typer.Option("--labels", help="application_id, credit_class, outcome_at (optional).", show_default=False),
    ],
    backfilled: Annotated[
        bool,
        typer.Option("--backfilled", help="Decisions were made in hindsight: outcomes may be dated before them."),
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out applications that are not in the log, as rejected ones.")
    ] = False,
    pii_key: PiiKey = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Add true classes. All of the file is added or nothing; adding it again changes nothing."""
    from receipts.outcomes import Rules, add_outcomes, read_labels

    with stages("Outcomes", 2) as stage:
        stage("read")
        table = read_labels(read_table(labels, "labels", dialect=csv_dialect(separator, encoding), tell=note))
        stage("add")
        added = add_outcomes(log, table, read_pii_key(pii_key), Rules(backfilled, skip_unknown))
    if added.unknown:
        warn(f"note: {added.unknown:,} outcomes of applications that are not in the log are left out")
    say(f"{added.new:,} outcomes added, {added.known:,} were there already; {added.total:,} in the log")

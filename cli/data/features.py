"""`credit features`: the feature row of one application, or the matrix of all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from batch import read_inputs
from cli.console import note, say, say_table, stages
from cli.data.spec_files import read_spec
from cli.doors.score import match_rows
from cli.options import Applications, Encoding, Events, Separator, csv_dialect
from cli.places import bundle_here
from features.errors import SettingsError
from features.explain_row import describe_application, matrix_frame
from features.matrix import build_features
from features.spec.contract import Spec
from scoring.bundle import read_bundle
from storage.durable import replace_files
from storage.table_writer import encode
from storage.targets import check_target, prepare_folder

app = typer.Typer()


@app.command(
    epilog="Example: credit features --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv --application-id A2-0000000"
)
def features(  # noqa: PLR0917 - typer takes options by name
    applications: Applications,
    events: Events = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle whose spec is used.", show_default=False)
    ] = None,
    spec: Annotated[
        Path | None, typer.Option("--spec", help="A spec, instead of a bundle.", show_default=False)
    ] = None,
    application_id: Annotated[
        str | None, typer.Option("--application-id", help="Print this application's row.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the matrix of all, .parquet or .csv.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the row as JSON.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Print one application's features, named, with units; or write the matrix of all for a notebook."""
    if (bundle is None) == (spec is None) or (application_id is None) == (out is None):
        raise SettingsError("expected --bundle or --spec, and --application-id or --out. See credit features --help.")
    if out is not None:
        prepare_folder(out)
        check_target(out)
    contract = read_bundle(bundle_here(bundle)).spec if bundle is not None else read_spec(spec or Path())
    with stages("Features", 2) as stage:
        stage("read")
        tables = read_inputs(applications, events, contract, csv_dialect(separator, encoding, contract.csv), note)
        stage("compute")
        if out is not None:
            _write_matrix(out, *tables, contract)
            return
        rows = describe_application(*tables, application_id or "", contract)
    if as_json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    say_table(
        ("feature", "value", "unit", "meaning"),
        [(r["feature"], "missing" if r["value"] is None else r["text"], r["unit"], r["description"]) for r in rows],
    )


def _write_matrix(out: Path, applications: pl.DataFrame, events: pl.DataFrame, spec: Spec) -> None:
    table = build_features(applications, events, spec)
    rejected = table.rejects.filter(pl.col("table") == "applications").height
    replace_files({out: encode(matrix_frame(table, spec), out.suffix)})
    say(f"{table.matrix.shape[0]:,} rows, {table.matrix.shape[1]} features, {rejected:,} rejected: {out}")
    say_table((), match_rows(asdict(table.matches)))

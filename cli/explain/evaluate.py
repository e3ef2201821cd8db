"""`credit evaluate`: decisions against labels."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.console import note, say, say_table, stages
from cli.figures import metric_rows, say_curves
from cli.options import Encoding, Separator, csv_dialect
from scoring.bundle import read_bundle
from scoring.evaluate_files import check_made_by, evaluate_decisions
from storage.tables import read_table

app = typer.Typer()


@app.command(epilog="Example: credit evaluate --decisions demo/decisions.csv --labels demo/tonight/labels.csv")
def evaluate(  # noqa: PLR0917 - typer takes options by name
    decisions: Annotated[Path, typer.Option("--decisions", help="What `credit score` wrote.", show_default=False)],
    labels: Annotated[Path, typer.Option("--labels", help="application_id and credit_class.", show_default=False)],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Adds the expected cost by the bundle's policy.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Compare decisions with what came true: cost, false negatives, AUC, Gini, KS, ROC, calibration, with intervals."""
    made_by = None if bundle is None else read_bundle(bundle)
    with stages("Evaluating", 2) as stage:
        stage("read")
        csv = csv_dialect(separator, encoding, None if made_by is None else made_by.spec.csv)
        tables = read_table(decisions, "decisions"), read_table(labels, "labels", dialect=csv, tell=note)
        stage("evaluate")
        if made_by is not None:
            check_made_by(tables[0], made_by.bundle_id)
        asked = (None, None) if made_by is None else (made_by.policy, made_by.spec)
        result = evaluate_decisions(*tables, *asked)
    if as_json:
        say(json.dumps(result, indent=2, ensure_ascii=False))
        return
    labelled, total = result["applications"], result["decisions"]
    say(f"{labelled:,} decisions with a label, of {total:,}; {result['customers']:,} customers")
    if "weights" in result:
        say(f"Each counts by the column {result['weights']!r} of the labels, which the bundle's spec names.")
    for sentence in result["said"]:
        say(sentence)
    say()
    say_table(("metric", "value", "95 % interval"), metric_rows(result))
    say()
    say_curves(result["curves"])
    say()
    classes = list(result["confusion"])
    rows = [(f"actual {a}", *[result["confusion"][a][b] for b in classes]) for a in classes]
    say_table(("", *[f"assigned {b}" for b in classes]), rows)

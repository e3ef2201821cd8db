"""The `credit` command. Each function reads its arguments, calls one part of the product and prints the result."""

import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from batch.tables import read_table
from cli import bundle as bundle_commands
from cli import check as check_commands
from cli import dataset as dataset_commands
from cli import explain as explain_commands
from cli import features as features_commands
from cli import history as history_commands
from cli import key as key_commands
from cli import log as log_commands
from cli import model as model_commands
from cli import monitor as monitor_commands
from cli import outcomes as outcomes_commands
from cli import policy as policy_commands
from cli import replay as replay_commands
from cli import report as report_commands
from cli import score as score_commands
from cli import serve as serve_commands
from cli import spec as spec_commands
from cli import verify as verify_commands
from cli.access import protect_files
from cli.console import deliver_stdout, metric_rows, note, prepare_streams, say, say_curves, say_table, stages, warn
from cli.exit_codes import epilog
from cli.options import Encoding, Separator, csv_dialect
from features.errors import CreditError, InputError, SettingsError
from scoring.bundle import read_bundle
from scoring.evaluate_files import check_made_by, evaluate_decisions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Credit scoring: one verified bundle, the same bits at every door.",
    epilog=epilog(),
)
app.add_typer(check_commands.app)
app.add_typer(score_commands.app)
app.add_typer(model_commands.app)
app.add_typer(features_commands.app)
app.add_typer(explain_commands.app)
app.add_typer(serve_commands.app)
app.add_typer(key_commands.app, name="key")
app.add_typer(verify_commands.app)
app.add_typer(dataset_commands.app, name="dataset")
app.add_typer(bundle_commands.app, name="bundle")
app.add_typer(spec_commands.app, name="spec")
app.add_typer(policy_commands.app, name="policy")
app.add_typer(report_commands.app)
app.add_typer(log_commands.app, name="log")
app.add_typer(outcomes_commands.app, name="outcomes")
app.add_typer(history_commands.app, name="history")
app.add_typer(monitor_commands.app)
app.add_typer(replay_commands.app)
if find_spec("pydantic_settings") is not None and find_spec("confluent_kafka") is not None:
    from cli import history_consume, log_consume
    from cli import stream as stream_commands

    app.add_typer(stream_commands.app, name="stream")
    log_commands.app.command(epilog=log_consume.EXAMPLE)(log_consume.consume)
    history_commands.app.command(epilog=history_consume.EXAMPLE)(history_consume.consume)
    history_commands.app.command(epilog=history_consume.VERIFY)(history_consume.verify)
    history_commands.app.command(epilog=history_consume.ERASE)(history_consume.erase)
    history_commands.app.command(epilog=history_consume.VOID)(history_consume.void)
else:  # its options are those settings, so that without them there is nothing to show but what is missing

    @app.command("stream", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def stream() -> None:
        """Score applications from Kafka. Needs the extra `stream`."""
        raise SettingsError(_missing_extra("stream"))

    for commands in (log_commands, history_commands):
        commands.app.command("consume", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
            stream
        )


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


_EXTRAS = {
    "history": {"lmdb", "psycopg"},
    "api": {"fastapi", "flask", "prometheus_client", "pydantic_settings", "uvicorn", "waitress"},
    "lime": {"lime"},
    "train": {"matplotlib", "onnx", "optuna", "scipy", "skl2onnx", "sklearn", "xgboost"},
}


def _missing_extra(extra: str) -> str:
    return f"this command needs libraries that a plain install leaves out. Run pip install .[{extra}] and try again."


def main() -> None:
    """Run the command line; every error that a user can act on becomes one message and its exit code."""
    prepare_streams()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that temporary files are removed
    try:
        protect_files(os.environ)
        app()
    except SystemExit as error:  # each command ends so
        sys.exit(deliver_stdout(error.code))
    except CreditError as error:
        warn(f"error: {error}")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = next((name for name, libraries in _EXTRAS.items() if error.name in libraries), None)
        if extra is None:
            raise
        warn(f"error: {_missing_extra(extra)}")
        sys.exit(SettingsError.exit_code)
    except pl.exceptions.PolarsError as error:  # its text may hold cells
        warn(f"error: a column holds what this command cannot compute with ({type(error).__name__}). Check its cells.")
        sys.exit(InputError.exit_code)
    except (OSError, RuntimeError) as error:  # paths that no part expects: a loop of links, a name that is too long
        warn(f"error: {error}. Expected paths that can be opened.")
        sys.exit(InputError.exit_code)


if __name__ == "__main__":
    main()

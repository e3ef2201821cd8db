"""`credit train` and `credit export`: from data, or from a model trained elsewhere, to a published bundle."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batch.tables import read_table
from cli.console import metric_rows, read_dictionary, read_spec, say, say_table, stages
from cli.options import DictionaryOption
from features.errors import InputError
from features.reason_codes import complete_reasons
from features.spec import Spec

if TYPE_CHECKING:
    from training.data import TrainingData

app = typer.Typer()


class Kind(StrEnum):
    """Kinds of model, as `training.fit.ModelKind` has them; repeated here so that serving never loads training."""

    XGBOOST = "xgboost"
    RANDOM_FOREST = "random-forest"
    DECISION_TREE = "decision-tree"


@app.command(epilog="Example: credit train demo/train --bundles demo/bundles")
def train(
    folder: Annotated[
        Path,
        typer.Argument(help="spec.toml, applications, events, labels (.parquet or .csv).", show_default=False),
    ],
    bundles: Annotated[Path, typer.Option("--bundles", help="Where bundles are published.", show_default=False)],
    model: Annotated[Kind, typer.Option("--model", help="Kind of model.")] = Kind.XGBOOST,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Decides the split of the customers.")] = 0,
    dictionary: DictionaryOption = None,
) -> None:
    """Train, calibrate, choose the policy, evaluate, prove the export, publish; the bundle's folder is printed last."""
    from model_export.export import export as publish
    from training.fit import ModelKind
    from training.run import train as run

    spec = _complete(read_spec(folder / "spec.toml"), dictionary)
    with stages("Training", 6) as stage:
        stage("read")
        trained = run(_training_data(folder), spec, ModelKind(model), seed=seed, progress=stage)
        stage("export")
        published = publish(trained, bundles)
    _say_trained(trained.evaluation, published)


@app.command(
    epilog="Example: credit export --model model.json --spec demo/train/spec.toml --calibration demo/train "
    "--bundles demo/bundles"
)
def export(
    model: Annotated[Path, typer.Option("--model", help="An XGBoost model, .json or .ubj.", show_default=False)],
    spec: Annotated[Path, typer.Option("--spec", help="The spec of its feature matrix.", show_default=False)],
    calibration: Annotated[
        Path,
        typer.Option("--calibration", help="Data that the model has never seen.", show_default=False),
    ],
    bundles: Annotated[Path, typer.Option("--bundles", help="Where bundles are published.", show_default=False)],
    dictionary: DictionaryOption = None,
) -> None:
    """Take a model trained elsewhere on our feature matrix: calibrate, evaluate, prove the export, publish."""
    from model_export.export import export as run
    from model_export.load import load_xgboost
    from training.adopt import adopt

    contract = _complete(read_spec(spec), dictionary)
    with stages("Exporting", 3) as stage:
        stage("read")
        fitted = load_xgboost(model, contract)
        data = _training_data(calibration)
        stage("calibrate")
        trained = adopt(fitted, data, contract)
        stage("export")
        published = run(trained, bundles)
    _say_trained(trained.evaluation, published)


def _complete(spec: Spec, dictionary: Path | None) -> Spec:
    """Check early that every feature has a reason code; take the texts of another language, if they are given."""
    complete_reasons(spec)
    return spec if dictionary is None else read_dictionary(dictionary, spec)


_TABLES = ("applications", "events", "labels")


def _training_data(folder: Path) -> "TrainingData":
    from training.data import TrainingData

    tables = [read_table(_only_file(folder, name), name, may_be_empty=name == "events") for name in _TABLES]
    return TrainingData(*[table.frame for table in tables])


def _say_trained(evaluation: dict[str, Any], published: Path) -> None:
    policy = evaluation["held_out_customers"]["policy"]
    say(f"Held-out customers: {policy['applications']:,} applications; all figures: credit bundle show")
    say_table(("metric", "value", "95 % interval"), metric_rows(policy))
    say(str(published))


def _only_file(folder: Path, name: str) -> Path:
    found = [p for suffix in (".parquet", ".csv") if (p := folder / f"{name}{suffix}").exists()]
    if len(found) != 1:
        both = "both are there" if found else "neither is there"
        raise InputError(f"{folder}: expected {name}.parquet or {name}.csv, {both}. See `credit dataset --help`.")
    return found[0]

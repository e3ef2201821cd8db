"""`credit train` and `credit export`: from data, or from a model trained elsewhere, to a published bundle."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from batch import NO_EVENTS, check_needs_no_events
from cli.console import note, say, stages, warn
from cli.data.spec_files import read_dictionary, read_spec
from cli.options import DictionaryOption, Encoding, Separator, csv_dialect
from cli.train.directions import say_proposals
from cli.train.given import say_given, say_notes
from cli.train.trained import say_trained
from cli.train.tuning import make_search, search_limits
from features.dialect import Dialect
from features.errors import InputError, SettingsError
from features.reason_codes import complete_reasons
from features.spec.contract import Spec
from storage.tables import find_tables, read_table

if TYPE_CHECKING:
    from training.data import TrainingData

app = typer.Typer()


class Kind(StrEnum):
    """Kinds of model, as `training.fit.fit.ModelKind` has them; repeated here so that serving never loads training."""

    XGBOOST = "xgboost"
    RANDOM_FOREST = "random-forest"
    DECISION_TREE = "decision-tree"


@app.command(epilog="Example: credit train demo/train --bundles demo/bundles")
def train(  # noqa: PLR0917 - typer takes options by name
    folder: Annotated[
        Path,
        typer.Argument(
            help="spec.toml, applications, events, labels (.parquet, .csv, .csv.gz, .csv.zst folders of part files); "
            "no events where the spec measures none.",
            show_default=False,
        ),
    ],
    bundles: Annotated[
        Path | None, typer.Option("--bundles", help="Where bundles are published.", show_default=False)
    ] = None,
    model: Annotated[Kind, typer.Option("--model", help="Kind of model.")] = Kind.XGBOOST,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Decides the folds of the customers, and the fits.")
    ] = 0,
    trials: Annotated[
        int | None,
        typer.Option(
            min=0, help="Search with this many candidates in all; reproducible. 0: the recipe.", show_default=False
        ),
    ] = None,
    tune_minutes: Annotated[
        float | None,
        typer.Option(
            "--tune-minutes", help="Begin no candidate later than this; not reproducible.", show_default=False
        ),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--study", help="Where candidates are kept, to go on after a stop; else in BUNDLES."),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(
            "--holdout",
            min=0,
            max=0.5,
            help="Share of the customers to judge by and never to train on; 0: judge by folds, train on all.",
        ),
    ] = 0.0,
    propose_directions: Annotated[
        bool,
        typer.Option("--propose-directions", help="Print directions that the data proposes, with prices; train none."),
    ] = False,
    dictionary: DictionaryOption = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Train, calibrate, choose the policy, evaluate, prove the export, publish; the bundle's folder is printed last."""
    from model_export import export as publish
    from training.fit import ModelKind
    from training.run import RunOptions
    from training.run import train as run

    limits = search_limits(trials, tune_minutes)
    spec = _complete(read_spec(folder / "spec.toml"), dictionary)
    csv = csv_dialect(separator, encoding, spec.csv)
    if propose_directions:
        say_proposals(training_data(folder, spec, csv), spec, model, seed)
        return
    if bundles is None:
        raise SettingsError("--bundles: missing. Expected the folder where bundles are published.")
    with stages("Training", 8 if limits else 7) as stage:
        stage("read")
        search = None if limits is None else make_search(limits, study or bundles / "study.jsonl", spec, stage)
        options = RunOptions(seed=seed, search=search, progress=stage, holdout=holdout)
        data = training_data(folder, spec, csv)
        trained = run(data, spec, ModelKind(model), options)
        stage("export")
        published = publish(trained, bundles)
    say_given(trained.evaluation, data, spec)
    say_notes(trained, data)
    say_trained(trained.evaluation, published)


@app.command(
    epilog="Example: credit export --model model.json --spec demo/train/spec.toml --calibration demo/train "
    "--bundles demo/bundles"
)
def export(  # noqa: PLR0917 - typer takes options by name
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            help="An XGBoost model, .json or .ubj, a LightGBM model, .txt, or a scikit-learn forest or tree, .skops. "
            "Its classes are 0, 1, 2 ..., worst first.",
            show_default=False,
        ),
    ],
    spec: Annotated[Path, typer.Option("--spec", help="The spec of its feature matrix.", show_default=False)],
    calibration: Annotated[
        Path,
        typer.Option("--calibration", help="Data that the model has never seen.", show_default=False),
    ],
    bundles: Annotated[Path, typer.Option("--bundles", help="Where bundles are published.", show_default=False)],
    expected: Annotated[
        Path | None,
        typer.Option(
            "--expected",
            help="The notebook's own predictions on applications of that data, .parquet or .csv: application_id and "
            "one column per class. Proves that the bundle is the notebook's model.",
            show_default=False,
        ),
    ] = None,
    dictionary: DictionaryOption = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Take a model trained elsewhere on our feature matrix, worst class first: calibrate, prove the export, publish."""
    from model_export import Adoption, take_over
    from model_export import export as publish

    contract = _complete(read_spec(spec), dictionary)
    with stages("Exporting", 4 if expected is None else 5) as stage:
        stage("read")
        dialect = csv_dialect(separator, encoding, contract.csv)
        predictions = None if expected is None else read_table(expected, "expected predictions", dialect=dialect)
        data = training_data(calibration, contract, dialect)
        adoption = Adoption(model=model, data=data, spec=contract, expected=predictions)
        trained = take_over(adoption, stage)
        stage("export")
        published = publish(trained, bundles)
    say_notes(trained, data)
    _say_source(trained.source or {}, proven=expected is not None)
    say_trained(trained.evaluation, published)


def _say_source(source: dict[str, Any], *, proven: bool) -> None:
    """Say what the model's file held, and whether its owner's predictions were compared."""
    if source.get("early_stopping"):
        used, rounds = source["rounds_used"], source["rounds_in_file"]
        say(f"Early stopping: the first {used} of {rounds} rounds are used, up to best_iteration {used - 1}.")
    if source.get("format"):
        say(
            f"{source['format']}: all {source['rounds_used']} rounds of the file are used. Where training stopped "
            "early, save_model() has written those up to best_iteration."
        )
    if not proven:
        say(
            "Not compared with the notebook's own predictions. Give them with --expected to prove that this is its "
            "model."
        )
        return
    found = source["expected"]
    say(
        f"The notebook's predictions agree on {found['applications']:,} applications: largest difference "
        f"{found['largest_difference']:.2g}, allowed {found['tolerance']:.2g}."
    )
    if found["not_in_the_data"]:
        warn(f"{found['not_in_the_data']:,} applications of --expected are not in --calibration and were not compared.")


def _complete(spec: Spec, dictionary: Path | None) -> Spec:
    """Check early that every feature has a reason code; take the texts of another language, if they are given."""
    complete_reasons(spec)
    return spec if dictionary is None else read_dictionary(dictionary, spec)


def training_data(folder: Path, spec: Spec, dialect: Dialect | None = None) -> "TrainingData":
    """Read applications, events and labels of a folder, and the truth behind synthetic ones.

    Events may be absent where the spec measures none. CSV files are of the `dialect`, else of the spec's.

    Raises:
        InputError: a table is missing, is there twice or cannot be read.
        SettingsError: the spec measures events, and there is no table of them.

    """
    from training.data import TrainingData

    def read(name: str) -> pl.DataFrame:
        may_be_empty = name == "events"
        return read_table(
            _only_file(folder, name), name, may_be_empty=may_be_empty, dialect=dialect or spec.csv, tell=note
        )

    applications, labels = read("applications"), read("labels")  # what every training needs is asked for first
    if find_tables(folder, "events"):
        events = read("events")
    else:
        check_needs_no_events(spec)
        events = NO_EVENTS
    truth = folder / "truth.parquet"  # which synthetic data brings along
    return TrainingData(applications, events, labels, read_table(truth, "truth") if truth.exists() else None)


def _only_file(folder: Path, name: str) -> Path:
    found = find_tables(folder, name)
    if len(found) != 1:
        both = f"{' and '.join(path.name for path in found)} are there" if found else "neither is there"
        raise InputError(
            f"{folder}: expected {name}.parquet or {name}.csv (or {name}.csv.gz, {name}.csv.zst, or a folder {name} of "
            f"part files), {both}. See docs/data.md for their columns."
        )
    return found[0]

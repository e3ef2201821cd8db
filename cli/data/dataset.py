"""`credit dataset`: a public or synthetic data set as canonical tables with a complete spec."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say, stages
from features.errors import DeliveryError, InputError
from recipes.dataset import Dataset
from storage.durable import replace_files
from storage.table_writer import encode
from storage.tables import read_table

app = typer.Typer(no_args_is_help=True, help="Make canonical tables and a spec from a public or synthetic data set.")

Out = Annotated[Path, typer.Option("--out", help="Folder to write; made if it does not exist.", show_default=False)]


class Format(StrEnum):
    """File format of the tables."""

    PARQUET = "parquet"
    CSV = "csv"


@app.command(epilog="Example: credit dataset synthetic --customers 5000 --seed 1 --out demo/train")
def synthetic(
    customers: Annotated[int, typer.Option(min=1, help="Number of customers.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Same seed, same bytes.", show_default=False)],
    out: Out,
    file_format: Annotated[Format, typer.Option("--format", help="File format of the tables.")] = Format.PARQUET,
) -> None:
    """Make a seeded synthetic lender: dirty attributes, events, outcomes from a hidden state, and the truth beside."""
    from recipes.synthetic import synthetic as make

    with stages("Making data", 2) as stage:
        stage("draw")
        dataset = make(customers, seed)
        stage("write")
        _write(dataset, out, file_format)


@app.command(epilog="Example: credit dataset kaggle credit_score_panel.parquet --out data/kaggle")
def kaggle(
    panel: Annotated[Path, typer.Argument(help="The cleaned panel, Parquet.", show_default=False)], out: Out
) -> None:
    """Turn the Kaggle credit score panel into applications, events of earlier months, and labels."""
    from recipes.kaggle import kaggle as make

    with stages("Making data", 2) as stage:
        stage("read")
        dataset = make(read_table(panel, "panel"))
        stage("write")
        _write(dataset, out, Format.PARQUET)


@app.command(
    "kaggle-raw",
    epilog="Example: credit dataset kaggle-raw credit_score_raw_august.csv --history credit_score_panel.parquet "
    "--out data/august",
)
def kaggle_raw(
    raw: Annotated[Path, typer.Argument(help="The raw rows of August, CSV.", show_default=False)],
    out: Out,
    history: Annotated[
        Path | None,
        typer.Option(help="The panel, whose earlier months become the customers' events.", show_default=False),
    ] = None,
) -> None:
    """Turn the raw, dirty Kaggle rows into applications.csv, cells untouched; names and SSNs are dropped."""
    from recipes.kaggle import kaggle_raw as make

    with stages("Making data", 2) as stage:
        stage("read")
        dataset = make(read_table(raw, "raw file"), None if history is None else read_table(history, "panel"))
        stage("write")
        _write(dataset, out, Format.PARQUET)


@app.command(epilog="Example: credit dataset uci uci_default_of_credit_card_clients.csv --out data/uci")
def uci(clients: Annotated[Path, typer.Argument(help="The clients, CSV.", show_default=False)], out: Out) -> None:
    """Turn the UCI credit card default data into applications, events and labels of two classes."""
    from recipes.uci import uci as make

    with stages("Making data", 2) as stage:
        stage("read")
        dataset = make(read_table(clients, "clients"))
        stage("write")
        _write(dataset, out, Format.PARQUET)


@app.command(epilog="Example: credit dataset cdnow cdnow_transactions.txt --out data/cdnow")
def cdnow(purchases: Annotated[Path, typer.Argument(help="The published text.", show_default=False)], out: Out) -> None:
    """Turn the CDNOW purchase log into events, with an application per customer and whether they bought again."""
    from recipes.cdnow import cdnow as make

    try:
        text = purchases.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{purchases}: cannot be read as text. Expected the file as published.") from error
    _write(make(text), out, Format.PARQUET)


def _write(dataset: Dataset, out: Path, file_format: Format) -> None:
    suffix = f".{file_format}"
    applications = ".csv" if dataset.raw_applications else suffix
    contents = {
        out / f"applications{applications}": encode(dataset.applications, applications),
        out / f"events{suffix}": encode(dataset.events, suffix),
        out / f"labels{suffix}": encode(dataset.labels, suffix),
        out / "spec.toml": dataset.spec_text.encode(),
        **{out / f"{name}{suffix}": encode(frame, suffix) for name, frame in dataset.extras.items()},
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeliveryError(
            f"{out}: cannot be made ({error.strerror}). Choose a folder that can be written."
        ) from error
    replace_files(contents)
    for path in contents:
        say(str(path))

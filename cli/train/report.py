"""`credit report`: the model's report as one page, from the bundle alone or judged anew on other data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, say_table, stages
from features.errors import SettingsError
from scoring.bundle import Bundle, read_bundle
from storage.durable import replace_files
from storage.tables import read_table
from storage.targets import prepare_folder, refuse_overwriting

if TYPE_CHECKING:
    from training.data import TrainingData
    from training.report.content import Content

app = typer.Typer()


@app.command(epilog="Example: credit report demo/bundles/current --out report.html")
def report(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, or a link to it.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The page to write.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Judge on this folder: applications, events, labels as for training.", show_default=False
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option("--groups", help="application_id and group: adds fairness. Needs --data.", show_default=False),
    ] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Also write the model card here.")] = None,
) -> None:
    """Write the model's report: from the bundle, or judged anew on labelled data; with --groups rates by group.

    Where --data is the training data, only customers that the model never saw are judged.
    """
    from training.report.card import render_card
    from training.report.files import content_of
    from training.report.page import render

    if groups is not None and data is None:
        raise SettingsError("--groups needs --data: the folder of applications, events and labels that they belong to.")
    if card is not None and card.resolve() == out.resolve():
        raise SettingsError(f"{card}: report and card cannot be one file. Name two.")
    tables = [
        p for name in ("applications", "events", "labels", "truth") for p in (data.glob(f"{name}.*") if data else ())
    ]
    for source in (bundle, *([groups] if groups else []), *tables):
        refuse_overwriting(source, [out, card] if card else [out])
    for path in (out, *([card] if card else [])):
        prepare_folder(path)
    with stages("Report", 4) as stage:
        stage("read")
        found = read_bundle(bundle)
        content = content_of(found) if data is None else _judge(found, data, groups, stage)
        stage("draw")
        files = {out: render(content).encode()} | ({card: render_card(content).encode()} if card else {})
        replace_files(files)
    if content.fairness is not None:
        _say_fairness(content)
    for path in files:
        say(str(path))


def _judge(bundle: Bundle, data: Path, groups: Path | None, stage: Any) -> "Content":
    from cli.train.model import training_data
    from training.evaluate.fairness import fairness, read_groups
    from training.evaluate.rejudge import content_on, rejudge

    tables: TrainingData = training_data(data, bundle.spec)
    stated = (
        None
        if groups is None
        else read_groups(read_table(groups, "groups", dialect=bundle.spec.csv), tables.applications)
    )
    stage("judge")
    rejudged = rejudge(bundle, tables)
    found = None if stated is None else fairness(rejudged.judged, rejudged.application_ids, stated)
    return content_on(bundle, rejudged, found)


def _say_fairness(content: "Content") -> None:
    from training.report.sections.sections_fairness import cells, heads, verdicts

    head = heads(content.spec.classes)
    found: dict[str, Any] = content.fairness or {}
    rows = [
        (row["group"], row["suppressed"], *[""] * len(head)) if "suppressed" in row else (row["group"], *cells(row)[2:])
        for row in found["groups"]
    ]
    say_table(("group", *head), rows)
    if found["without_group"]:
        say(f"Applications without a group, in no figure: {found['without_group']:,}")
    for text in verdicts(content):
        say(text)
    say(found["proxy"]["verdict"])

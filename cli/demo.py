"""`credit demo`: the whole product on synthetic data, in the order of its life."""

import csv
import re
import shlex
import shutil
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from cli.commands import load_command
from cli.console import say
from features.errors import SettingsError

app = typer.Typer()
_MARK = ".credit-demo"  # in a folder that a demo made, and may empty
_DIRTY = re.compile(r"_|-500|!@")
_SHOWN = slice(1, 9)


@app.command(epilog="Example: credit demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demo, which is emptied first.")] = Path("demo"),
) -> None:
    """Make a synthetic lender, train, deploy, score a dirty CSV file, prove and explain the decisions, in a minute."""
    _empty(out)
    tonight = ("--applications", f"{out}/tonight/applications.csv", "--events", f"{out}/tonight/events.csv")
    current = ("--bundle", f"{out}/bundles/current")
    _run("dataset", "synthetic", "--customers", "5000", "--seed", "1", "--out", f"{out}/train")
    _run("dataset", "synthetic", "--customers", "1000", "--seed", "2", "--format", "csv", "--out", f"{out}/tonight")
    _run("train", f"{out}/train", "--bundles", f"{out}/bundles")
    (bundle,) = (out / "bundles").iterdir()
    _run("bundle", "promote", str(bundle), "--as", "current")
    _run("bundle", "verify", f"{out}/bundles/current")
    _run("score", *current, *tonight, "--out", f"{out}/decisions.csv", "--log", f"{out}/log", "--receipts", "full")
    _run("log", "verify", f"{out}/log")
    _run("replay", f"{out}/log", "--bundles", f"{out}/bundles")
    _run("evaluate", "--decisions", f"{out}/decisions.csv", "--labels", f"{out}/tonight/labels.csv", *current)
    _run("explain", *current, *tonight, "--application-id", _first_refused(out / "decisions.csv"))
    _show(out)


def _empty(out: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise SettingsError(
            f"{out}: is not empty and lacks the file {_MARK} that a demo leaves, so it is not emptied. "
            "Remove it if it is an old demo, or name another folder with --out."
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / _MARK).touch()


def _run(*words: str) -> None:
    say(f"\n$ credit {shlex.join(words)}")
    name, *arguments = words
    try:
        code = load_command(name).main(arguments, prog_name=f"credit {name}", standalone_mode=False)
    except SystemExit as end:  # as some commands end, well or not
        code = end.code
    if code:
        raise typer.Exit(code)


def _first_refused(decisions: Path) -> str:
    with decisions.open(newline="") as lines:
        return next(row["application_id"] for row in csv.DictReader(lines) if row["credit_class"] == "Poor")


def _show(out: Path) -> None:
    say("\nThe first dirty applications as they came, and the decisions on them:")
    with (out / "tonight/applications.csv").open() as lines:
        for line in islice((line for line in lines if _DIRTY.search(line)), 3):
            say(line.rstrip())
    say("...")
    with (out / "decisions.csv").open() as lines:
        for line in islice(lines, 4):
            say(",".join(line.split(",")[_SHOWN]))
    say(
        f"\nEverything lies in {out}/: train/ (data and spec.toml), bundles/, tonight/, log/, decisions.csv and what "
        "is beside it."
    )

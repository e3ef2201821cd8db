"""`credit monitor`: is the model still fit, from the decision log or from files; the cron job that says so."""

import json
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table, stages, warn
from cli.log.log_options import instant
from cli.options import BundleOption
from cli.places import bundle_here, log_here
from features.errors import DeliveryError, SettingsError
from scoring.bundle import read_bundle
from storage.durable import replace_files
from storage.targets import refuse_overwriting

if TYPE_CHECKING:
    from cli.monitor.monitor_sources import Span
    from monitoring.nightly import Figures, Watched
    from scoring.bundle import Bundle

app = typer.Typer()
ALARM = 8
_SHOWN = 12
_TOPICS = ("drift", "performance", "doors")


class _Source(StrEnum):
    DECISIONS = "--decisions"
    APPLICATIONS = "--applications"
    EVENTS = "--events"


@app.command(epilog="Example: credit monitor demo/log --bundle demo/bundles/current --out demo/monitor.html")
def monitor(  # noqa: PLR0917 - typer takes options by name
    bundle: BundleOption,
    out: Annotated[Path, typer.Option("--out", help="The page; JSON goes beside it.", show_default=False)],
    log: Annotated[Path | None, typer.Argument(help="The decision log's folder.", show_default=False)] = None,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", help="Without a log: what `credit score` wrote.", show_default=False)
    ] = None,
    applications: Annotated[
        Path | None, typer.Option("--applications", help="With --decisions: what was scored.", show_default=False)
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="With --decisions: what was scored.", show_default=False)
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Without a log: application_id, credit_class, outcome_at.", show_default=False),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only applications from this as_of on.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(help="Only applications before this as_of.", show_default=False)] = None,
    matured_after: Annotated[
        int,
        typer.Option(
            min=0, max=36_500, help="Days after which a period's dated outcomes are complete enough to judge."
        ),
    ] = 90,
    fail_on: Annotated[
        str, typer.Option(help="Alarms that end with 8: some of drift,performance,doors; or none.")
    ] = "drift,performance,doors",
) -> None:
    """Tell whether a model is still fit: drift, expected and realised performance, doors, cut-offs. 8 says alarm."""
    topics = _topics(fail_on)
    if find_spec("matplotlib") is None:
        raise SettingsError("the plots need a library that a plain install leaves out. Run pip install .[monitor].")
    from cli.monitor.monitor_sources import Span
    from monitoring.nightly import watch

    given = {_Source.DECISIONS: decisions, _Source.APPLICATIONS: applications, _Source.EVENTS: events}
    files = _files_or_log(log, given, labels)
    span = Span(
        since=None if since is None else instant("--since", since),
        until=None if until is None else instant("--until", until),
        matured_days=matured_after,
    )
    _check_out(out, [path for path in (log, bundle, *files, labels) if path is not None])
    with stages("Monitoring", 4) as stage:
        stage("read")
        watched = _read(read_bundle(bundle_here(bundle)), span, log, files, labels)
        stage("compare")
        figures = watch(watched)
        stage("draw")
        _write(figures, out)
    _say(figures, out)
    if any(alarm.topic in topics for alarm in figures.alarms):
        raise typer.Exit(ALARM)


def _topics(text: str) -> set[str]:
    names = {name.strip() for name in text.split(",")}
    if names == {"none"}:
        return set()
    if not names <= set(_TOPICS):
        raise SettingsError(f"--fail-on: expected some of {', '.join(_TOPICS)}, separated by commas; or none.")
    return names


def _files_or_log(log: Path | None, given: dict[_Source, Path | None], labels: Path | None) -> list[Path]:
    files = [path for path in given.values() if path is not None]
    if log is not None and (files or labels is not None):
        raise SettingsError(
            "a decision log holds decisions and features, and takes labels by `credit outcomes add`. Give the log "
            "alone, or --decisions, --applications and --events without it."
        )
    missing = [name for name in (_Source.DECISIONS, _Source.APPLICATIONS) if given[name] is None]
    if log is None and missing:
        raise SettingsError(
            f"expected a decision log, or {', '.join(given)}, the last where the spec measures events. "
            f"Missing: {', '.join(missing)}."
        )
    return files


def _check_out(out: Path, sources: list[Path]) -> None:
    if out.is_dir() or out.suffix == ".json":
        what = "is a folder" if out.is_dir() else "is where the JSON goes"
        raise SettingsError(f"--out: {out} {what}. Name the page, such as monitor.html; the JSON goes beside it.")
    for source in sources:
        refuse_overwriting(source, [out, out.with_suffix(".json")])


def _read(bundle: "Bundle", span: "Span", log: Path | None, files: list[Path], labels: Path | None) -> "Watched":
    if log is not None:
        from cli.monitor.monitor_log import watch_log

        with log_here(log) as here:
            return watch_log(bundle, here.path, span)
    from cli.monitor.monitor_files import Files, watch_files

    decisions, applications, *rest = files
    events = rest[0] if rest else None
    named = Files(decisions=decisions, applications=applications, events=events, labels=labels)
    return watch_files(bundle, named, span)


def _write(figures: "Figures", out: Path) -> None:
    from monitoring.page import content, render

    found = content(figures)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeliveryError(f"{out.parent}: cannot be made ({error.strerror}).") from error
    record = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    replace_files({out: render(found).encode(), out.with_suffix(".json"): record.encode() + b"\n"})


def _say(figures: "Figures", out: Path) -> None:
    from monitoring.page import headline

    for note in figures.watched.notes:
        warn(f"note: {note}")
    say(f"{figures.light.upper()}: {headline(figures)}")
    if figures.alarms:
        rows = [(alarm.topic, alarm.what, alarm.where, alarm.why) for alarm in figures.alarms[:_SHOWN]]
        say_table(("alarm", "what", "where", "why"), rows)
        if len(figures.alarms) > _SHOWN:
            say(f"and {len(figures.alarms) - _SHOWN} more alarms on the page")
    matches = figures.watched.matches
    if matches is not None and matches.share is not None:
        say(f"{matches.matched_applications:,} of {matches.applications:,} applications have a usable event")
    if figures.watched.newest:
        say(
            "newest receipts: "
            + ", ".join(f"{door} {at:%Y-%m-%d %H:%M}Z" for door, at in figures.watched.newest.items())
        )
    say(str(out))

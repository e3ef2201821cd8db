"""Instants that are written in another form than ISO 8601, as the lines of a draft that declare it."""

from dataclasses import dataclass

import polars as pl

from features.cells.date_forms import date_form, example_of
from features.cells.recognise import Ambiguous, date_advice, one_of_each_day, recognise_dates
from features.spec.toml_table import toml_text


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantLines:
    """Lines at the top of a spec, lines under [events], and what a person should look at."""

    root: tuple[str, ...]
    events: tuple[str, ...]
    looks: tuple[str, ...]


def instant_lines(identity: pl.DataFrame, events: pl.DataFrame | None) -> InstantLines:
    """Recognise the forms of `as_of` and of the instants of events."""
    of_events = [] if events is None else [name for name in ("occurred_at", "recorded_at") if name in events.columns]
    columns = {"as_of": identity["as_of"]}
    columns |= {} if events is None else {name: events[name] for name in of_events}
    lines = {name: _lines(column, f"{name}_format") for name, column in columns.items()}
    said = {name: date_advice(column, name, f"{name}_format") for name, column in columns.items()}
    zones = ("# EDIT: the times say no zone. Take this in, with UTC or with their offset:", '# time_zone = "+01:00"')
    local = any("time_zone" in advice for advice in said.values() if advice)
    return InstantLines(
        root=(*lines["as_of"], *(zones if local else ())),
        events=tuple(line for name in of_events for line in lines[name]),
        looks=tuple(advice for name, advice in said.items() if advice and not _is_drafted(lines[name], advice)),
    )


def _lines(column: pl.Series, key: str) -> tuple[str, ...]:
    form = recognise_dates(one_of_each_day(column)) if column.dtype == pl.String else None
    if isinstance(form, Ambiguous):
        choices = (f"# {key} = {toml_text(text)}" for text in form.formats)
        return ("# EDIT: day and month may be either way round. Take one of these in:", *choices)
    if form is None or form == "iso" or "%y" in form:
        return ()
    return (f"{key} = {toml_text(form)} # as in {example_of(date_form(form))}",)


def _is_drafted(lines: tuple[str, ...], advice: str) -> bool:
    return bool(lines) and not lines[0].startswith("#") and "time_zone" not in advice

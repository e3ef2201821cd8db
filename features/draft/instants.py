"""Instants that are written in another form than ISO 8601, as the lines of a draft that declare it."""

from dataclasses import dataclass

import polars as pl

from features.cells.date_forms import date_form, example_of
from features.cells.kinds.dates import read_day
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
        looks=tuple(_look(name, lines[name], advice) for name, advice in said.items() if _asks(lines[name], advice)),
    )


def days_of(column: pl.Series) -> pl.Series | None:
    """Return days since 1970 of instants in whatever form they are written, null where unreadable; None: not known."""
    if column.dtype.is_temporal():
        return column.cast(pl.Date).to_physical().cast(pl.Float64)
    form = recognise_dates(one_of_each_day(column)) if column.dtype == pl.String else None
    if not isinstance(form, str) or "%y" in form:
        return None
    texts = column.unique().drop_nulls()
    read = date_form(form)
    days = {text: None if (day := read_day(read, text.strip())) is None else float(day) for text in texts.to_list()}
    return column.replace_strict(days, default=None, return_dtype=pl.Float64)


def _lines(column: pl.Series, key: str) -> tuple[str, ...]:
    form = recognise_dates(one_of_each_day(column)) if column.dtype == pl.String else None
    if isinstance(form, Ambiguous):
        choices = (f"# {key} = {toml_text(text)}" for text in form.formats)
        return ("# EDIT: day and month may be either way round. Take one of these in:", *choices)
    if form is None or form == "iso" or "%y" in form:
        return ()
    return (f"{key} = {toml_text(form)} # as in {example_of(date_form(form))}",)


def _asks(lines: tuple[str, ...], advice: str | None) -> bool:
    """Tell whether a person has something to do: what is declared and needs no zone asks for nothing."""
    return bool(advice) and ("time_zone" in str(advice) or not lines or lines[0].startswith("#"))


def _look(name: str, lines: tuple[str, ...], advice: str | None) -> str:
    if not lines or lines[0].startswith("#"):
        return str(advice)
    return (
        f'{name}: its times say no zone: take the line time_zone in, at the top of the spec, with "UTC" or their offset'
    )

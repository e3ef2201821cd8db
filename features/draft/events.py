"""Kinds of events and RFM groups of a draft."""

from collections.abc import Iterator, Sequence

import polars as pl

from features.applications import require_columns
from features.draft.attribute import toml_list
from features.rejects import EVENTS
from features.spec.contract import EVENT_COLUMNS
from features.spec.toml_table import toml_text

_WINDOWS = (30, 90, 365)
_MOST_GROUPS = 15


def event_lines(events: pl.DataFrame | None, taken: list[str], forms: Sequence[str] = ()) -> Iterator[str]:
    """Yield the kinds of events and a group for each of the commonest; nothing where there are no events.

    `forms`: lines that declare how their instants are written.
    """
    if events is None:
        return
    require_columns(events, EVENTS, EVENT_COLUMNS)
    if events.is_empty():
        return
    kind = events["kind"].cast(pl.String).str.strip_chars()
    counts = kind.filter(kind.is_not_null() & (kind != "")).rename("kind").value_counts().sort(["count", "kind"])
    kinds = tuple(counts["kind"].reverse())
    yield "# Event kinds that are used. Move to `ignored` what says nothing; any other kind rejects the customer."
    yield "[events]"
    yield f"kinds = {toml_list(kinds)}"
    yield "ignored = []"
    yield from forms
    yield ""
    yield "# One group per kind; join kinds that mean the same. Windows in days end at as_of, which is exclusive."
    groups: list[str] = []
    for number, name in enumerate(kinds[:_MOST_GROUPS], start=1):
        group = "events " + "".join(c if c.isalnum() or c in " -_" else "_" for c in name[:60])
        groups.append(f"{group} {number}" if group in (*groups, *taken) else group)
        yield f"[rfm.{toml_text(groups[-1])}]"
        yield f"kinds = [{toml_text(name)}]"
        yield f"windows_days = {list(_WINDOWS)}"
        yield "recency = true"
        yield "frequency = true"
        yield 'monetary = ["sum", "mean"]'
        yield ""

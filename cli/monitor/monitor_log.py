"""`credit monitor LOG`: receipts of a bundle with their features, and the outcomes beside them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from cli.monitor.monitor_sources import Span, gather
from features.applications import read_applications
from features.errors import InputError
from features.rejects import dirt_frame
from monitoring.nightly import Outcomes, Plan, Watched
from receipts.log import Segment, segments
from receipts.outcomes import read_outcomes
from scoring.bundle import Bundle, read_reference
from scoring.message import MessageDecoder

_SAMPLED_MESSAGES = 20_000
_SHOWN = 3


def watch_log(bundle: Bundle, log: Path, span: Span) -> Watched:
    """Read the receipts of a bundle, with their features, and the outcomes beside them.

    Raises:
        InputError: the folder is no log, a segment is damaged, or no decision of the bundle lies in the window.
        BundleError: the bundle has no reference.

    """
    read_reference(bundle)
    found = segments(log)
    own = [segment for segment in found if segment.bundle_id == bundle.bundle_id and segment.rows]
    if not own:
        raise InputError(f"{log}: holds no decision of the bundle {bundle.bundle_id}. {_instead(found)}")
    inside = [segment for segment in own if _overlaps(segment, span)]
    table = read_outcomes(log)
    outcomes = Outcomes.of(table, bundle.spec) if table.height else None

    def read(columns: list[str]) -> Iterator[pl.DataFrame]:
        for segment in inside:
            for frame in segment.frames(list(dict.fromkeys([*columns, "as_of"]))):
                yield frame.filter(*span.conditions()).select(columns)

    watched, plan = gather(bundle, outcomes, read, span)
    _add_dirt(watched, inside, plan)
    rest = sum(segment.rows for segment in found) - sum(segment.rows for segment in own)
    notes = [f"{rest:,} decisions of other bundles in the log are left out."] if rest else []
    return replace(watched, notes=(*notes, *watched.notes), newest=_newest(found))


def _instead(found: list[Segment]) -> str:
    others = sorted({segment.bundle_id for segment in found if segment.rows})
    if not others:
        return "It is empty: no door has sealed a decision yet."
    shown = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
    return f"It has those of {shown}. Name the bundle that decided, by its folder or link."


def _newest(found: list[Segment]) -> dict[str, datetime]:
    """Return when each door decided last, by any bundle."""
    return {door: max(s.last_decided_at for s in found if s.door == door) for door in sorted({s.door for s in found})}


def _overlaps(segment: Segment, span: Span) -> bool:
    """Tell whether a segment has a decision in the window, from one column."""
    if not span.conditions():
        return True
    table = pl.scan_parquet(segment.path("receipts"), glob=False).select("as_of")
    return table.filter(*span.conditions()).head(1).collect().height > 0


def _add_dirt(watched: Watched, inside: list[Segment], plan: Plan) -> None:
    """Take the dirt that doors stated of whole segments; of others, read a sample of their messages again."""
    spec, decoder = watched.bundle.spec, MessageDecoder(watched.bundle.spec)
    for segment in inside:
        stated = segment.manifest.sealed
        first, last = (
            pl.scan_parquet(segment.path("receipts"), glob=False)
            .select(pl.col("as_of").min().alias("first"), pl.col("as_of").max().alias("last"))
            .collect()
            .row(0)
        )
        if "dirt" in stated and plan.first <= first and last <= plan.last:
            watched.window.add_dirt(segment.dirt, int(stated["rows"]))
        elif "dirt" not in stated:
            part = max(1, _SAMPLED_MESSAGES // len(inside))
            frame = next(segment.frames(["as_of", "application"], part))
            messages = frame.filter(pl.col("as_of").is_between(plan.first, plan.last))["application"].drop_nulls()
            if len(messages):
                decoded = decoder.decode([text.encode() for text in messages]).applications
                watched.window.add_dirt(dirt_frame(read_applications(decoded, spec).dirt).to_dicts(), decoded.height)

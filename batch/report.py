"""What a run says about itself: the manifest, rejects with the files they came from, and why it was refused."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from batch.night import Night
from batch.score_partitions import Results
from features.errors import RejectLimitError
from features.rejects import APPLICATIONS, EVENTS
from scoring.bundle import Bundle
from storage.tables import SourceTable

Tables = tuple[SourceTable, SourceTable]

REJECT_COLUMNS = pl.Schema(
    {
        "table": pl.String,
        "file": pl.String,
        "row": pl.Int64,
        "application_id": pl.String,
        "column": pl.String,
        "code": pl.String,
        "event_file": pl.String,
        "event_row": pl.Int64,
        "expected": pl.String,
    }
)


def make_manifest(
    tables: Tables, scored: Results, bundle: Bundle, digests: dict[Path, str], night: Night
) -> dict[str, Any]:
    """Return the account of a run: what was read, what came out, and the SHA-256 of both."""
    applications, events = tables
    return {
        "bundle_id": bundle.bundle_id,
        "applications": applications.rows,
        "decisions": scored.decided.total(),
        "rejected_applications": scored.rejected,
        "events": events.rows,
        "matches": night.matches,
        "rejects_by_code": by_count(scored.codes),
        "decisions_by_class": by_count(scored.decided),
        "dirt": scored.total_dirt(bundle.spec).to_dicts(),
        "notes": [*applications.notes, *events.notes, *night.notes],
        "inputs": [
            {"table": table.name, "file": file.label, "rows": file.rows, "sha256": file.sha256}
            | ({} if table.version is None else {"version": table.version})
            for table in tables
            for file in table.files
        ],
        "outputs": {path.name: digest for path, digest in digests.items()},
    }


def with_files(rejects: pl.DataFrame, applications: SourceTable, events: SourceTable) -> pl.DataFrame:
    """Name the file and the row in that file, for applications and for the events that rejected them."""
    own = rejects.filter(pl.col("table") == APPLICATIONS)
    orphans = rejects.filter(pl.col("table") == EVENTS)
    parts = []
    for part, table in ((own, applications), (orphans, events)):
        file, row = table.locate(part["row"])
        event_file, event_row = events.locate(part["event_row"])
        parts.append(part.with_columns(file=file, row=row, event_file=event_file, event_row=event_row))
    return pl.concat(parts).select(REJECT_COLUMNS.names())


def refusal(scored: Results, rows: int, allowed: float, failed: Path, night: Night) -> RejectLimitError | None:
    """Return what ends a run that must not replace the previous output, whose rejects are to lie in `failed`."""
    if scored.rejected > allowed * rows:
        return _too_many_rejects(scored, rows, allowed, failed, night.advice)
    return _refused(night.refusals, failed) if night.refusals else None


def _too_many_rejects(scored: Results, rows: int, allowed: float, failed: Path, advice: str) -> RejectLimitError:
    """Make the error that ends a run with more rejected applications than the share `allowed`."""
    causes = ", ".join(f"{code} {count}" for code, count in by_count(scored.codes).items())
    return RejectLimitError(
        f"{scored.rejected} of {rows} applications were rejected ({scored.rejected / rows:.1%}), expected at most "
        f"{allowed:.1%}: {causes}. {advice}{' ' if advice else ''}The previous output is as it was; see {failed}. "
        "Correct the source, "
        "or raise --max-reject-share if this is known and accepted."
    )


def _refused(causes: list[str], failed: Path) -> RejectLimitError:
    """Make the error that ends a run whose events match nobody, or a column of which is gone."""
    return RejectLimitError(f"{' Also: '.join(causes)} The previous output is as it was; rejects are in {failed}.")


def by_count(counts: Counter[str]) -> dict[str, int]:
    """Return counts, largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

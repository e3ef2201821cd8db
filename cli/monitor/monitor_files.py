"""`credit monitor` without a log: decisions from a file, their features made anew from applications and events."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from batch import read_inputs
from cli.monitor.monitor_sources import Span, gather
from features.applications import ROW, identifier, read_applications, require_columns
from features.errors import InputError
from features.matrix import FeatureTable, build_features, list_features
from features.rejects import dirt_frame
from monitoring.nightly import FEATURE, Outcomes, Watched
from receipts.outcomes import read_labels
from scoring.bundle import Bundle, Reference, read_reference
from scoring.decisions import decision_ids, mark_as_decided
from scoring.evaluate_files import check_made_by
from scoring.health import NOT_COMPARED, compare_columns, compare_matches
from storage.tables import read_table

_MOST_OFF = 1e-3  # of a sum of probabilities from 1, if a program rounded them


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a run without a log."""

    decisions: Path
    applications: Path
    events: Path | None
    labels: Path | None


def watch_files(bundle: Bundle, files: Files, span: Span) -> Watched:
    """Read decisions and make their features anew from applications and events.

    Raises:
        InputError: a file cannot be used, they do not belong together, or no decision lies in the window.
        BundleError: the bundle has no reference.

    """
    reference = read_reference(bundle)
    decisions = _decisions(read_table(files.decisions, "decisions"), bundle)
    applications, events = read_inputs(files.applications, files.events, bundle.spec)
    table = _features(applications, events, bundle)
    frame, notes = _joined(decisions, table, bundle)
    frame = frame.filter(*span.conditions())
    labels = None if files.labels is None else read_labels(read_table(files.labels, "labels", dialect=bundle.spec.csv))
    if labels is not None:
        _check_labels(labels, applications, table)
    outcomes = None if labels is None else Outcomes.of(labels, bundle.spec)
    watched, _ = gather(bundle, outcomes, lambda columns: iter([frame.select(columns)]), span)
    if span.since is None and span.until is None:
        watched.window.add_dirt(table.dirt.to_dicts(), len(table.matrix))
    else:
        kept = table.applications.select("application_id").with_columns(row=pl.int_range(pl.len()))
        inside = applications[table.applications[ROW].to_numpy() - 1].filter(
            kept["application_id"].is_in(frame["application_id"].implode())
        )
        watched.window.add_dirt(dirt_frame(read_applications(inside, bundle.spec).dirt).to_dicts(), inside.height)
    matches = table.matches if bundle.spec.groups else None
    return replace(watched, matches=matches, notes=(*notes, *_far_worse(reference, table, bundle), *watched.notes))


def _far_worse(reference: Reference, table: FeatureTable, bundle: Bundle) -> Iterator[str]:
    """Say what is far worse than at training: matches, and cells of columns."""
    matches = table.matches
    if reference.matches is None:
        yield f"{NOT_COMPARED}."
    finding = compare_matches(reference, matches) if bundle.spec.groups else None
    for found in (*([finding] if finding else []), *compare_columns(reference, matches, table.counted)):
        yield f"{found.text}."


def _decisions(table: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    columns = bundle.spec.probability_columns
    needed = ("application_id", "decision_id", *columns, "credit_class", "credit_score", "bundle_id")
    if missing := [name for name in needed if name not in table.columns]:
        raise InputError(f"decisions: column {', '.join(missing)} is missing. Expected what `credit score` writes.")
    check_made_by(table, bundle.bundle_id)
    numbers = [pl.col(name).cast(pl.Float32, strict=False) for name in columns]
    found = table.select(
        identifier(table.schema, "decisions", "application_id"),
        pl.col("decision_id").cast(pl.String),
        *numbers,
        pl.col("credit_class").cast(pl.String),
        pl.col("credit_score").cast(pl.Int64, strict=False),
    )
    if found.select(pl.any_horizontal(pl.all().is_null().any())).item():
        raise InputError("decisions: a cell is empty or no number where `credit score` writes one. Export them again.")
    for name in ("application_id", "decision_id"):
        if found[name].is_duplicated().any():
            raise InputError(
                f"decisions: a value of {name} is repeated. Keep one row per application, as it was written."
            )
    fits = [pl.col(name).is_between(0, 1) for name in columns]
    off = found.filter(~pl.all_horizontal(*fits, (pl.sum_horizontal(columns) - 1).abs() < _MOST_OFF)).height
    if off:
        raise InputError(
            f"decisions: in {off:,} rows the {', '.join(columns)} are no probabilities. Export them again."
        )
    return found


def _features(applications: pl.DataFrame, events: pl.DataFrame, bundle: Bundle) -> FeatureTable:
    require_columns(applications, "applications", ("application_id",))
    ids = applications.select(identifier(applications.schema, "applications", "application_id")).to_series()
    alone = applications.filter(~ids.is_duplicated())  # the batch rejects every row of a repeated id
    table = build_features(alone, events, bundle.spec)
    mark_as_decided(table, bundle.explainer, bundle.spec)
    return table


def _joined(decisions: pl.DataFrame, table: FeatureTable, bundle: Bundle) -> tuple[pl.DataFrame, list[str]]:
    """Put decisions beside the features of their applications, and say what does not belong together."""
    names = [FEATURE + feature.name for feature in list_features(bundle.spec)]
    features = pl.DataFrame({name: table.matrix[:, i] for i, name in enumerate(names)})
    made = pl.Series("made", decision_ids(table.applications, table.matrix, bundle.bundle_id), dtype=pl.String)
    known = table.applications.select(
        "application_id", "customer_id", pl.col("as_of").cast(pl.Datetime("us", "UTC")), pl.lit("batch").alias("door")
    )
    frame = decisions.join(known.hstack([made]).hstack(features), on="application_id", maintain_order="left")
    if frame.is_empty():
        raise InputError(
            "decisions: none of them is about one of the applications. Give the applications and events that were "
            "scored, and what `credit score` wrote for them."
        )
    notes = []
    if without := decisions.height - frame.height:
        notes.append(f"{without:,} decisions are left out: their applications are not in the file, or are unusable.")
    if other := int((frame["made"] != frame["decision_id"]).sum()):
        notes.append(
            f"{other:,} decisions were made from other features than these applications and events give. Give the very "
            "files that were scored, or monitor the decision log, which holds the features."
        )
    return frame.drop("made"), notes


def _check_labels(labels: pl.DataFrame, applications: pl.DataFrame, table: FeatureTable) -> None:
    ids = applications.select(identifier(applications.schema, "applications", "application_id")).to_series()
    unknown = labels.filter(~pl.col("application_id").is_in(ids.implode()))
    if unknown.height:
        raise InputError(
            f"labels: {unknown.height:,} rows name an application that is not in the applications file. Leave them "
            "out, or check that they belong together."
        )
    as_of = table.applications.select("application_id", pl.col("as_of").cast(pl.Datetime("us", "UTC")))
    early = labels.join(as_of, on="application_id").filter(pl.col("outcome_at") < pl.col("as_of"))
    if early.height:
        raise InputError(f"labels: {early.height:,} outcomes are dated before their application's as_of. Correct them.")

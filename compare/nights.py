"""A challenger beside the champion, from the files that a batch wrote: its decisions, and the challenger's."""

from pathlib import Path

import polars as pl

from compare.shadows import Pairs, pairs_of
from features.errors import InputError
from receipts.outcomes import read_labels
from receipts.replay import bundle_folders
from scoring.bundle import read_bundle
from storage.tables import read_table

_SAME = ("application_id", "customer_id", "as_of")
_DECIDED = ("credit_class", "bundle_id")


def read_night(decisions: Path, challenger: str, bundles: Path, labels: pl.DataFrame | None) -> Pairs:
    """Read what a batch decided, and what a challenger, named by its id or the first digits of it, would have.

    Raises:
        InputError: there is no file of this challenger, or of several such; or a file is not what a batch writes.
        BundleError: `bundles` lacks a bundle.

    """
    before, after = (_decisions(path) for path in (decisions, _beside(decisions, challenger)))
    counts = {name: count for frame in (before, after) for name, count in frame["bundle_id"].value_counts().rows()}
    opened = {name: read_bundle(path) for name, path in bundle_folders(bundles, counts).items()}
    own, champion = (opened[frame["bundle_id"][0]] for frame in (after, before))
    if own.spec.classes != champion.spec.classes:
        raise InputError(f"{decisions}: has other classes than the challenger, so that no decision can be compared.")
    columns = [*_SAME, *_DECIDED, *own.spec.probability_columns]
    frames = [frame.select(columns).unique(_SAME, keep="last", maintain_order=True) for frame in (before, after)]
    joined = frames[0].join(frames[1], on=_SAME, how="inner", suffix=":after", maintain_order="left")
    if joined.is_empty():
        raise InputError(f"{decisions}: holds none of the challenger's applications. Are both of the same night?")
    outcomes = _outcomes(labels, own.spec.classes)
    joined = joined.join(outcomes, on="application_id", how="left", maintain_order="left")
    return pairs_of(joined, own, (champion,))


def _beside(decisions: Path, challenger: str) -> Path:
    start = f"{decisions.stem}.challenger-"
    files = sorted(decisions.parent.glob(f"{start}*{decisions.suffix}"))
    found = [path for path in files if path.stem.removeprefix(start).startswith(challenger.strip()[:12])]
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.stem.removeprefix(start) for path in files)
    there = f"There are those of {known}." if known else "Was `credit score` run with --challenger?"
    what = "files of several challengers whose ids begin so" if found else "no file of this challenger"
    raise InputError(f"{decisions}: beside it lies {what}. {there}")


def _decisions(path: Path) -> pl.DataFrame:
    table = read_table(path, "decisions")
    columns = [name for name in table.columns if name.startswith("p_")]
    lacking = {*_SAME, *_DECIDED} - set(table.columns)
    if lacking or not columns:
        raise InputError(f"{path}: lacks {', '.join(sorted(lacking)) or 'probabilities'}: not what a batch writes.")
    if table.is_empty() or table["bundle_id"].n_unique() > 1:
        raise InputError(f"{path}: expected the decisions of one bundle, found none or those of several.")
    try:
        return table.with_columns(
            pl.col(*_SAME, *_DECIDED).cast(pl.String), pl.col(columns).cast(pl.Float64, strict=True)
        )
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: holds a probability that is no number: not what a batch writes.") from error


def _outcomes(labels: pl.DataFrame | None, classes: tuple[str, ...]) -> pl.DataFrame:
    if labels is None:
        return pl.DataFrame(schema={"application_id": pl.String, "outcome": pl.String})
    found = read_labels(labels).select("application_id", outcome="credit_class")
    unknown = set(found["outcome"]) - set(classes)
    if unknown:
        raise InputError(
            f"labels: {len(unknown)} of their classes are none of the bundles'. Expected {', '.join(classes)}."
        )
    return found

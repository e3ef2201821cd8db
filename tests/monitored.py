"""Windows for the tests of monitoring: applications scored as a door scores them, with drift planted or without."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from cli.monitor.monitor_sources import Span, gather
from features.matrix import list_features
from features.rejects import APPLICATIONS
from monitoring.nightly.intake import FEATURE, Outcomes
from monitoring.nightly.watch import Figures, Watched, watch
from receipts.frame import receipts_of
from receipts.log.chain import Chain
from receipts.outcomes import read_labels
from recipes.dataset import Dataset
from scoring.bundle.folder import REFERENCE, Bundle, sha256
from scoring.bundle.reference import Reference
from scoring.scorer import Scorer

DECIDED = datetime(2026, 1, 5, tzinfo=UTC)
SPAN = Span(since=None, until=None, matured_days=90)


@dataclass(frozen=True)
class Scored:
    """Decisions with their features, and the dirt of the applications that they were made of."""

    scorer: Scorer
    frame: pl.DataFrame
    dirt: pl.DataFrame
    applications: int

    def watched(
        self, rows: pl.DataFrame | None = None, labels: pl.DataFrame | None = None, bundle: Bundle | None = None
    ) -> Watched:
        """What is read of the decisions, or of some of them; with another bundle's yardstick, if one is given."""
        frame, bundle = self.frame if rows is None else rows, bundle or self.scorer.bundle
        outcomes = None if labels is None else Outcomes.of(read_labels(labels), bundle.spec)

        def read(columns: list[str]) -> Iterator[pl.DataFrame]:
            yield from (part.select(columns) for part in frame.iter_slices(2000))

        watched, _ = gather(bundle, outcomes, read, SPAN)
        if rows is None:
            watched.window.add_dirt(self.dirt.to_dicts(), self.applications)
        return watched

    def figures(self, rows: pl.DataFrame | None = None, labels: pl.DataFrame | None = None) -> Figures:
        return watch(self.watched(rows, labels))

    def customers(self, rows: int, generator: np.random.Generator) -> pl.DataFrame:
        """Draw customers, with all of their applications, until there are so many."""
        names = self.frame["customer_id"].unique(maintain_order=True).sort()
        order = pl.DataFrame({"customer_id": names, "place": generator.permutation(len(names))})
        drawn = self.frame.select("customer_id").join(order, on="customer_id", how="left", maintain_order="left")
        return self.frame[np.argsort(drawn["place"].to_numpy(), kind="stable")[:rows]]


def with_reference(bundle: Bundle, reference: Reference, folder: Path) -> Bundle:
    """Return a bundle that differs in its yardstick alone."""
    content = reference.to_bytes()
    (folder / REFERENCE).write_bytes(content)
    files = {**bundle.manifest["files"], REFERENCE: sha256(content)}
    return replace(bundle, path=folder, manifest={**bundle.manifest, "files": files})


def score(scorer: Scorer, dataset: Dataset, applications: pl.DataFrame | None = None, door: str = "batch") -> Scored:
    spec = scorer.bundle.spec
    table = dataset.applications if applications is None else applications
    scored = scorer.score(table, dataset.events)
    names = [FEATURE + feature.name for feature in list_features(spec)]
    features = pl.DataFrame({name: scored.features[:, i] for i, name in enumerate(names)})
    frame = scored.decisions.hstack(features).with_columns(pl.lit(door).alias("door"))
    rejected = int((scored.rejects["table"] == APPLICATIONS).sum())
    return Scored(scorer, frame, scored.dirt, table.height - rejected)


def changed(dataset: Dataset, share: float, **columns: pl.Expr) -> pl.DataFrame:
    """Change cells of a share of the applications."""
    chosen = np.random.default_rng(1).random(dataset.applications.height) < share
    frame = dataset.applications.with_columns(pl.Series("chosen", chosen))
    cells = [pl.when("chosen").then(cell).otherwise(name).alias(name) for name, cell in columns.items()]
    return frame.with_columns(cells).drop("chosen")


def write(log: Path, scorer: Scorer, frame: pl.DataFrame, door: str = "batch") -> Path:
    """Seal decisions as a door would."""
    spec = scorer.bundle.spec
    matrix = frame.select(pl.col(f"^{FEATURE}.*$")).to_numpy().astype(np.float32)
    decisions = frame.drop("door", *[name for name in frame.columns if name.startswith(FEATURE)])
    origin = pl.DataFrame({"door": [door] * frame.height, "decided_at": [DECIDED] * frame.height})
    with Chain.open(log, f"{door}-test") as chain:
        chain.seal(receipts_of(decisions, matrix, origin, spec))
    return log

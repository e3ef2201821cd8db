"""A large synthetic lender on disk, made once per size: 40 events an application, in order of time as in a ledger.

Customers come from `recipes.synthetic` in parts; a fifth of their applications is left out, so that some customers have
events but do not apply, as in life.
"""

from pathlib import Path

import polars as pl

from recipes.synthetic import synthetic

_PART = 12_500  # customers: 20,000 applications and 0.8 million events


def make_lender(folder: Path, applications: int) -> Path:
    """Write applications.parquet and events.parquet, unless they are there; return the folder."""
    place = folder / f"lender-{applications}"
    done = place / "complete"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        parts = [synthetic(_PART, seed=1000 + seed) for seed in range(-(-applications // (_PART * 8 // 5)))]
        kept = pl.concat([part.applications.head(_PART * 8 // 5) for part in parts]).head(applications)
        kept.sample(fraction=1, shuffle=True, seed=0).write_parquet(place / "applications.parquet")
        events = pl.concat([part.events for part in parts]).sort("occurred_at", "customer_id", "kind", "amount")
        events.write_parquet(place / "events.parquet")
        done.touch()
    return place

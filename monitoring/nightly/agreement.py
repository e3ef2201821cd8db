"""The same application at two doors must be the same bits: compared by hashes, in 17 bytes a decision."""

from dataclasses import dataclass, field

import polars as pl

SAME = ("application_id", "customer_id", "as_of")
_KEY, _BITS = "key", "bits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How many applications were decided at more than one door, how many of them differently, and between which doors.

    `keys` name the differing ones among the decisions that were compared, see `Doors.key`.
    """

    shared: int
    differing: int
    doors: tuple[str, ...]
    keys: pl.Series


@dataclass(slots=True)
class Doors:
    """Takes decisions of one bundle with their doors.

    A decision id is a hash over ids, instant, features and bundle. A re-run repeats it, which is no difference.
    """

    columns: tuple[str, ...]
    _parts: list[pl.DataFrame] = field(default_factory=list)

    @staticmethod
    def key() -> pl.Expr:
        """Return a number for the application that a decision is about."""
        return pl.struct(SAME).hash(seed=1).alias(_KEY)

    def add(self, decisions: pl.DataFrame) -> None:
        """Take decisions: identity, door and the columns that must agree."""
        bits = pl.struct(self.columns).hash(seed=2).alias(_BITS)
        self._parts.append(decisions.select(self.key(), bits, pl.col("door").cast(pl.Categorical)))

    def agreement(self) -> Agreement:
        """Compare. Of an application that was decided anew at one door, any two decisions at two doors must agree."""
        if not self._parts:
            return Agreement(shared=0, differing=0, doors=(), keys=pl.Series(_KEY, [], dtype=pl.UInt64))
        table = pl.concat(self._parts).unique()
        doors = table.group_by(_KEY).agg(pl.col("door").n_unique().alias("doors"), pl.col(_BITS).n_unique())
        shared = doors.filter(pl.col("doors") > 1)
        keys = shared.filter(pl.col(_BITS) > 1)[_KEY]
        involved = table.filter(pl.col(_KEY).is_in(keys.implode()))["door"].cast(pl.String).unique().sort()
        return Agreement(shared=shared.height, differing=len(keys), doors=tuple(involved), keys=keys)

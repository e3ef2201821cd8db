"""A seeded synthetic lender, whose outcomes come from a hidden state and never from the features.

Each customer has a hidden financial health z. Attributes and events are noisy signs of z before `as_of`; after
`as_of` z moves on, and the class follows from where it went. So no model can know the class; the class probabilities
given z, kept in `truth`, are the best that any model could state.
"""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from recipes.dataset import EVENTS_SCHEMA, Dataset, spec_text

__all__ = ["synthetic"]

_DAY = 86_400_000_000
_FIRST = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_HISTORY_DAYS = 400
_CUTS = (-0.55, 0.75)  # of the later state: below Poor, above Good
_MOVE = 0.6  # standard deviation of what happens to z after as_of
_OCCUPATIONS = ("clerk", "engineer", "nurse", "retail", "self-employed", "teacher", "other")
_NUMERIC = ("months_employed", "annual_income", "credit_utilisation", "credit_enquiries", "outstanding_debt")
_LOANS = ("car loan", "mortgage", "payday loan", "student loan")

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]


def synthetic(customers: int, seed: int) -> Dataset:
    """Make a lender with this many customers, one to three applications each over a year, and about 30 events a year.

    Applications hold text as an export from a core system would, with dirt in about 4 % of the cells and 0.3 % of
    unusable rows. `extras["truth"]` holds application_id and the best reachable probabilities.
    """
    generator = np.random.default_rng(seed)
    health = generator.normal(size=customers)
    owner = np.repeat(np.arange(customers), generator.integers(1, 4, customers))
    as_of = _FIRST + generator.integers(0, 365, len(owner)) * _DAY
    state = health[owner] + 0.25 * generator.normal(size=len(owner))
    ids = np.array([f"A{seed}-{i:07d}" for i in range(len(owner))])
    applications = pl.DataFrame(
        {
            "application_id": ids,
            "customer_id": [f"C{seed}-{c:07d}" for c in owner],
            "as_of": np.datetime_as_string(as_of.astype("datetime64[us]"), unit="s", timezone="UTC"),
            **_dirty(_attributes(state, generator), generator),
        }
    )
    truth = _class_probabilities(state)
    outcome = (generator.random(len(owner))[:, None] > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return Dataset(
        applications=_with_unusable_rows(applications, generator),
        events=_events(health, seed, generator),
        labels=pl.DataFrame({"application_id": ids, "credit_class": np.array(["Poor", "Standard", "Good"])[outcome]}),
        spec_text=spec_text("synthetic"),
        extras={
            "truth": pl.DataFrame(
                {"application_id": ids, **{f"p_{c}": truth[:, i] for i, c in enumerate(("poor", "standard", "good"))}}
            )
        },
    )


def _class_probabilities(state: Floats) -> Floats:
    """P(class | state) where the later state is Normal(0.9 state, _MOVE)."""
    low, high = (np.asarray(ndtr((cut - 0.9 * state) / _MOVE), dtype=np.float64) for cut in _CUTS)
    return np.stack([low, high - low, 1 - high], axis=1)


def _attributes(z: Floats, generator: np.random.Generator) -> dict[str, Texts]:
    n = len(z)

    def sign(strength: float) -> Floats:
        noise: Floats = generator.normal(size=n)
        return strength * z + math.sqrt(1 - strength * strength) * noise

    months = np.clip(np.exp(4.6 + 0.6 * sign(0.5)), 0, 700).astype(int)
    loans = [", ".join(np.array(_LOANS)[mask]) or "none" for mask in generator.random((n, 4)) < _loan_odds(z)]
    mix = np.digitize(sign(0.7), (-0.6, 0.6))
    return {
        "months_employed": np.clip(np.rint(42 + 13 * sign(0.15)), 18, 95).astype(int).astype(str),
        "annual_income": _money(np.exp(10.4 + 0.5 * sign(0.45))),
        "occupation": np.array(_OCCUPATIONS)[generator.integers(0, len(_OCCUPATIONS), n)],
        "credit_history": np.array([f"{m // 12} Years and {m % 12} Months" for m in months]),
        "credit_utilisation": np.char.mod("%.3f", np.clip(38 - 17 * sign(0.6), 0, 130)),
        "credit_enquiries": generator.poisson(np.exp(1.1 - 0.4 * z)).clip(0, 50).astype(str),
        "credit_mix": np.array(["Bad", "Standard", "Good"])[mix],
        "outstanding_debt": _money(np.exp(7.2 - 0.7 * sign(0.5))),
        "loans": np.array([f"{a}, and {b}" if a else b for a, _, b in (text.rpartition(", ") for text in loans)]),
    }


def _loan_odds(z: Floats) -> Floats:
    return np.column_stack([np.full_like(z, 0.3), ndtr(0.4 * z - 0.6), ndtr(-0.8 * z - 1.2), np.full_like(z, 0.2)])


def _money(values: Floats) -> Texts:
    return np.char.mod("%.2f", values)


def _dirty(attributes: dict[str, Texts], generator: np.random.Generator) -> dict[str, Texts]:
    """Damage cells as real exports are damaged: gone, marked unknown, underscored, impossible, garbled."""
    dirty = {}
    for name, values in attributes.items():
        cells, luck = values.astype("U64"), generator.random(len(values))
        numeric = name in _NUMERIC
        cells[luck < 0.02] = ""
        cells[(luck >= 0.02) & (luck < 0.03)] = "_______"
        cells[(luck >= 0.03) & (luck < 0.04)] = "-500" if numeric else "!@9#%8"
        underscored = (luck >= 0.04) & (luck < 0.07) & numeric
        cells[underscored] = np.char.add(cells[underscored], "_")
        dirty[name] = cells
    return dirty


def _with_unusable_rows(applications: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Break `as_of` or `customer_id` in 0.15 % of the rows each, at least one row each where there are three."""
    count = -(-applications.height * 15 // 10_000) if applications.height > 2 else 0
    chosen = generator.permutation(applications.height)[: 2 * count]
    row = pl.int_range(pl.len())
    return applications.with_columns(
        as_of=pl.when(row.is_in(chosen[:count].tolist())).then(pl.lit("2025-02-30")).otherwise("as_of"),
        customer_id=pl.when(row.is_in(chosen[count:].tolist())).then(pl.lit("")).otherwise("customer_id"),
    )


def _events_of(kind: str, rate: Floats, mean: Floats, spread: float, generator: np.random.Generator) -> pl.DataFrame:
    """Draw the events of one kind; rate and mean are by customer."""
    owner = np.repeat(np.arange(len(rate)), generator.poisson(rate * (_HISTORY_DAYS + 365) / 365))
    first, last = (days * _DAY // 1_000_000 for days in (-_HISTORY_DAYS, 365))
    occurred = _FIRST + generator.integers(first, last, len(owner)) * 1_000_000
    cents = np.rint(100 * (mean[owner] + spread * generator.normal(size=len(owner)))).astype(np.int64)
    late = occurred + generator.integers(1, 20 * _DAY, len(owner))
    return pl.DataFrame(
        {
            "customer_id": pl.Series(owner).cast(pl.String).str.zfill(7),
            "occurred_at": pl.Series(occurred).cast(pl.Datetime("us", "UTC")),
            "kind": pl.repeat(kind, len(owner), eager=True),
            "amount": pl.Series(cents),
            "recorded_at": pl.Series(late).cast(pl.Datetime("us", "UTC")),
            "late": generator.random(len(owner)) < 0.02,
        }
    )


def _events(health: Floats, seed: int, generator: np.random.Generator) -> pl.DataFrame:
    """Draw each kind as a Poisson process whose rate and amounts are signs of health; 2 % are recorded late."""
    rates = {  # events a year, and amounts
        "salary": (np.full_like(health, 11.0) + np.minimum(health, 1), 2200 + 500 * health, 150.0),
        "purchase": (np.exp(2.5 + 0.1 * health), -55 - 6 * health, 30.0),
        "instalment": (np.exp(1.6 + 0.15 * health), -240 + 10 * health, 40.0),
        "late_fee": (np.exp(-0.6 - 0.9 * health), np.full_like(health, -25.0), 5.0),
        "overdraft": (np.exp(-0.2 - 0.8 * health), -130 + 40 * health, 60.0),
        "note": (np.full_like(health, 0.5), np.zeros_like(health), 0.0),
    }
    parts = [_events_of(kind, *process, generator) for kind, process in rates.items()]
    return (
        pl.concat(parts)
        .select(
            pl.format(f"C{seed}-{{}}", "customer_id").alias("customer_id"),
            "occurred_at",
            "kind",
            _cents_to_decimal("amount"),
            pl.when("late").then("recorded_at").alias("recorded_at"),
        )
        .sort("customer_id", "occurred_at", "kind", "amount")
    )


def _cents_to_decimal(column: str) -> pl.Expr:
    return (pl.col(column).cast(pl.Decimal(18, 2)) / 100).cast(EVENTS_SCHEMA["amount"])

"""Invent golden inputs from the spec alone: plausible, missing, dirty and out-of-range cells. Never a customer's."""

import numpy as np
import polars as pl

from features.cells import kind_of
from features.spec.contract import Attribute, Spec

ROWS = 64
_START = 1_767_225_600_000_000  # 2026-01-01
_DAY = 86_400_000_000
_MISSING, _DIRTY = 0.15, 0.08


def invent(spec: Spec, seed: int = 0, rows: int = ROWS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return applications and events as text, as a dirty CSV file would hold them; each customer applies once."""
    generator = np.random.default_rng(seed)
    as_of = _START + generator.integers(0, 365 * _DAY, rows)
    customers = [f"golden-customer-{i}" for i in range(rows)]
    applications = pl.DataFrame(
        {
            "application_id": [f"golden-{i}" for i in range(rows)],
            "customer_id": customers,
            "as_of": [_instant(t) for t in as_of],
            **{a.name: [_cell(a, generator) for _ in range(rows)] for a in spec.attributes},
        },
        schema_overrides={a.name: pl.String for a in spec.attributes},
    )
    events = [e for c, t in zip(customers, as_of, strict=True) for e in _history(c, int(t), spec, generator)]
    columns = ("customer_id", "occurred_at", "kind", "amount", "recorded_at")
    return applications, pl.DataFrame(events, schema=dict.fromkeys(columns, pl.String), orient="row")


def _instant(microseconds: int) -> str:
    return f"{np.datetime64(int(microseconds), 'us')}Z"


def _cell(attribute: Attribute, generator: np.random.Generator) -> str:
    luck = generator.random()
    if not attribute.required and luck < _MISSING:
        return ""
    if not attribute.required and luck < _MISSING + _DIRTY:
        return str(generator.choice(kind_of(attribute).dirty(attribute)))
    return kind_of(attribute).golden(attribute, generator)


def _history(customer: str, as_of: int, spec: Spec, generator: np.random.Generator) -> list[tuple[str | None, ...]]:
    """Events around the windows, some at their very edges, some after `as_of`, some recorded late."""
    if not spec.groups:
        return []
    windows = sorted({days for group in spec.groups for days in group.windows_days})
    events: list[tuple[str | None, ...]] = []
    for _ in range(generator.integers(0, 12)):
        edge = as_of - int(generator.choice([0, *windows])) * _DAY + int(generator.integers(-1, 2))
        anywhere = as_of - int(generator.integers(-5 * _DAY, windows[-1] * _DAY))
        occurred = max(0, edge if generator.random() < 0.2 else anywhere)
        late = generator.random() < 0.1
        events.append(
            (
                customer,
                _instant(occurred),
                str(generator.choice(spec.event_kinds)),
                f"{generator.normal(0, 300):.{spec.currency.minor_digits}f}",
                _instant(occurred + int(generator.integers(0, 40 * _DAY))) if late else None,
            )
        )
    return events

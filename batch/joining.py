"""Why events may match nobody: the forms of the ids on both sides, a repair that would join them, and the times.

Looks into the partitions of a run, at a sample of the applications' customers that have no event; only where a run
refuses or warns, and in `credit check`.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from batch.id_repairs import IdForm, Repair, apply, form_of, repairs
from batch.partitions import Partitions
from batch.score_partitions import Results
from features.applications import identifier, read_applications
from features.cells.instant_advice import instant_advice
from features.cells.recognise import date_advice
from features.rejects import APPLICATIONS, EVENTS
from features.rfm import event_reader
from features.spec.contract import EVENT_COLUMNS, Spec

_SAMPLE = 2000  # customers without an event that repairs are tried on
_READ = 100_000  # rows of each side of which the times are read
_LEAST_GAIN = 0.1  # of the sample: a repair that joins fewer is not named
_DAY_US = 86_400_000_000
Both = tuple[pl.DataFrame, pl.DataFrame]  # some applications and some events


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What was found. `repaired_share`: of a sample of customers without an event, with the repair.

    `as_of`, `occurred_at`: first and last day, UTC; None if no cell is readable. `dates`: forms that the spec lacks.
    """

    forms: dict[str, IdForm | None]
    repair: tuple[Repair, ...]
    repaired_share: float
    as_of: tuple[str, str] | None
    occurred_at: tuple[str, str] | None
    times: str
    unknown_kinds: float
    dates: tuple[str, ...]

    def text(self) -> str:
        """Say it for a person."""
        forms = [f"{name}: {form.text()}" for name, form in self.forms.items() if form is not None]
        said = [f"The form of customer_id: {'; '.join(forms)}."] if len(forms) > 1 else []
        if self.repair:
            names, advices = ([getattr(r, part) for r in self.repair] for part in ("name", "advice"))
            said.append(
                f"Without {' and '.join(names)}, {self.repaired_share:.0%} of the customers without an event would "
                f"have some ({'; '.join(advices)})."
            )
        if self.times:
            said.append(self.times)
        if self.unknown_kinds:
            said.append(f"{self.unknown_kinds:.1%} of the events are of kinds that the spec does not declare.")
        return " ".join([*said, *self.dates])

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "id_forms": {name: None if form is None else asdict(form) for name, form in self.forms.items()},
            "repair": [repair.name for repair in self.repair],
            "repaired_share": self.repaired_share,
            "as_of": self.as_of,
            "occurred_at": self.occurred_at,
            "times": self.times,
            "unknown_kinds_share": self.unknown_kinds,
        }


def advise(first: Callable[[], Both], scored: Results, rows: int) -> str:
    """Say what to declare where instants are unreadable in most of the applications; nothing elsewhere.

    Raises:
        DeliveryError: the temporary files cannot be read.

    """
    if not any(code.endswith("_unreadable") and not code.startswith("attribute_") for code in scored.codes):
        return ""
    return instant_advice(*first(), scored.codes, rows)


def look_at_join(partitions: Partitions, spec: Spec) -> Joining:
    """Compare both sides of the join.

    Raises:
        DeliveryError: the temporary files cannot be read.

    """

    def events() -> Iterator[pl.DataFrame]:
        for key in partitions.events.keys():  # noqa: SIM118 - no mapping
            yield partitions.events.read(key)

    return look_at_tables(partitions.first(), events, spec)


def look_at_tables(first: Both, events: Callable[[], Iterator[pl.DataFrame]], spec: Spec) -> Joining:
    """Compare both sides of the join: `first` are applications and events to look at, `events` all of the latter."""
    own, theirs = _ids(first[0], APPLICATIONS), _ids(first[1], EVENTS)
    lonely = own.filter(~own.is_in(theirs.implode())).head(_SAMPLE)
    sides = (("applications", own), ("events", theirs))
    repair, share = _best(lonely, list(repairs(sides)), events) if len(theirs) else ((), 0.0)
    as_of, occurred = _as_of(first[0], spec), _occurred_at(first[1], spec)
    return Joining(
        forms={name: form_of(ids) for name, ids in sides},
        repair=repair,
        repaired_share=share,
        as_of=_dates(as_of),
        occurred_at=_dates(occurred),
        times=_overlap(as_of, occurred, spec),
        unknown_kinds=_unknown_kinds(first[1], spec),
        dates=tuple(_advice(first[0], "as_of", as_of) + _advice(first[1], "occurred_at", occurred)),
    )


def look_at_ids(applications: pl.DataFrame, events: pl.DataFrame) -> str:
    """Say of two tables what keeps them apart, where nobody has an event or a repair would join many; else ""."""
    sides = tuple((name, _ids(table, name)) for name, table in ((APPLICATIONS, applications), (EVENTS, events)))
    own, theirs = sides[0][1], sides[1][1]
    lonely = own.filter(~own.is_in(theirs.implode()))
    forms = {name: form_of(ids) for name, ids in sides}
    cut = any(form is not None and form.scientific_share for form in forms.values())
    if not len(theirs) or not (len(lonely) or cut):
        return ""
    repair, share = _best(lonely.head(_SAMPLE), list(repairs(sides)), lambda: iter([events]))
    if len(lonely) < len(own) and not repair and not cut:
        return ""
    found = Joining(
        forms=forms, repair=repair, repaired_share=share, as_of=None,
        occurred_at=None, times="", unknown_kinds=0.0, dates=(),
    )  # fmt: skip
    return f"{len(own) - len(lonely):,} of {len(own):,} customers have an event. {found.text()}"


def _advice(frame: pl.DataFrame, column: str, span: "Span | None") -> list[str]:
    """Say which form of dates the spec lacks, if no cell of a column can be read."""
    if span is not None or frame.is_empty():
        return []
    advice = date_advice(frame[column].head(_READ), column, f"{column}_format")
    return [] if advice is None else [advice]


def _ids(frame: pl.DataFrame, table: str) -> pl.Series:
    ids = frame.select(identifier(frame.schema, table, "customer_id")).to_series()
    return ids.filter(ids.is_not_null() & (ids != "")).unique(maintain_order=True)


def _best(
    lonely: pl.Series, tried: list[tuple[Repair, ...]], events: Callable[[], Iterator[pl.DataFrame]]
) -> tuple[tuple[Repair, ...], float]:
    """Return the first of the best repairs, and the share of the sample that it joins; nothing where all are joined."""
    if lonely.is_empty():
        return (), 0.0
    wanted = [apply(lonely, repair) for repair in tried]
    found = [pl.repeat(value=False, n=len(lonely), eager=True, dtype=pl.Boolean) for _ in tried]
    for ids in (_ids(frame, EVENTS) for frame in events()):
        for i, repair in enumerate(tried):
            if not found[i].all():
                found[i] |= wanted[i].is_in(apply(ids, repair).implode())
    shares = [float(str(one.mean())) for one in found]
    best = max(range(len(tried)), key=lambda i: (round(shares[i], 2), -len(tried[i])))
    return (tried[best], shares[best]) if shares[best] >= _LEAST_GAIN else ((), 0.0)


Span = tuple[int, int]


def _as_of(applications: pl.DataFrame, spec: Spec) -> Span | None:
    return _span(read_applications(applications.head(_READ), spec).accepted["as_of"])


def _occurred_at(events: pl.DataFrame, spec: Spec) -> Span | None:
    known = [name for name in (*EVENT_COLUMNS, "recorded_at") if name in events.columns]
    some = events.select(known).head(_READ)
    columns = tuple((name, some.schema[name]) for name in known if name != "customer_id")
    return _span(event_reader(spec, columns).read(some)["occurred_at"].values)


def _span(instants: pl.Series) -> Span | None:
    known = instants.drop_nulls().cast(pl.Int64)
    return None if known.is_empty() else (int(str(known.min())), int(str(known.max())))


def _dates(span: Span | None) -> tuple[str, str] | None:
    if span is None:
        return None
    first, last = pl.Series(span).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d")
    return str(first), str(last)


def _overlap(as_of: Span | None, occurred: Span | None, spec: Spec) -> str:
    days = max((group.windows_days[-1] for group in spec.groups), default=0)
    if as_of is None or occurred is None or not days:
        return ""
    ends, events = _dates(as_of), _dates(occurred)
    spans = "" if ends is None or events is None else f"events {' to '.join(events)}, as_of {' to '.join(ends)}"
    if occurred[0] >= as_of[1]:
        return f"All events are after the applications ({spans}): the events file of another day?"
    if occurred[1] < as_of[0] - days * _DAY_US:
        return f"All events are older than the longest window, {days} days ({spans}): the events file of another day?"
    return ""


def _unknown_kinds(events: pl.DataFrame, spec: Spec) -> float:
    kinds = events["kind"].cast(pl.String).str.strip_chars()
    declared = [*spec.event_kinds, *spec.ignored_kinds]
    return float(str((~kinds.is_in(declared)).mean() or 0.0)) if len(kinds) else 0.0

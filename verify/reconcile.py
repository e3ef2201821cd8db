"""Last night's batch against live decisions whose events came from a history store: each difference has a name.

1. choose   receipts that say up to where the store was read, their watermark; others carried their events
2. hold     the events of the receipt are those that the store had at the watermark, but for what expired or was erased
            since; anything else is a defect
3. batch    the applications are scored as files are, over all events that the store holds now, and compared as bits
4. name     a decision that differs has late, voided, erased or expired events, and follows from its own receipt; one
            that has none, or does not, is a defect
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from features.errors import DeliveryError, SettingsError
from features.rfm import APPLICATION_ROW
from history import CONTROL, NOBODY, Customer, HistoryStore, Places, Records, Snapshot, State, clean, rows, visible
from receipts.frame import HISTORY
from receipts.pii import KEYED, keyed
from receipts.replay import Parts, Rescored, Rescorer, differences
from scoring.message import MessageDecoder, Watermark, read_watermark
from scoring.scorer import Scorer
from verify.causes import CAUSES, DEFECT, Causes, Held, texts

_ROWS = 2_048
_TEXTS = dict.fromkeys(("customer_id", "occurred_at", "kind", "amount", "recorded_at"), pl.String)


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that differs: its names, the columns in which it does, places of events by name."""

    decision_id: str
    application_id: str
    names: list[str]
    columns: list[str]
    places: dict[str, list[str]]


@dataclass(slots=True)
class Reconciled:
    """How many decisions were compared, how many carried their events, and what those that differ are named."""

    decisions: int = 0
    carried: int = 0
    by_name: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def defects(self) -> int:
        """Decisions without an explanation."""
        return self.by_name[DEFECT]

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "decisions": self.decisions,
            "carried": self.carried,
            "same": self.decisions - len(self.differences),
            **{name: self.by_name[name] for name in CAUSES},
            "defects": self.defects,
            "differences": [asdict(one) for one in self.differences],
        }

    def add(self, one: Difference) -> None:
        """Take a decision that differs."""
        self.differences.append(one)
        self.by_name.update(one.names)


def reconcile(
    parts: Parts, bundles: Mapping[str, Path], store: HistoryStore, key: bytes | None = None, threads: int = 1
) -> Reconciled:
    """Compare the receipts of a log, which come by bundle, with a batch over the store. `key`: of ids stored keyed.

    Raises:
        BundleError: a bundle is damaged, or does not reproduce its golden rows on this machine.
        InputError: a segment is missing or changed.
        SettingsError: the store is of another spec, or of another topic than the decisions; ids are stored keyed and
            there is no key.
        DeliveryError: the store cannot be read, or holds less than the decisions have seen.

    """
    report, names = Reconciled(), _Names(store, key)
    night: _Night | None = None
    for segment, receipts in parts:
        live = receipts.filter(pl.col(HISTORY).is_not_null()) if HISTORY in receipts.columns else receipts.clear()
        report.carried += receipts.height - live.height
        if not live.height:
            continue
        if night is None or night.bundle_id != segment.bundle_id:
            night = _Night(Scorer.open(bundles[segment.bundle_id], threads), store, names)
        for some in live.iter_slices(_ROWS):
            report.decisions += some.height
            for one in night.compare(some):
                report.add(one)
    return report


class _Names:
    """The store's ids of customers, also of those that a log stores keyed."""

    def __init__(self, store: HistoryStore, key: bytes | None) -> None:
        self._store, self._key = store, key

    def __getitem__(self, name: str) -> str:
        if not name.startswith(KEYED):
            return name
        if self._key is None:
            raise SettingsError("Ids in this log are stored keyed: give the file of the key with --pii-key.")
        return self._keyed.get(name, "")  # nobody's: the store holds nothing of the customer, or no more

    @cached_property
    def _keyed(self) -> dict[str, str]:
        key = self._key or b""
        return {keyed(key, "customer_id", name): name for name, _ in self._store.everybody()}


class _Night:
    """The batch of one bundle over a store."""

    def __init__(self, scorer: Scorer, store: HistoryStore, names: _Names) -> None:
        spec = scorer.bundle.spec
        store.settings.check(spec, store.where)
        self.bundle_id, self._store, self._names = scorer.bundle.bundle_id, store, names
        self._spec, self._rescorer = spec, Rescorer(scorer)
        self._decoder, self._causes = MessageDecoder(spec), Causes(spec)

    def compare(self, receipts: pl.DataFrame) -> Iterator[Difference]:
        """Yield the decisions that differ, or whose events were not those of their watermark."""
        marks = [read_watermark(text) for text in receipts[HISTORY]]
        customers = receipts["customer_id"].to_list()
        wanted = {name: self._names[name] for name in dict.fromkeys(customers)}
        snapshot = self._store.read(list(wanted.values()))
        _check(self._store.where, snapshot.state, marks)
        there = dict(zip(wanted, snapshot.customers, strict=True))
        differ = _by_row(differences(receipts, self._batch(receipts, there, snapshot)))
        used, kinds = self._used(receipts, snapshot.state)
        as_of = receipts["as_of"].to_physical().to_list()
        unclear = []
        for i, (mark, name) in enumerate(zip(marks, customers, strict=True)):
            held = Held(used[i], there[name], mark.positions, as_of[i])
            found = self._causes(held, snapshot.state, kinds)
            if found.broken or i in differ:
                unclear.append((i, found))
        wrong = self._wrong(receipts, [i for i, found in unclear if not found.broken])
        for i, found in unclear:
            explained = found.causes and not found.broken and i not in wrong
            named = sorted(found.causes, key=CAUSES.index) if explained else [DEFECT]
            ids = receipts["decision_id"][i], receipts["application_id"][i]
            yield Difference(*ids, named, sorted(differ.get(i, [])), texts(found.causes))

    def _batch(self, receipts: pl.DataFrame, there: Mapping[str, Customer], snapshot: Snapshot) -> Rescored:
        digits, point = self._spec.currency.minor_digits, self._spec.decimal
        cells = [
            row
            for name, customer in there.items()
            for row in rows(name, visible(customer, None), snapshot.state.kinds, digits, point)
        ]
        return self._rescorer.from_applications(receipts, pl.DataFrame(cells, schema=_TEXTS))

    def _used(self, receipts: pl.DataFrame, state: State) -> tuple[list[Records], Sequence[str]]:
        """Return the events of each receipt, in its order, with numbers of kinds that go on from the store's."""
        events = self._decoder.decode([text.encode() for text in receipts["application"]]).events
        owners = events[APPLICATION_ROW].cast(pl.String)
        places = np.arange(events.height, dtype=np.int64)
        cleaned = clean(
            events.with_columns(customer_id=owners), Places(places, places, places), self._spec, state.kinds
        )
        return [cleaned.events.get(str(row), NOBODY.records) for row in range(1, receipts.height + 1)], cleaned.kinds

    def _wrong(self, receipts: pl.DataFrame, rows_of: list[int]) -> set[int]:
        """Return which of these receipts hold a decision that does not follow from the application they hold."""
        if not rows_of:
            return set()
        some = receipts[rows_of]
        return {rows_of[i] for i in _by_row(differences(some, self._rescorer.from_applications(some)))}


def _by_row(found: Mapping[str, Any]) -> dict[int, list[str]]:
    by_row: dict[int, list[str]] = {}
    for column, positions in found.items():
        for row in positions.tolist():
            by_row.setdefault(row, []).append(column)
    return by_row


def _check(where: str, state: State, marks: Sequence[Watermark]) -> None:
    """Check that the store goes on from what decisions have seen."""
    for mark in marks:
        if mark.topic_id not in ("", state.topic_id):
            raise SettingsError(
                f"{where}: was filled from another topic than decisions of this log, {mark.topic} with the id "
                f"{mark.topic_id}. Name the store of then, or choose younger decisions with --since."
            )
        short = [
            name
            for name, seen in mark.positions.items()
            if (name.isdecimal() or name == CONTROL) and state.positions.get(name, 0) < seen
        ]
        if short:
            raise DeliveryError(
                f"{where}: holds less than decisions of this log have seen (partition {short[0]}). Let `credit history "
                "consume` catch up, then reconcile again."
            )

"""What other bundles would have decided tonight, in files beside the output. They never change or hold up the output.

1. decide   behind the champion, partition by partition: on its feature rows where both compute the same ones, else on
            the tables; so it costs little more than the other model
2. bound    where challengers have taken longer than the champion allows, the rest is left out and counted
3. write    once the champion's files are in their places; whatever fails from 1 on is said in the challenger's account
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from batch.partitions import ROW
from batch.receipts import Partition
from batch.windows import by_window, in_order, without
from features.errors import CreditError, DeliveryError
from features.matrix import FeatureTable
from features.rejects import APPLICATIONS, rejects_frame
from scoring.challengers import sampled
from scoring.decisions import as_frame, decision_schema, flat_reasons
from scoring.scorer import Scorer
from storage.durable import Replacement
from storage.room import Room
from storage.spool import Spool
from storage.table_writer import write_frames

GRACE_S = 30.0  # of scoring, before the share below counts
MOST_TIMES = 1.0  # the champion's time of scoring, for all challengers together

Plain = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(slots=True)
class _Challenger:
    """One bundle, and what became of its decisions. `same`: it computes the champion's feature rows."""

    scorer: Scorer
    same: bool
    spool: Spool
    decided: Counter[str] = field(default_factory=Counter)
    applications: int = 0
    changed: int = 0
    dropped: int = 0
    failure: str = ""

    def score(self, partition: Partition, wanted: NDArray[np.bool_]) -> pl.DataFrame:
        """Return decisions with their rows; `wanted` tells of the partition's applications, or decisions where same."""
        if self.same:
            decisions = partition.scored.decisions.filter(pl.Series(wanted))
            ids = decisions.select("application_id", "customer_id", pl.col("as_of").to_physical())
            table = FeatureTable(ids, partition.scored.features[wanted], rejects_frame(), [])
            return as_frame(self.scorer.decide_on(table)).with_columns(decisions[ROW])
        applications = partition.applications.filter(pl.Series(wanted))
        scored = self.scorer.score(applications.drop(ROW), partition.events.drop(ROW))
        refused = scored.rejects.filter(pl.col("table") == APPLICATIONS)["row"]
        return scored.decisions.with_columns(without(applications[ROW], refused).alias(ROW))

    def note(self, decisions: pl.DataFrame, champion: pl.DataFrame) -> None:
        """Count decisions, and those of another class than the champion's."""
        self.spool.add(by_window(decisions, ROW, 0))
        self.decided.update(decisions["credit_class"].to_list())
        both = decisions.select(ROW, "credit_class").join(champion.select(ROW, was="credit_class"), on=ROW)
        self.changed += both.filter(pl.col("credit_class") != pl.col("was")).height


class Challengers:
    """Those of one run. `add` is safe to call from several threads."""

    def __init__(self, champion: Scorer, of: Sequence[_Challenger], share: float, out: Path) -> None:
        """Use `opened`."""
        self._champion, self._of, self._share, self._out = champion, of, share, out
        self._lock = threading.Lock()
        self._own_s, self._champion_s = 0.0, 0.0

    def add(self, _number: int, partition: Partition) -> None:
        """Decide on a partition that the champion has decided on."""
        with self._lock:  # one at a time, so that the champion keeps the other cores
            self._champion_s += partition.seconds
            for one in self._of:
                if not one.failure:
                    self._add(one, partition)

    def _add(self, one: _Challenger, partition: Partition) -> None:
        began = time.monotonic()
        try:
            table = partition.scored.decisions if one.same else partition.applications
            customers = table["customer_id"].cast(pl.String).fill_null("")
            wanted = sampled(customers.str.strip_chars().to_list(), self._share)
            count = int(wanted.sum())
            one.applications += count
            if self._own_s > GRACE_S + MOST_TIMES * self._champion_s:
                one.dropped += count
            elif count:
                one.note(one.score(partition, wanted), partition.scored.decisions)
        except CreditError as error:
            one.failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, tonight's output does not depend on it
            one.failure = f"{type(error).__name__} while it decided"
        self._own_s += time.monotonic() - began

    def write(self, plain: Plain) -> list[dict[str, Any]]:
        """Write the files of each; return their accounts, which are written too."""
        return [self._write(one, plain) for one in self._of]

    def _write(self, one: _Challenger, plain: Plain) -> dict[str, Any]:
        bundle_id = one.scorer.bundle.bundle_id
        out = self._out.with_name(f"{self._out.stem}.challenger-{bundle_id[:12]}{self._out.suffix}")
        account: dict[str, Any] = {
            "bundle_id": bundle_id,
            "champion": self._champion.bundle.bundle_id,
            "share": self._share,
            "applications": one.applications,
            "decisions": one.decided.total(),
            "decisions_by_class": dict(sorted(one.decided.items())),
            "changed": one.changed,
            "dropped": one.dropped,
            "outputs": {},
        }
        try:
            with Replacement() as replacement:
                if not one.failure:
                    account["outputs"] = {out.name: replacement.write(out, lambda file: _rows(one, out, plain, file))}
                account["failed"] = one.failure
                content = json.dumps(account, indent=2, ensure_ascii=False).encode() + b"\n"
                replacement.write(out.with_name(f"{out.stem}.run.json"), lambda file: file.write(content))
                replacement.commit()
            if one.failure:
                out.unlink(missing_ok=True)  # that of another night
        except (DeliveryError, OSError) as error:
            account["failed"] = str(error)
        return account


def _rows(one: _Challenger, out: Path, plain: Plain, file: Any) -> None:
    text = out.suffix.lower() == ".csv"
    shape = flat_reasons if text else pl.DataFrame.clone
    schema = shape(pl.DataFrame(schema=decision_schema(one.scorer.bundle.spec))).schema
    frames = (shape(frame.drop(ROW)) for frame in in_order(one.spool, ROW))
    write_frames(file, (plain(frame) for frame in frames) if text else frames, schema, out.suffix)


@contextmanager
def opened(champion: Scorer, scorers: Sequence[Scorer], share: float, out: Path, room: Room) -> Iterator[Challengers]:
    """Make a place for the decisions of challengers: in memory as far as there is `room`, else beside the output.

    Raises:
        DeliveryError: there is none.

    """
    with ExitStack() as resources:
        of = []
        for scorer in scorers:
            empty = pl.DataFrame(schema=decision_schema(scorer.bundle.spec))
            spool = Spool(out, empty.with_columns(pl.lit(0, dtype=pl.Int64).alias(ROW)), room)
            of.append(_Challenger(scorer, scorer.has_rows_of(champion), resources.enter_context(spool)))
        yield Challengers(champion, of, share, out)

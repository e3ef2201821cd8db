"""All events of a store as a table, in part files of bounded size."""

from itertools import chain, count, islice
from pathlib import Path

import polars as pl

from features.errors import DeliveryError, SettingsError
from history.records import visible
from history.store import HistoryStore
from history.texts import rows

_PART_ROWS = 500_000
_SCHEMA = {
    **dict.fromkeys(("customer_id", "occurred_at", "kind", "amount", "recorded_at"), pl.String()),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
}


def export_events(store: HistoryStore, folder: Path) -> int:
    """Write Parquet files into a new folder; return the number of events. What was taken back is left out.

    Raises:
        SettingsError: the folder is not empty.
        DeliveryError: the store cannot be read, or the files cannot be written.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder}: is not empty. Choose a new folder.")
    spec, kinds, written = store.settings.spec, store.state().kinds, 0
    digits, point = spec.currency.minor_digits, spec.decimal
    everything = chain.from_iterable(
        rows(name, visible(customer, None), kinds, digits, point) for name, customer in store.everybody()
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in count():
            table = pl.DataFrame(list(islice(everything, _PART_ROWS)), schema=_SCHEMA)
            if number and table.is_empty():
                break
            table.write_parquet(folder / f"part-{number:05d}.parquet")
            written += table.height
    except OSError as error:
        raise DeliveryError(f"{folder}: cannot be written ({error.strerror}).") from error
    return written

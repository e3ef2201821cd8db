"""A Delta table: the files of one snapshot, and an output delivered by one commit. All that is known of deltalake.

What a snapshot's log says beyond its files (rows that are deleted, columns by other names) is refused by name: the
files are read as any Parquet file is. A commit is the one point at which an output appears; beside the table's files
lie the run's rejects and manifest, in `_credit/RUN/`.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import polars as pl
from arro3.core import Table
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from features.errors import CreditError, InputError
from storage.remote.addresses import Address
from storage.remote.objects import Listed, Store, aws_profile

if TYPE_CHECKING:
    from storage.remote.publication import Spread

__all__ = ["snapshot"]

_READABLE = {"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint", "deletionVectors", "domainMetadata"}
_MAPPING = "delta.columnMapping.mode"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = "partition."


@dataclass(frozen=True, slots=True)
class DeltaFiles:
    """A version of a table: its files, each by the name that it gets here; folders say the values of partitions."""

    version: int
    files: dict[str, Listed]


def snapshot(store: Store, what: str) -> DeltaFiles:
    """Return the newest version of the table at a store's address.

    Raises:
        InputError: there is no such table, it holds no file, or says of its files what is not understood here.
        DeliveryError: the store does not answer.

    """
    table = _opened(store)
    if table is None:
        raise InputError(f"{store.address.text}: no Delta table lies there. Check the address.")
    with _said(store):
        _check_readable(table, store.address)
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
    if not actions.height:
        raise InputError(
            f"{store.address.text}: the Delta table holds no row in its version {table.version()}. Expected the {what}."
        )
    keys = [_PARTITION + key for key in table.metadata().partition_columns]
    files: dict[str, Listed] = {}
    for action in actions.with_columns(pl.col(key).cast(pl.String) for key in keys).iter_rows(named=True):
        path = unquote(action["path"])
        if "://" in path or path.startswith("/"):
            raise InputError(
                f"{store.address.text}: refers to files elsewhere, as a shallow clone does. Copy it deeply."
            )
        folders = "".join(f"{quote(key.removeprefix(_PARTITION), safe='')}={_value(action[key])}/" for key in keys)
        files[folders + PurePosixPath(path).name] = Listed(path, action["size_bytes"], None)
    if len(files) < actions.height:
        raise InputError(f"{store.address.text}: two of its files have one name. Rewrite the table (OPTIMIZE).")
    return DeltaFiles(table.version(), files)


def commit(store: Store, spread: "Spread", run: str, before: int | None) -> bool:
    """Let Parquet files that lie in a table's folder be its whole content, if its version is still that of `before`.

    None: there is no table yet. Says whether it was so. A commit of which the answer got lost is recognised.
    """
    frame = pl.DataFrame(schema=spread.schema)
    kinds = {column: pl.String for column, kind in frame.schema.items() if kind in (pl.Enum, pl.Categorical)}
    schema = Schema.from_arrow(Table(frame.cast(kinds)).schema)  # type: ignore[arg-type]
    made = int(time.time() * 1000)
    actions = [
        AddAction(file.name, file.size, {}, made, data_change=True, stats=f'{{"numRecords": {file.rows}}}')
        for file in spread.files
    ]
    properties = CommitProperties(
        custom_metadata={"credit.run": run}, max_commit_retries=0, app_transactions=[Transaction(_app(run), 1)]
    )
    try:
        with _said(store):
            try:
                if before is None:
                    create_table_with_add_actions(
                        store.address.url,
                        schema,
                        actions,
                        mode="error",
                        partition_by=[],
                        storage_options=aws_profile(),
                        commit_properties=properties,
                    )
                else:
                    table = DeltaTable(store.address.url, version=before, storage_options=aws_profile())
                    table.create_write_transaction([*actions], "overwrite", schema, commit_properties=properties)
            except CommitFailedError:
                return committed(store, run)
            except DeltaError as error:
                if before is None and "already exists" in str(error):
                    return committed(store, run)
                raise
    except CreditError:
        if committed(store, run):
            return True
        raise
    return True


def version(store: Store) -> int | None:
    """Return the version of the table; None where there is none."""
    table = _opened(store)
    return None if table is None else int(table.version())


def committed(store: Store, run: str) -> bool:
    """Tell whether a run's commit is one of the table's."""
    table = _opened(store)
    return table is not None and table.transaction_version(_app(run)) is not None


def _app(run: str) -> str:
    return f"credit-{run}"


def _opened(store: Store) -> DeltaTable | None:
    with _said(store):
        try:
            return DeltaTable(store.address.url, storage_options=aws_profile())
        except TableNotFoundError:
            return None


def _check_readable(table: DeltaTable, address: Address) -> None:
    found = {str(feature) for feature in table.protocol().reader_features or ()} - _READABLE
    if table.metadata().configuration.get(_MAPPING, "none") != "none":
        found = (found - {"columnMapping"}) | {"column mapping"}
    if "deletionVectors" in (table.protocol().reader_features or ()) and _has_deletions(table):
        found.add("deletion vectors")
    if found:
        raise _not_read(address, ", ".join(sorted(found)))


def _has_deletions(table: DeltaTable) -> bool:
    try:
        return any(batch.num_rows for batch in table.deletion_vectors())
    except DeltaError:  # there are some, and the library cannot read them
        return True


def _not_read(address: Address, what: str) -> InputError:
    return InputError(
        f"{address.text}: uses {what}, which is not read here. Rewrite the table without it (deletion vectors: REORG "
        "TABLE ... APPLY (PURGE)), or export it to Parquet files and give their folder."
    )


def _value(text: str | None) -> str:
    return _NO_VALUE if text is None else quote(text, safe="")


@contextmanager
def _said(store: Store) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except CreditError:
        raise
    except (DeltaError, OSError, ValueError, RuntimeError) as error:
        text = str(error)
        feature = re.search(r"(?i)unsupported[^\n]{0,40}feature[^\n]{0,80}", text)
        if feature:
            raise _not_read(store.address, f"a feature that the library does not know ({feature[0]})") from None
        raise store.error(error) from None

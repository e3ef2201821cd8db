"""What a change writes to the tables on a server, inside its transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from history.records import Change, Erasure, Notes, name_of, without_erased

_MAKE_EVENTS = """
create table credit_history.events (
    customer_id text collate "C", partition int, place bigint, occurred_at bigint not null, recorded_at bigint not null,
    amount bigint not null, kind int not null, primary key (customer_id, partition, place)
)"""
MAKE = (
    "create schema credit_history",
    "create table credit_history.about (id int primary key, settings text not null, state text not null)",
    _MAKE_EVENTS,
    'create table credit_history.notes (customer_id text collate "C" primary key, notes bytea not null)',
    "create table credit_history.erased (name bytea primary key, erasure bytea not null)",
)
_COPY = "copy credit_history.events (customer_id, partition, place, occurred_at, recorded_at, amount, kind) from stdin"
_NOTE = (
    "insert into credit_history.notes values (%s, %s) on conflict (customer_id) do update set notes = excluded.notes"
)
_ERASE = "insert into credit_history.erased values (%s, %s) on conflict (name) do update set erasure = excluded.erasure"
_notes = msgspec.msgpack.Decoder(Notes).decode
_erasure = msgspec.msgpack.Decoder(Erasure).decode
_encode = msgspec.msgpack.encode
Connection = psycopg.Connection[tuple[Any, ...]]


def read_erasures(connection: Connection, customers: Sequence[str], salt: str) -> dict[str, Erasure]:
    """Return up to where customers were erased, those that were."""
    names = {name_of(customer, salt): customer for customer in customers}
    rows = connection.execute("select name, erasure from credit_history.erased where name = any(%s)", (list(names),))
    return {names[bytes(name)]: _erasure(erasure) for name, erasure in rows}


def write_change(connection: Connection, change: Change, salt: str) -> None:
    """Write what a change holds of customers; erasures first."""
    for customer, erasure in change.erasures:
        _erase(connection, customer, erasure, salt)
    named = {*change.events, *(customer for customer, _ in change.unusable)}
    erased = read_erasures(connection, list(named), salt) if named else {}
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for customer, records in change.events.items():
            for partition, place, occurred_at, recorded_at, amount, kind in without_erased(
                records, erased.get(customer)
            ).tolist():
                copy.write_row((customer, partition, place, occurred_at, recorded_at, amount, kind))
    for customer, event in change.unusable:
        up_to = erased.get(customer)
        if up_to is None or not up_to.hides(event.partition, event.offset):
            _note(connection, customer, Notes([event]))
    for customer, void in change.voids:
        _note(connection, customer, Notes(voids=[void]))


def _read_notes(connection: Connection, customer: str) -> Notes:
    query = "select notes from credit_history.notes where customer_id = %s"
    found = connection.execute(query, (customer,)).fetchone()
    return Notes() if found is None else _notes(found[0])


def _note(connection: Connection, customer: str, more: Notes) -> None:
    notes = _read_notes(connection, customer)
    joined = Notes([*notes.unusable, *more.unusable], [*notes.voids, *more.voids])
    connection.execute(_NOTE, (customer, _encode(joined)))


def _erase(connection: Connection, customer: str, erasure: Erasure, salt: str) -> None:
    """Remove what lies before the erasure's positions, and remember that, but not the id."""
    connection.execute("delete from credit_history.events where customer_id = %s and partition < 0", (customer,))
    for partition, until in erasure.until.items():
        connection.execute(
            "delete from credit_history.events where customer_id = %s and partition = %s and place < %s",
            (customer, int(partition), until),
        )
    notes = _read_notes(connection, customer)
    unusable = [m for m in notes.unusable if not erasure.hides(m.partition, m.offset)]
    voids = [v for v in notes.voids if not erasure.hides(v.partition, v.offset)]
    connection.execute("delete from credit_history.notes where customer_id = %s", (customer,))
    if unusable or voids:
        connection.execute(_NOTE, (customer, _encode(Notes(unusable, voids))))
    connection.execute(_ERASE, (name_of(customer, salt), _encode(erasure)))

r"""The tables of the embedded engine, inside a transaction.

events   <customer> \0 <number of the chunk>   a chunk, see `history.packed`
notes    <customer>                            unusable events and voids
erased   <hash of the customer's id>           up to where; the id itself is gone
"""

from collections.abc import Iterator

import lmdb
import msgspec
import numpy as np

from history.packed import MOST_BYTES, extended, pack, partition_of, unpack
from history.records import NOBODY, Change, Customer, Erasure, Notes, Records, name_of, without_erased

_NUMBER = 4  # bytes of a chunk's number
_LAST = b"\xff" * _NUMBER
_ROOM = MOST_BYTES - 32  # a chunk of so many bytes takes no more
_notes = msgspec.msgpack.Decoder(Notes).decode
_erasure = msgspec.msgpack.Decoder(Erasure).decode
_encode = msgspec.msgpack.encode


class Tables:
    """What is done to customers within a transaction."""

    def __init__(self, env: lmdb.Environment, salt: str) -> None:
        """Open the tables, which are made where they lack."""
        self._events, self._notes, self._erased = (env.open_db(name) for name in (b"events", b"notes", b"erased"))
        self._salt = salt

    def customer(self, transaction: lmdb.Transaction, name: str) -> Customer:
        """Return what is there of a customer; nobody has an empty name."""
        if not name:
            return NOBODY
        chunks = [value for _, value in self._chunks(transaction, name.encode())]
        notes = transaction.get(name.encode(), db=self._notes)
        erased = self._erasure(transaction, name)
        if not chunks and notes is None and erased is None:
            return NOBODY
        return Customer(unpack(chunks), Notes() if notes is None else _notes(notes), erased)

    def next(self, transaction: lmdb.Transaction, key: bytes) -> bytes:
        """Return the id of the first customer from `key` on, empty where there is none."""
        found = []
        for table in (self._events, self._notes):
            with transaction.cursor(table) as cursor:
                if cursor.set_range(key) if key else cursor.first():
                    found.append(bytes(cursor.key()).partition(b"\0")[0])
        return min(found, default=b"")

    def write(self, transaction: lmdb.Transaction, change: Change) -> None:
        """Write what a change holds of customers; erasures first."""
        for customer, erasure in change.erasures:
            self._erase(transaction, customer, erasure)
        for customer, records in sorted(change.events.items()):
            self._append(transaction, customer, without_erased(records, self._erasure(transaction, customer)))
        for customer, event in change.unusable:
            erased = self._erasure(transaction, customer)
            if erased is None or not erased.hides(event.partition, event.offset):
                self._note(transaction, customer, Notes([event]))
        for customer, void in change.voids:
            self._note(transaction, customer, Notes(voids=[void]))

    def expire(self, transaction: lmdb.Transaction, key: bytes, before: int) -> int:
        """Remove events of a customer that occurred before an instant, and unusable ones that arrived before it."""
        chunks = self._chunks(transaction, key)
        records = unpack(value for _, value in chunks)
        kept = records[records["occurred_at"] >= before]
        if len(kept) < len(records):
            self._put(transaction, key, chunks, list(pack(kept)))
        notes = self._read_notes(transaction, key)
        unusable = [event for event in notes.unusable if event.at >= before]
        if len(unusable) < len(notes.unusable):
            self._put_notes(transaction, key, Notes(unusable, notes.voids))
        return len(records) - len(kept) + len(notes.unusable) - len(unusable)

    def _put(self, transaction: lmdb.Transaction, key: bytes, old: list[tuple[bytes, bytes]], new: list[bytes]) -> None:
        for place, _ in old:
            transaction.delete(place, db=self._events)
        for number, chunk in enumerate(new):
            transaction.put(_place(key, number), chunk, db=self._events)

    def _chunks(self, transaction: lmdb.Transaction, key: bytes) -> list[tuple[bytes, bytes]]:
        return list(self._iterate(transaction, key + b"\0"))

    def _iterate(self, transaction: lmdb.Transaction, beginning: bytes) -> Iterator[tuple[bytes, bytes]]:
        with transaction.cursor(self._events) as cursor:
            there = cursor.set_range(beginning)
            while there and bytes(cursor.key()).startswith(beginning):
                yield bytes(cursor.key()), bytes(cursor.value())
                there = cursor.next()

    def _append(self, transaction: lmdb.Transaction, customer: str, records: Records) -> None:
        if not len(records):
            return
        beginning, number = customer.encode() + b"\0", 0
        with transaction.cursor(self._events) as cursor:
            there = cursor.set_range(beginning + _LAST)
            if (cursor.prev() if there else cursor.last()) and bytes(cursor.key()).startswith(beginning):
                place, chunk = bytes(cursor.key()), bytes(cursor.value())
                number = int.from_bytes(place[-_NUMBER:]) + 1
                longer = extended(chunk, records)
                if longer is not None:
                    transaction.put(place, longer, db=self._events)
                    return
                if len(chunk) < _ROOM and partition_of(chunk) == records["partition"][0]:  # it takes more
                    records, number = np.concatenate([unpack([chunk]), records]), number - 1
        for chunk in pack(records):
            transaction.put(_place(beginning[:-1], number), chunk, db=self._events)
            number += 1

    def _read_notes(self, transaction: lmdb.Transaction, key: bytes) -> Notes:
        written = transaction.get(key, db=self._notes)
        return Notes() if written is None else _notes(written)

    def _note(self, transaction: lmdb.Transaction, customer: str, more: Notes) -> None:
        key = customer.encode()
        notes = self._read_notes(transaction, key)
        self._put_notes(transaction, key, Notes([*notes.unusable, *more.unusable], [*notes.voids, *more.voids]))

    def _put_notes(self, transaction: lmdb.Transaction, key: bytes, notes: Notes) -> None:
        if notes.unusable or notes.voids:
            transaction.put(key, _encode(notes), db=self._notes)
        else:
            transaction.delete(key, db=self._notes)

    def _erasure(self, transaction: lmdb.Transaction, customer: str) -> Erasure | None:
        written = transaction.get(name_of(customer, self._salt), db=self._erased)
        return None if written is None else _erasure(written)

    def _erase(self, transaction: lmdb.Transaction, customer: str, erasure: Erasure) -> None:
        """Remove what lies before the erasure's positions, and remember that, but not the id."""
        key = customer.encode()
        chunks = self._chunks(transaction, key)
        kept = without_erased(unpack(value for _, value in chunks), erasure)
        self._put(transaction, key, chunks, list(pack(kept)))
        notes = self._read_notes(transaction, key)
        unusable = [m for m in notes.unusable if not erasure.hides(m.partition, m.offset)]
        voids = [v for v in notes.voids if not erasure.hides(v.partition, v.offset)]
        self._put_notes(transaction, key, Notes(unusable, voids))
        transaction.put(name_of(customer, self._salt), _encode(erasure), db=self._erased)


def _place(key: bytes, number: int) -> bytes:
    return key + b"\0" + number.to_bytes(_NUMBER)

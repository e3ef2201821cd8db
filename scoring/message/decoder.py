"""JSON messages to the two canonical tables, strictly and exactly: numbers stay the text that they were sent as."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import polars as pl
from msgspec import UNSET

from features.carried import Carried
from features.spec.contract import Spec
from scoring.message.framing import is_framed
from scoring.message.json_cells import MessageCells
from scoring.message.refusal_codes import CODES
from scoring.message.shape import Application, Event, Lacking, RawApplication

SCHEMA_VERSION = 1
_OPENINGS = (b"[", b"{")
_WHERE = re.compile(r" - at `\$([^`]*)`$")
_STEP = re.compile(r"\.(\w+)|\[([0-9]+)\]")
_WRAPPED = {b"\xef\xbb\xbf": "message_bom", b"\x1f\x8b": "message_gzip"}
_VALIDATION = {
    "Object contains unknown field": "field_unknown",
    "Object missing required field": "field_missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a message was not scored: a code of the closed list, where (RFC 6901), and what was expected; no value."""

    code: str
    pointer: str
    expected: str

    @classmethod
    def of(cls, code: str, pointer: str = "") -> "Refusal":
        """Make a refusal with the text that belongs to its code."""
        return cls(code=code, pointer=pointer, expected=CODES[code])


_FIELDS, _FIELDS_OF_EVENT, _FIELDS_OF_HISTORY = 4, 3, 3  # that are always there; `history` itself and two in it
_LARGE = 16 << 10  # bytes; a list in the place of a cell may hold hundreds of thousands


class _RefusedError(Exception):
    def __init__(self, code: str, pointer: str = "") -> None:
        super().__init__(code)
        self.refusal = Refusal.of(code, pointer)


@dataclass(frozen=True)
class Decoded:
    """`places[i]` is the row of message i among the applications that were carried, or why it has none.

    `lacking`: those whose events are to be looked up.
    """

    places: list[int | Refusal]
    carried: Carried
    lacking: tuple[Lacking, ...] = ()

    @property
    def applications(self) -> pl.DataFrame:
        """The canonical table of applications."""
        return self._frames[0]

    @property
    def events(self) -> pl.DataFrame:
        """The canonical table of events, with their `application_row`."""
        return self._frames[1]

    @cached_property
    def _frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return self.carried.frames()


class MessageDecoder:
    """Decodes messages of one spec. Safe to share between threads."""

    def __init__(self, spec: Spec, *, history: bool = False) -> None:
        """Prepare the columns of the spec. `history`: events may lack, since they can be looked up."""
        self._looks_up = history and bool(spec.groups)
        self._events_may_lack = history or not spec.groups
        self._names = [attribute.name for attribute in spec.attributes]
        self._known = frozenset(self._names)
        self._cells = MessageCells(spec)
        self._decoder = msgspec.json.Decoder(Application, float_hook=self._cells.number)  # a number stays its text
        self._raw = msgspec.json.Decoder(RawApplication)

    def decode(self, messages: Sequence[bytes]) -> Decoded:
        """Decode in bulk. Nothing in a message raises."""
        table = _Columns(self._names, self._cells)
        places: list[int | Refusal] = []
        for message in messages:
            try:
                application = self._parse(message)
                self._check(application, message)
                places.append(table.add(application))
            except _RefusedError as error:
                places.append(error.refusal)
        return Decoded(places, table.carried(), table.lacking() if self._looks_up else ())

    def _check(self, application: Application, message: bytes) -> None:
        attributes, events = application.attributes, application.carried
        if application.schema_version not in (UNSET, SCHEMA_VERSION):
            raise _RefusedError("message_version_unknown", "/schema_version")
        if application.events is UNSET and not self._events_may_lack:
            raise _RefusedError("field_missing")
        if application.history is not UNSET and (application.events is not UNSET or not self._looks_up):
            raise _RefusedError("history_unexpected", "/history")
        if attributes.keys() - self._known:
            raise _RefusedError("field_unknown", "/attributes")
        for name, value in attributes.items():
            if not self._cells.is_cell(name, value):
                raise _RefusedError("field_wrong_type", f"/attributes/{escape(name)}")
        if not self._cells.types.issuperset({type(event.amount) for event in events}):
            wrong = next(i for i, event in enumerate(events) if type(event.amount) not in self._cells.types)
            raise _RefusedError("field_wrong_type", f"/events/{wrong}/amount")
        if not _has_each_field_once(application, message):
            _look_closely(message)

    def _parse(self, message: bytes) -> Application:
        try:
            if not message.isascii():
                message.decode()
            if len(message) > _LARGE:
                _refuse_containers(self._raw.decode(message))
            return self._decoder.decode(message)
        except UnicodeDecodeError:
            code, pointer = _wrapped(message) or "message_not_utf8", ""
        except RecursionError:
            code, pointer = "message_too_deep", ""
        except msgspec.ValidationError as error:
            code, pointer = _place(str(error))
        except (msgspec.DecodeError, ValueError):  # a number of thousands of digits is a ValueError
            code, pointer = _wrapped(message) or "message_not_json", ""
        raise _RefusedError(code, pointer)


def _wrapped(message: bytes) -> str | None:
    """Return the code for what is no JSON since something stands in front of it, or around it."""
    if is_framed(message):
        return "message_framed"
    return next((code for start, code in _WRAPPED.items() if message.startswith(start)), None)


def _refuse_containers(application: RawApplication) -> None:
    """Refuse what is no cell before it is built, which would take a hundred times as long as to pass over it."""
    for name, cell in application.attributes.items():
        if bytes(memoryview(cell)[:1]) in _OPENINGS:
            raise _RefusedError("field_wrong_type", f"/attributes/{escape(name)}")
    for number, event in enumerate(application.events):
        if bytes(memoryview(event.amount)[:1]) in _OPENINGS:
            raise _RefusedError("field_wrong_type", f"/events/{number}/amount")


def _place(text: str) -> tuple[str, str]:
    """Take code and pointer from the text of a validation error, which may name fields and values of the sender."""
    where = _WHERE.search(text)
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(where[1] if where else ""))
    for beginning, code in _VALIDATION.items():
        if text.startswith(beginning):
            return code, pointer
    return "field_wrong_type", pointer


class _Columns:
    """The cells of both tables, column by column."""

    def __init__(self, names: list[str], cells: MessageCells) -> None:
        self._names, self._cells = names, cells
        self._applications: list[Application] = []
        self._events: list[Event] = []

    def add(self, application: Application) -> int:
        self._applications.append(application)
        self._events += application.carried
        return len(self._applications) - 1

    def carried(self) -> Carried:
        rows, events = self._applications, self._events
        attributes = [row.attributes for row in rows]
        applications = {
            "application_id": [row.application_id for row in rows],
            "customer_id": [row.customer_id for row in rows],
            "as_of": [row.as_of for row in rows],
            **{name: self._cells.texts(name, [own.get(name) for own in attributes]) for name in self._names},
        }
        carried = {
            "occurred_at": [event.occurred_at for event in events],
            "kind": [event.kind for event in events],
            "amount": self._cells.amounts([event.amount for event in events]),
        }
        late = [event.recorded_at or None for event in events]
        if any(late):
            carried["recorded_at"] = late
        return Carried(applications, carried, [len(row.carried) for row in rows])

    def lacking(self) -> tuple[Lacking, ...]:
        return tuple(
            Lacking(row, a.customer_id, a.as_of, None if a.history is UNSET else a.history)
            for row, a in enumerate(self._applications)
            if a.events is UNSET
        )


def escape(name: str) -> str:
    """Escape a name for a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _has_each_field_once(application: Application, message: bytes) -> bool:
    """Tell by counting, without looking into texts: names stand before `":`, and without escapes nothing else does."""
    if b"\\" in message:
        return False
    events = application.carried
    late = sum([event.recorded_at is not UNSET for event in events])
    optional = (application.schema_version is not UNSET) + (application.events is not UNSET)
    optional += _FIELDS_OF_HISTORY * (application.history is not UNSET)
    fields = _FIELDS + len(application.attributes) + optional + _FIELDS_OF_EVENT * len(events) + late
    return message.translate(None, b" \t\r\n").count(b'":') == fields


def _look_closely(message: bytes) -> None:
    """Refuse what the quick look cannot exclude: repeated fields and the character NUL, perhaps written as escapes."""

    def unique(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise _RefusedError("field_repeated")
        if any("\0" in text for pair in pairs for text in pair if isinstance(text, str)):
            raise _RefusedError("message_nul_character")

    try:
        json.loads(message, object_pairs_hook=unique, parse_int=str, parse_float=str)
    except RecursionError:  # what a repeated field hides may be as deep as the quick look just bore
        raise _RefusedError("message_too_deep") from None

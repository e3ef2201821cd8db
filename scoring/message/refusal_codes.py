"""The closed list of codes with which a message can be refused before features see it; the others are reject codes."""

from features.rejects import EXPECTED

MESSAGE_EXPECTED = {
    "message_not_utf8": "UTF-8 text",
    "message_not_json": "one JSON object as RFC 8259 has it, without NaN, lone surrogates or text behind it",
    "message_tombstone": "an application; a record without a value deletes elsewhere, and decides nothing here",
    "message_framed": "JSON from its first byte on. This begins with the frame of a schema registry (a zero byte and a "
    "schema id): run the stream's worker with --framed-json, which takes it off, or have the producer send none",
    "message_bom": "UTF-8 text without a byte order mark in front",
    "message_gzip": "the text itself; gzip it by the producer's compression.type, if at all, not by hand",
    "message_too_deep": "at most the nesting of the schema: objects in a list in an object",
    "message_nul_character": "text without the character U+0000",
    "message_version_unknown": "schema_version 1, or none",
    "field_missing": "the fields application_id, customer_id, as_of, attributes and events, each there; events may "
    "lack only where the door has a history store, or the spec no RFM groups",
    "field_unknown": "only fields of the schema; print it with `credit bundle schema`",
    "field_repeated": "each field once",
    "field_wrong_type": "the type of the schema: text or null for ids, instants and kinds, a number, text or null for "
    "attributes and amounts",
    "history_unexpected": "`history` only where the door has a history store and the application carries no events",
    "events_too_many": "fewer events in one window than exact sums are guaranteed for (922,337)",
}
HISTORY_EXPECTED = {
    "history_behind": "a history store that is up to date; try again later",
    "history_incomplete": "an application whose longest window the history store covers; see docs/history.md",
    "history_too_long": "at most 200,000 events of the customer in the history store; 4,000 in a stream with receipts",
}
CODES = {**MESSAGE_EXPECTED, **HISTORY_EXPECTED, **EXPECTED}

"""One application as JSON: its schema, its decoder, and its decision as a line of JSON."""

from scoring.message.contract import check_same_contract
from scoring.message.decoder import MessageDecoder, Refusal
from scoring.message.found_histories import Found, Used, Watermark, completed, read_watermark
from scoring.message.framing import unframed
from scoring.message.from_tables import encode_events, encode_messages, every_column, to_messages
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.message.refusal_codes import CODES
from scoring.message.schema import application_schema, decision_json_schema, event_schema, example_application
from scoring.message.shape import Lacking

__all__ = [
    "CODES",
    "Answer",
    "Found",
    "Lacking",
    "MessageDecoder",
    "MessageScorer",
    "Refusal",
    "Used",
    "Watermark",
    "application_schema",
    "check_same_contract",
    "completed",
    "decision_json_schema",
    "encode_events",
    "encode_messages",
    "event_schema",
    "every_column",
    "example_application",
    "read_watermark",
    "to_messages",
    "unframed",
]

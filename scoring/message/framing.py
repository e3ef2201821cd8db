"""The frame that serializers of a schema registry (Confluent's and its kin) put before a body: 0, then a schema id."""

FRAME_BYTES = 5  # a zero byte, and the id as four bytes
_MAGIC = 0
_MOST_ID_BYTE = 0x20  # ids count from 1; a larger first byte is a letter of UTF-16 text


def is_framed(message: bytes) -> bool:
    """Return whether a message begins with a frame. No JSON text begins with a zero byte."""
    return len(message) > FRAME_BYTES and message[0] == _MAGIC and message[1] < _MOST_ID_BYTE


def unframed(message: bytes) -> bytes:
    """Return the body of a message that has a frame, and any other message as it is."""
    return message[FRAME_BYTES:] if is_framed(message) else message

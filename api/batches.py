"""The body of a batch: a JSON array, split into the bytes of its elements."""

import msgspec

from api.problems import Response, problem

MOST_IN_BATCH = 1000


def split_batch(body: bytes, request_id: str, most_bytes: int) -> list[bytes] | Response:
    """Split a JSON array into the bytes of its elements, of at most `most_bytes`, which are checked one by one later.

    Reading stops at the first element too many: millions of tiny ones would take fifty times the memory of the body.
    """
    try:
        elements = [e for e in msgspec.structs.astuple(_BATCH.decode(body)) if e is not msgspec.UNSET]
    except msgspec.ValidationError as error:
        return problem("batch_too_long" if "length" in str(error) else "batch_unreadable", request_id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problem("batch_unreadable", request_id)
    if any(len(memoryview(element)) > most_bytes for element in elements):
        return problem("batch_element_too_large", request_id)
    return [bytes(element) for element in elements]


_BATCH = msgspec.json.Decoder(
    msgspec.defstruct(
        "Batch",
        [(f"e{number}", msgspec.Raw, msgspec.UNSET) for number in range(MOST_IN_BATCH)],
        array_like=True,
        forbid_unknown_fields=True,
    )
)

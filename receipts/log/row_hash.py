"""The hash of a row: what the chain is made of, so that one row's content can go and the chain still holds.

SHA-256 over these bytes, one after the other (docs/log.md says the same for programs in other languages):

    nonce    16 random bytes, the column `nonce`, without which a removed row could be confirmed by guessing
    fixed    Float32 columns: 4 bytes, little-endian. Int32, Int64 and instants (microseconds): 01 and int64
             little-endian, or nine bytes 00 for null. In the order of the columns
    reasons  one byte, their number; then four times 37 bytes: SHA-256 of code and text, each as a text (below),
             contribution as float32, weak as 00 or 01; 00 where there is no such reason
    texts    String columns in their order: length in bytes in decimal, ':', UTF-8; or '-' for null
"""

import hashlib
import os
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scoring.reasons import MOST_REASONS

NONCE = "nonce"
HASH_BYTES = 32
_NONCE_BYTES = 16
_CHUNK_ROWS = 1 << 14  # what fits into the processor's cache
_REASON_BYTES = HASH_BYTES + 4 + 1

Bytes = NDArray[np.uint8]


def with_nonce(receipts: pl.DataFrame) -> pl.DataFrame:
    """Add the column `nonce`, from the system's source of randomness."""
    content = os.urandom(_NONCE_BYTES * receipts.height)
    nonces = [content[i : i + _NONCE_BYTES] for i in range(0, len(content), _NONCE_BYTES)]
    return receipts.with_columns(pl.Series(NONCE, nonces, dtype=pl.Binary))


def row_hashes(receipts: pl.DataFrame) -> bytes:
    """Return the hashes of rows that have a nonce, 32 bytes each, one after the other."""
    return b"".join(_hashes(receipts[start : start + _CHUNK_ROWS]) for start in range(0, receipts.height, _CHUNK_ROWS))


def _hashes(receipts: pl.DataFrame) -> bytes:
    nonces = receipts[NONCE].to_list()
    fixed, width = _fixed(receipts)
    texts = receipts.select(
        pl.concat_str([text_form(pl.col(name)) for name, kind in receipts.schema.items() if kind == pl.String])
    )
    sha256 = hashlib.sha256
    return b"".join(
        [
            sha256(nonce + fixed[start : start + width] + text.encode()).digest()
            for nonce, start, text in zip(nonces, range(0, len(fixed), width), texts.to_series(), strict=True)
        ]
    )


def text_form(text: pl.Expr) -> pl.Expr:
    """Write a text so that texts behind one another cannot be read in two ways: `5:hello`, or `-` for null."""
    return pl.format("{}:{}", text.str.len_bytes(), text).fill_null("-")


def _fixed(receipts: pl.DataFrame) -> tuple[bytes, int]:
    parts: list[Bytes] = []
    for floats, columns in groupby(receipts.schema.items(), lambda column: column[1] == pl.Float32):
        names = [name for name, kind in columns if floats or kind.is_integer() or kind.is_temporal()]
        if floats:
            parts.append(_bytes_of(receipts.select(names).to_numpy(order="c").astype("<f4", copy=False)))
            continue
        for name in names:
            whole = receipts[name].to_physical().cast(pl.Int64)
            parts += [_bytes_of(whole.is_not_null().to_numpy()), _bytes_of(whole.fill_null(0).to_numpy().astype("<i8"))]
    parts.append(reason_bytes(receipts["reasons"]))
    joined = np.empty((receipts.height, sum(part.shape[1] for part in parts)), dtype=np.uint8)
    at = 0
    for part in parts:
        joined[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return joined.tobytes(), joined.shape[1]


def _bytes_of(values: NDArray[np.generic]) -> Bytes:
    width = values.itemsize * (values.shape[1] if values.ndim == 2 else 1)
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), width)


def reason_bytes(reasons: pl.Series) -> Bytes:
    """Return the bytes of the reasons of each row, as they are hashed; equal where the reasons are, bit for bit."""
    counts = reasons.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = reasons.filter(pl.Series(counts > 0)).explode().struct.unnest()
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    slots = np.zeros((len(counts), MOST_REASONS, _REASON_BYTES), dtype=np.uint8)
    slots[owner, place, :HASH_BYTES] = _words(flat)
    slots[owner, place, HASH_BYTES:-1] = _bytes_of(flat["contribution"].to_numpy().astype("<f4"))
    slots[owner, place, -1] = flat["weak"].to_numpy()
    numbers = counts.astype(np.uint8).reshape(-1, 1)
    return np.concatenate([numbers, slots.reshape(len(counts), MOST_REASONS * _REASON_BYTES)], axis=1)


def _words(flat: pl.DataFrame) -> Bytes:
    """Return the hash of code and text of each reason. There are few different ones, so each is hashed once."""
    code, text = (
        flat[name].cast(pl.Categorical).to_physical().to_numpy().astype(np.int64) for name in ("code", "text")
    )
    _, first, which = np.unique((code << 32) | text, return_index=True, return_inverse=True)
    words = flat[first].select(pl.concat_str(text_form(pl.col("code")), text_form(pl.col("text")))).to_series()
    hashes = b"".join(hashlib.sha256(word.encode()).digest() for word in words)
    return np.frombuffer(hashes, dtype=np.uint8).reshape(-1, HASH_BYTES)[which]

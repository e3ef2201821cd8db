"""Text of a declared encoding as UTF-8, piece by piece; and what bytes are that are no CSV file at all."""

import codecs
from collections.abc import Iterable, Iterator

from features.dialect import UTF_8
from features.errors import InputError

_CONTENT = {
    b"\x1f\x8b": ("gzip", ".csv.gz"),
    b"\x28\xb5\x2f\xfd": ("zstd", ".csv.zst"),
    b"PAR1": ("Parquet", ".parquet"),
}


def in_utf8(chunks: Iterable[bytes], encoding: str, source: str) -> Iterator[bytes]:
    """Yield the text as UTF-8. `source` names the file in messages; UTF-8 is passed on as it is, unchecked.

    Raises:
        InputError: it is not of this encoding, is UTF-8 instead, or the file is another kind of file.

    """
    pieces = _checked_kind(chunks, source)
    yield from pieces if encoding == UTF_8 else _decoded(pieces, encoding, source)


def _checked_kind(chunks: Iterable[bytes], source: str) -> Iterator[bytes]:
    first = True
    for chunk in chunks:
        for magic, (kind, suffix) in _CONTENT.items() if first else ():
            if chunk.startswith(magic):
                raise InputError(f"{source}: holds {kind}, not CSV. Let its name end in {suffix}.")
        first = False
        yield chunk


def _decoded(chunks: Iterable[bytes], encoding: str, source: str) -> Iterator[bytes]:
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    wrong = _PerhapsUtf8()
    try:
        for chunk in chunks:
            wrong.look(chunk)
            text = decoder.decode(chunk)
            line += text.count("\n")
            yield text.encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise InputError(
            f"{source}: behind line {line} is something that is not {encoding}. Declare the encoding in which the file "
            "was written, or convert it to UTF-8 where it is made."
        ) from error
    if wrong.surely:
        raise InputError(
            f"{source}: is UTF-8, declared as {encoding}: letters would be read wrongly. Leave the declaration of the "
            "encoding out."
        )


class _PerhapsUtf8:
    """Whether bytes that are declared as something else are UTF-8: more than ASCII, and all of it well formed."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(UTF_8)()
        self._well_formed, self._ascii = True, True

    def look(self, chunk: bytes) -> None:
        self._ascii = self._ascii and chunk.isascii()
        if self._well_formed and not self._ascii:
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self._well_formed = False

    @property
    def surely(self) -> bool:
        return self._well_formed and not self._ascii

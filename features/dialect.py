"""What a CSV file is written in where it is not comma and UTF-8, as a spec or a command line declares it."""

import codecs
import re
from dataclasses import dataclass

from features.errors import SpecError

__all__ = ["UTF_8", "Dialect", "declared", "likely_encoding", "likely_separators", "name_of"]

UTF_8 = "utf-8"
_SEPARATORS = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "vertical bar",
    ":": "colon",
    "^": "caret",
    "~": "tilde",
}
_WORDS = {"tab": "\t", r"\t": "\t"}
_ENCODINGS = re.compile(
    r"utf-?8|utf-(16|32)(-[lb]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-roman|shift_jis|euc_(jp|kr)|gb\w+|big5"
)
_WINDOWS = re.compile(rb"[\x80-\x9f]")  # no letters in Latin-1


@dataclass(frozen=True, slots=True)
class Dialect:
    """`separator` stands between fields; `encoding` is a codec of Python, by its own name."""

    separator: str = ","
    encoding: str = UTF_8

    @property
    def separator_name(self) -> str:
        """The separator in words: semicolon."""
        return _SEPARATORS[self.separator]


@dataclass(frozen=True, slots=True)
class InstantForms:
    """Forms of instants (see `features.cells.date_forms`) beside ISO 8601, empty where there is none; and their zone.

    `utc_offset_minutes`: of times of day that say no zone, east of UTC.
    """

    as_of: str = ""
    occurred_at: str = ""
    recorded_at: str = ""
    utc_offset_minutes: int = 0


def _separator_of(text: str) -> str:
    separator = _WORDS.get(text, text)
    if separator not in _SEPARATORS:
        raise SpecError(f'separator: expected one of , ; | : ^ ~ or "tab", found {text!r}.')
    return separator


def _encoding_of(text: str) -> str:
    """Return the codec under the one name by which it is known here."""
    try:
        name = codecs.lookup(text).name
    except LookupError:
        name = ""
    if not _ENCODINGS.fullmatch(name):
        raise SpecError(f'encoding: expected one such as "utf-8", "latin-1", "cp1252" or "utf-16", found {text!r}.')
    return name


def declared(separator: str | None, encoding: str | None, otherwise: Dialect) -> Dialect:
    """Return `otherwise` with what is declared instead.

    Raises:
        SpecError: it is no separator or encoding; begins with which of the two.

    """
    return Dialect(
        otherwise.separator if separator is None else _separator_of(separator),
        otherwise.encoding if encoding is None else _encoding_of(encoding),
    )


def likely_encoding(content: bytes) -> str:
    """Guess, for a message, what bytes are written in that are not UTF-8; empty where they are, up to a cut end."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(content)
    except UnicodeDecodeError:
        return "cp1252" if _WINDOWS.search(content) else "latin-1"
    return ""


def likely_separators(header: str, than: str) -> list[str]:
    """List the other separators that occur in a header line, likeliest first."""
    return [s for s in _SEPARATORS if s != than and s in header and s not in ":^~"]


def name_of(separator: str) -> str:
    """Name a separator in words."""
    return _SEPARATORS[separator]

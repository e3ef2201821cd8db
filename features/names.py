"""Names of columns and classes as words: `Personal.Status`, `personal_status` and `PersonalStatus` are two words."""

import re
import unicodedata

_JOINTS = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])")
_WORD = re.compile(r"[^\W_]+")
_LONGEST_NAME = 60


def words(name: str) -> tuple[str, ...]:
    """Split a name into words, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("Ł", "L"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(word.casefold() for word in _WORD.findall(_JOINTS.sub(" ", unicodedata.normalize("NFC", plain))))


def quoted(name: str) -> str:
    """Quote a name as words: whatever they are, the sentence around them stays grammatical."""
    return f"\u201c{readable(name)}\u201d"


def readable(name: str) -> str:
    """Say a name as words in a sentence: `MonthlyIncome` -> monthly income; FICO and the like keep their capitals."""
    parts = _WORD.findall(_JOINTS.sub(" ", "".join(c if c.isprintable() else " " for c in name)))
    shouted = all(part == part.upper() for part in parts) and (len(parts) > 1 or len(name) > 4)
    kept = [part if part == part.upper() and len(part) > 1 and not shouted else part.lower() for part in parts]
    return " ".join(kept)[:_LONGEST_NAME].strip() or "this value"

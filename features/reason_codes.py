"""Reason codes: which feature belongs to which code, and what an applicant is told. Read from the spec.

    [reasons.ENQUIRIES]
    of = ["credit_enquiries"]
    high = "Many credit enquiries were made about you."
    low = "Few credit enquiries were made about you."
    missing = "We do not know how many credit enquiries were made about you."
    unusable = "The number of credit enquiries that was given could not be used."
    codes = { "-9" = "The credit bureau has no file about you." }

A dictionary in another language is a file of its own with the same codes and exceptions, without `of`.
"""

import re
import tomllib
from dataclasses import dataclass, replace

from features.errors import SpecError
from features.matrix import list_features
from features.names import quoted
from features.spec.contract import Feature, ReasonCode, ReasonTexts, Spec
from features.spec.toml_table import Table, errors_of
from features.why_missing import told_codes

__all__ = ["LONGEST_TEXT", "complete_reasons", "lacks_unusable", "translate", "unusable_text"]

LONGEST_TEXT = 200
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NAMED = 5  # features that a message names
_TEXTS = ("high", "low", "missing", "unusable", "codes")


@dataclass(frozen=True, slots=True)
class FeatureReason:
    """The code and the texts of one feature."""

    feature: str
    code: str
    texts: ReasonTexts


def read_language(root: Table) -> str:
    """Read `language`, English where it is not given.

    Raises:
        SpecError: not a language tag.

    """
    language = root.text("language", "en")
    if not _LANGUAGE.fullmatch(language):
        raise SpecError(f"{root.key('language')}: expected a language tag, as in en or de-CH.")
    return language


def read_reasons(root: Table) -> tuple[ReasonCode, ...]:
    """Read the tables `reasons.CODE` of a spec; a spec without any is read, but not exported.

    Raises:
        SpecError: a code or text is missing or unusable; names the key.

    """
    return tuple(_reason(code, table, table.texts("of")) for code, table in _codes(root))


def translate(spec: Spec, text: str, source: str) -> Spec:
    """Return the spec with the texts of a dictionary in another language (TOML). `source` is named in errors.

    Raises:
        SpecError: the file is not TOML, lacks a code or an exception of the spec, or has one that the spec has not.

    """
    with errors_of(source):
        root = Table("", tomllib.loads(text))
        root.allow(["language", "reasons"])
        root.text("language")
        tables = dict(_codes(root))
        _check_same("reasons", set(tables), {reason.code for reason in spec.reasons})
        translated = tuple(_reason(r.code, tables[r.code], r.members, translation=True) for r in spec.reasons)
        for ours, theirs in zip(spec.reasons, translated, strict=True):
            wanted, found = ({selector for selector, _ in reason.exceptions} for reason in (ours, theirs))
            _check_same(f"reasons.{ours.code}.except", found, wanted)
        return replace(spec, language=read_language(root), reasons=translated)


def _check_same(key: str, found: set[str], wanted: set[str]) -> None:
    for name in sorted(wanted - found):
        raise SpecError(f"{key}.{name}: missing. The spec has it, so the dictionary needs its texts.")
    for name in sorted(found - wanted):
        raise SpecError(f"{key}.{name}: the spec does not have it. Remove it, or correct its name.")


def _codes(root: Table) -> list[tuple[str, Table]]:
    tables = root.table("reasons", optional=True)
    seen: dict[str, str] = {}
    for code in tables.values:
        if not _CODE.fullmatch(code):
            raise SpecError(f"{tables.key(code)}: expected a code of up to 40 letters, digits, _ and -.")
        if code.lower() in seen:
            raise SpecError(f"{tables.key(code)}: the same code as {seen[code.lower()]}. Give each code once.")
        seen[code.lower()] = code
    return [(code, tables.table(code)) for code in tables.values]


def _reason(code: str, table: Table, members: tuple[str, ...], *, translation: bool = False) -> ReasonCode:
    table.allow([*_TEXTS, "except", *([] if translation else ["of"])])
    if not members:
        raise SpecError(f"{table.key('of')}: expected attributes, RFM groups or features, found none.")
    texts = _texts(table, None)
    exceptions = table.table("except", optional=True)
    found = []
    for selector in exceptions.values:
        exception = exceptions.table(selector)
        exception.allow(_TEXTS)
        found.append((selector, _texts(exception, texts)))
    return ReasonCode(code=code, members=members, texts=texts, exceptions=tuple(found))


def _texts(table: Table, default: ReasonTexts | None) -> ReasonTexts:
    return ReasonTexts(
        high=_text(table, "high", default.high if default else None),
        low=_text(table, "low", default.low if default else None),
        missing=_text(table, "missing", default.missing if default else None),
        unusable=_text(table, "unusable") if "unusable" in table.values else default.unusable if default else None,
        codes=tuple({**dict(default.codes if default else ()), **_code_texts(table)}.items()),
    )


def _code_texts(table: Table) -> dict[str, str]:
    codes = table.table("codes", optional=True)
    return {token: _text(codes, token) for token in codes.values}


def _text(table: Table, name: str, default: str | None = None) -> str:
    text = table.text(name, default)
    if not text or text != text.strip() or not text.isprintable():
        raise SpecError(f"{table.key(name)}: expected a sentence on one line, without white space around it.")
    if len(text) > LONGEST_TEXT:
        raise SpecError(f"{table.key(name)}: {len(text)} characters, expected at most {LONGEST_TEXT}.")
    return text


def assign_reasons(spec: Spec) -> dict[str, FeatureReason]:
    """Return code and texts by feature. The closest selector wins: a feature's name, its beginning, its source.

    Raises:
        SpecError: a name selects nothing (a beginning with * may), or a feature has two codes.

    """
    features = list_features(spec)
    _check_selectors(spec, features)
    assigned = {}
    for feature in features:
        for reason in _closest(feature, spec):
            assigned[feature.name] = FeatureReason(feature.name, reason.code, _texts_of(feature, reason))
    return assigned


def _closest(feature: Feature, spec: Spec) -> list[ReasonCode]:
    """Return the code that means a feature most closely, if any does."""
    claims = [(max(_closeness(selector, feature) for selector in reason.members), reason) for reason in spec.reasons]
    closest = max((closeness for closeness, _ in claims), default=0)
    best = [reason for closeness, reason in claims if closeness == closest > 0]
    if len(best) > 1:
        codes = " and ".join(reason.code for reason in best)
        raise SpecError(f"reasons: {feature.name} has two codes, {codes}. Name it in one of them.")
    return best


def _closeness(selector: str, feature: Feature) -> int:
    """Return how closely a selector means a feature, 0 if it does not."""
    if selector == feature.name:
        return 1000
    if selector.endswith("*") and feature.name.startswith(selector[:-1]):
        return 1 + len(selector)
    return int(selector == feature.source)


def _texts_of(feature: Feature, reason: ReasonCode) -> ReasonTexts:
    closest = max(reason.exceptions, key=lambda exception: _closeness(exception[0], feature), default=None)
    return closest[1] if closest and _closeness(closest[0], feature) else reason.texts


def _check_selectors(spec: Spec, features: list[Feature]) -> None:
    for reason in spec.reasons:
        own = [f for f in features if any(_closeness(member, f) for member in reason.members)]
        selectors = [("of", member, features) for member in reason.members]
        selectors += [("except", selector, own) for selector, _ in reason.exceptions]
        for key, selector, among in selectors:
            if not selector.endswith("*") and not any(_closeness(selector, feature) for feature in among):
                raise SpecError(
                    f"reasons.{reason.code}.{key}: {selector!r} is no attribute, RFM group or feature"
                    f"{' of this code' if key == 'except' else ''}. Features are listed by `credit features`."
                )
        _check_tokens(reason, {feature.source for feature in own}, spec)


def _check_tokens(reason: ReasonCode, sources: set[str], spec: Spec) -> None:
    """Check that what has words as a code is a missing token, as it is declared, of an attribute of the reason."""
    known = {token for a in spec.attributes if a.name in sources for token in a.missing_tokens}
    texts = [reason.texts, *(own for _, own in reason.exceptions)]
    for token in (token for text in texts for token, _ in text.codes):
        if token not in known:
            raise SpecError(
                f"reasons.{reason.code}.codes: {token!r} is no missing token of its attributes. Add it to their "
                "missing_tokens, in the same spelling, or remove it here."
            )


def complete_reasons(spec: Spec) -> list[FeatureReason]:
    """Return code and texts of every feature, in the order of the matrix; `unusable` and `codes` of attributes alone.

    Raises:
        SpecError: a feature has no code; names it.

    """
    assigned = assign_reasons(spec)
    names = [feature.name for feature in list_features(spec)]
    lacking = [name for name in names if name not in assigned]
    if lacking:
        named = ", ".join(lacking[:_NAMED]) + (f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else "")
        raise SpecError(
            f"reasons: no code for {named}. A refused applicant must be told why, so every feature needs one: name it, "
            "its attribute or its RFM group in `of` of a table [reasons.CODE] with texts high, low and missing."
        )
    told = {attribute.name: told_codes(attribute, spec) for attribute in spec.attributes}
    return [_resolved(assigned[feature.name], feature.source, told, spec.language) for feature in list_features(spec)]


def lacks_unusable(spec: Spec) -> list[str]:
    """Return the codes of attributes that do not say what is told of a value that cannot be used, in no known way."""
    named = {attribute.name for attribute in spec.attributes}
    reasons, features = complete_reasons(spec), list_features(spec)
    pairs = [r for r, feature in zip(reasons, features, strict=True) if feature.source in named]
    return sorted({reason.code for reason in pairs if reason.texts.unusable is None})


def _resolved(reason: FeatureReason, source: str, told: dict[str, tuple[str, ...]], language: str) -> FeatureReason:
    """Say in a general way what a spec in English does not say of a value that cannot be used."""
    texts = reason.texts
    if source not in told:
        return replace(reason, texts=replace(texts, unusable=None, codes=()))
    english = language.split("-", maxsplit=1)[0].lower() == "en"
    unusable = unusable_text(source) if texts.unusable is None and english else texts.unusable
    codes = tuple((token, dict(texts.codes).get(token, texts.missing)) for token in told[source])
    return replace(reason, texts=replace(texts, unusable=unusable, codes=codes))


def unusable_text(name: str) -> str:
    """Say of any attribute, in English, that a value was given and could not be used."""
    return f"What was stated for {quoted(name)} could not be used."

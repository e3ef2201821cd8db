"""The reason dictionary of a drafted spec: usable as it stands, and marked for a person to say it better."""

import re
from collections.abc import Iterator

from features.names import quoted
from features.reason_codes import unusable_text
from features.spec.contract import Attribute, Spec
from features.spec.toml_table import toml_text

_SIGNS = re.compile(r"[-+.,:/ T%]")
_BESIDE, _BESIDE_MOST = " compared with well rated applicants.", " than for most well rated applicants."


def draft_reasons(spec: Spec) -> Iterator[str]:
    """Yield the lines of one code per attribute and one per RFM group of a spec that has none yet."""
    yield "# EDIT: what a refused applicant is told. Every feature needs a code; contributions under one code are"
    yield "# added, and those that spoke against the applicant most become the reasons. The text is chosen by the value"
    yield "# against the median of the applicants rated best. Say it in words that an applicant understands; join"
    yield "# in `of` what belongs together."
    codes: list[str] = []
    for attribute in spec.attributes:
        code = _code(attribute.name, codes)
        yield from (*_table(code, attribute.name, _attribute_texts(attribute))[:-1], *_without_use(attribute), "")
    for group in spec.groups:
        code, what = _code(group.name, codes), quoted(group.name.removeprefix("events "))
        yield from _table(code, group.name, _group_texts(what))
        yield from _exception(code, f"{group.name}_days_since_last_*", _recency_texts(what))
        yield from _exception(code, f"{group.name}_count_*", _frequency_texts(what))


def _attribute_texts(attribute: Attribute) -> tuple[str, str, str]:
    """Say what is true of any value, of one that was never given, and of one that was given and is no use."""
    name = quoted(attribute.name)
    missing = f"No value was stated for {name}."
    if attribute.kind == "date":
        far, near = f"The date for {name} lies far back", f"The date for {name} is recent"
    elif attribute.kind == "duration":
        far, near = f"The time for {name} is long", f"The time for {name} is short"
    elif attribute.kind == "boolean":
        return (f"The answer to {name} counted against you.",) * 2 + (missing,)
    elif attribute.values and not attribute.ordered:
        return (f"What was stated for {name} counted against you.",) * 2 + (missing,)
    else:
        far, near = f"The value for {name} is high", f"The value for {name} is low"
    return (f"{far}{_BESIDE}", f"{near}{_BESIDE}", missing)


def _without_use(attribute: Attribute) -> Iterator[str]:
    yield f"unusable = {toml_text(unusable_text(attribute.name))}"
    for token in filter(_is_code, attribute.missing_tokens):
        text = f"For {quoted(attribute.name)} the code {token.strip()} was reported, which stands for no value."
        yield f"codes.{toml_text(token)} = {toml_text(text)} # EDIT: what this code means"


def _is_code(token: str) -> bool:
    """Tell a number or a date that stands for no value from a word that does."""
    return _SIGNS.sub("", token).isdigit()


def _group_texts(what: str) -> tuple[str, str, str]:
    return (
        f"By movements of the kind {what}, more money came into your account or less went out{_BESIDE_MOST}",
        f"By movements of the kind {what}, less money came into your account or more went out{_BESIDE_MOST}",
        f"We saw no movement of the kind {what} on your account in the last months.",
    )


def _recency_texts(what: str) -> tuple[str, str, str]:
    return (
        f"The last movement of the kind {what} on your account was long ago{_BESIDE}",
        f"The last movement of the kind {what} on your account was recent{_BESIDE}",
        f"We saw no movement of the kind {what} on your account in the last year.",
    )


def _frequency_texts(what: str) -> tuple[str, str, str]:
    return (
        f"Movements of the kind {what} were frequent on your account{_BESIDE}",
        f"Movements of the kind {what} were rare on your account{_BESIDE}",
        f"We saw no movement of the kind {what} on your account in the last months.",
    )


def _table(code: str, member: str, texts: tuple[str, str, str]) -> list[str]:
    return [f"[reasons.{code}]", f"of = [{toml_text(member)}]", *_lines(texts)]


def _exception(code: str, selector: str, texts: tuple[str, str, str]) -> Iterator[str]:
    yield f"[reasons.{code}.except.{toml_text(selector)}]"
    yield from _lines(texts)


def _lines(texts: tuple[str, str, str]) -> Iterator[str]:
    for key, text in zip(("high", "low", "missing"), texts, strict=True):
        yield f"{key} = {toml_text(text)}"
    yield ""


def _code(name: str, codes: list[str]) -> str:
    """Make a code from a name: ASCII letters and digits; a number behind it where it is taken."""
    letters = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.removeprefix("events ").upper())
    stem = "_".join(part for part in letters.split("_") if part)[:30] or "REASON"
    code = next(c for c in (stem, *[f"{stem}_{i}" for i in range(2, len(codes) + 3)]) if c not in codes)
    codes.append(code)
    return code

"""The reason dictionary of a drafted spec: usable as it stands, and marked for a person to say it better."""

from collections.abc import Iterator

from features.names import readable
from features.spec.contract import Attribute, Spec
from features.spec.toml_table import toml_text

_BESIDE, _BESIDE_MOST = " compared with well rated applicants.", " than for most well rated applicants."


def draft_reasons(spec: Spec) -> Iterator[str]:
    """Yield the lines of one code per attribute and one per RFM group of a spec that has none yet."""
    yield "# EDIT: what a refused applicant is told. Every feature needs a code; contributions under one code are"
    yield "# added, and those that spoke against the applicant most become the reasons. The text is chosen by the value"
    yield "# against the median of the applicants rated best. Say it in words that an applicant understands; join"
    yield "# in `of` what belongs together."
    codes: list[str] = []
    for attribute in spec.attributes:
        yield from _table(_code(attribute.name, codes), attribute.name, _attribute_texts(attribute))
    for group in spec.groups:
        code, what = _code(group.name, codes), _quoted(group.name.removeprefix("events "))
        yield from _table(code, group.name, _group_texts(what))
        yield from _exception(code, f"{group.name}_days_since_last_*", _recency_texts(what))
        yield from _exception(code, f"{group.name}_count_*", _frequency_texts(what))


def _quoted(name: str) -> str:
    """Quote a name: whatever its words are, the sentence around it stays grammatical."""
    return f"\u201c{readable(name)}\u201d"


def _attribute_texts(attribute: Attribute) -> tuple[str, str, str]:
    """Say what is true of any value; a value that was never given and one that could not be used read alike."""
    name = _quoted(attribute.name)
    missing = f"We could not use a value for {name}: none was stated, or not in a form that we can use."
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


def _table(code: str, member: str, texts: tuple[str, str, str]) -> Iterator[str]:
    yield f"[reasons.{code}]"
    yield f"of = [{toml_text(member)}]"
    yield from _lines(texts)


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

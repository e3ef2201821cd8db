"""The reason dictionary of a drafted spec: usable as it stands, and marked for a person to say it better."""

from collections.abc import Iterator

from features.names import readable
from features.spec import Spec
from features.toml_table import toml_text


def draft_reasons(spec: Spec) -> Iterator[str]:
    """Yield the lines of one code per attribute and one per RFM group of a spec that has none yet."""
    yield "# EDIT: what a refused applicant is told. Every feature needs a code; contributions under one code are"
    yield "# added, and those that spoke against the applicant most become the reasons. The text is chosen by the value"
    yield "# against the median of the applicants rated best. Say it in words that an applicant understands; join"
    yield "# in `of` what belongs together."
    codes: list[str] = []
    for attribute in spec.attributes:
        texts = _attribute_texts(readable(attribute.name), categorical=bool(attribute.values))
        yield from _table(_code(attribute.name, codes), attribute.name, texts)
    for group in spec.groups:
        code, what = _code(group.name, codes), readable(group.name.removeprefix("events "))
        yield from _table(code, group.name, _group_texts(what))
        yield from _exception(code, f"{group.name}_days_since_last_*", _recency_texts(what))
        yield from _exception(code, f"{group.name}_count_*", _frequency_texts(what))


def _attribute_texts(name: str, *, categorical: bool) -> tuple[str, str, str]:
    if categorical:
        return (
            f"What we know about your {name} counted against you.",
            f"What we know about your {name} is not what most often leads to a better decision.",
            _not_usable(name),
        )
    return (
        f"Your {name} is too high.",
        f"Your {name} is too low.",
        _not_usable(name),
    )


def _not_usable(name: str) -> str:
    """Say what is true of a value that was never given and of one that was given and could not be used."""
    return f"We could not use your {name}: it was not stated, or not in a form that we can use."


def _group_texts(what: str) -> tuple[str, str, str]:
    return (
        f"By {what}, more money came into your account or less went out than for most well rated applicants.",
        f"By {what}, less money came into your account or more went out than for most well rated applicants.",
        f"We saw no {what} on your account in the last months.",
    )


def _recency_texts(what: str) -> tuple[str, str, str]:
    return (
        f"The last {what} on your account was too long ago.",
        f"The last {what} on your account was too recent.",
        f"We saw no {what} on your account in the last year.",
    )


def _frequency_texts(what: str) -> tuple[str, str, str]:
    return (
        f"There was {what} on your account too often.",
        f"There was {what} on your account too rarely.",
        f"We saw no {what} on your account in the last months.",
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

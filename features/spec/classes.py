"""The classes of a spec, worst first. Since version 2 they must be stated: nobody can guess which one is worse."""

import re

from features.errors import SpecError
from features.spec.class_values import class_value
from features.spec.contract import probability_column
from features.spec.toml_table import Table, toml_text

CHOICE = "# classes = "
_DEFAULT = ("Poor", "Standard", "Good")
_STATED = 2  # the version since which they must be
NAME = re.compile(r"[^\s=,|\"^*][^=,|\"\n]{0,98}")


def read_classes(root: Table, version: int, text: str) -> tuple[str, ...]:
    """Read `classes`; `text` is that of the spec, where a draft that could not tell left the orders to choose from.

    Raises:
        SpecError: they are not stated, too few, alike, or no names.

    """
    if version >= _STATED and "classes" not in root.values:
        raise SpecError(_undecided(text))
    classes = root.texts("classes", _DEFAULT)
    if len(classes) < 2:
        raise SpecError('classes: expected two or more different names, worst first, as in ["Poor", "Good"].')
    for name in classes:
        if not _is_class_name(name):
            raise SpecError(f'classes: {name!r} cannot be a name: expected 1 to 99 characters without = , | or ".')
    named: dict[str, str] = {}
    for name in classes:
        if (other := named.setdefault(probability_column(name), name)) != name or classes.count(name) > 1:
            raise SpecError(f"classes: {other!r} and {name!r} are alike; expected different names, worst first.")
    if version >= _STATED and len({class_value(name) for name in classes}) != len(classes):
        raise SpecError("classes: two of them are the same number. Classes match by value, so that 1 and 1.0 are one.")
    return classes


def class_choice(classes: tuple[str, ...]) -> str:
    """Return a line that a draft leaves to choose: an order of the classes, commented out."""
    return f"{CHOICE}[{', '.join(toml_text(name) for name in classes)}]"


def _undecided(text: str) -> str:
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith(CHOICE)]
    choices = "".join(f"\n  {line}" for line in lines or ['classes = ["Poor", "Standard", "Good"]'])
    return (
        "classes: not stated. Which class is worse cannot be known from your files, and a model upside down is worse "
        f"than a question. Take {'one of these lines' if len(lines) > 1 else 'such a line'} into the spec, above its "
        f"first [table], worst class first:{choices}"
    )


def _is_class_name(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and name == name.strip() and name.isprintable()

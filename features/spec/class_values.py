"""Classes by value: 0, 0.0 and False are one class, as are `1`, `1.0` and `true`, whatever type a column has."""

import re
from collections.abc import Collection
from decimal import Decimal

import polars as pl

from features.spec.contract import Spec

__all__ = ["class_texts", "class_value", "match_classes", "spelled", "without_class"]

BY_VALUE = 2  # the version of the spec since which classes match by value
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_FLAGS = {"true": "1", "false": "0"}


def class_value(name: str) -> str:
    """Return what a class is compared by: numbers and booleans by their value, all other texts as they are."""
    text = name.strip()
    if _NUMBER.fullmatch(text):
        value = Decimal(text)
        return format(value.to_integral_value() if value == value.to_integral_value() else value.normalize(), "f")
    return _FLAGS.get(text.casefold(), text)


def class_texts(found: pl.Series) -> pl.Series:
    """Return a column of classes as texts: numbers and booleans as their value, texts as they are."""
    texts = found.cast(pl.String)
    if isinstance(found.dtype, (pl.String, pl.Categorical, pl.Enum)):
        return texts
    return texts.replace({text: class_value(text) for text in texts.unique().drop_nulls()})


def spelled(found: pl.Series, classes: Collection[str]) -> pl.Series:
    """Return a column of classes with each spelled as one of `classes` where it is that one, by text or by value."""
    texts = found.cast(pl.String)
    names = {class_value(name): name for name in classes}
    others = {text: names.get(class_value(text), text) for text in texts.unique().drop_nulls() if text not in classes}
    return texts.replace(others)


def match_names(found: pl.Series, classes: tuple[str, ...]) -> pl.Series:
    """Return for each cell of a column of classes the index of its class, by text or by value; null: none of them."""
    indexes = {name: index for index, name in enumerate(classes)}
    return spelled(found, classes).replace_strict(indexes, default=None, return_dtype=pl.Int64)


def match_classes(found: pl.Series, spec: Spec) -> pl.Series:
    """Return for each cell of a column of classes the index of its class, worst first; null where it is none of them.

    Since version 2 of the spec a class is matched by its value too.
    """
    if spec.version >= BY_VALUE:
        return match_names(found, spec.classes)
    indexes = {name: index for index, name in enumerate(spec.classes)}
    return found.cast(pl.String).replace_strict(indexes, default=None, return_dtype=pl.Int64)


def without_class(found: pl.Series, spec: Spec) -> pl.Series:
    """Tell for each cell of a column of classes whether there is none: null, and since version 2 blank."""
    if spec.version < BY_VALUE:
        return found.is_null()
    return (found.cast(pl.String).str.strip_chars() == "").fill_null(value=True)

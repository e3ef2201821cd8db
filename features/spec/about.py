"""The optional part of a spec that says what the model is for, in the owner's words."""

from features.spec.contract import About
from features.spec.toml_table import Table

_NAMES = ("owner", "purpose", "not_for", "data", "limits", "monitoring")


def read_about(table: Table) -> About:
    """Read `about`; what is not stated is empty.

    Raises:
        SpecError: an unknown key, or one that is no text; names the key.

    """
    table.allow(_NAMES)
    return About(**{name: table.text(name, "") for name in _NAMES})

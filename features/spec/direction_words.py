"""The words by which a spec states directions; what they mean: `features.spec.directions`."""

from features.errors import SpecError
from features.spec.toml_table import Table

DIRECTIONS = {"up": 1, "down": -1}
FLOWS = {"in": 1, "out": -1}


def read_direction(table: Table) -> int:
    """Read the key `direction`: 1 for up, -1 for down, 0 where it is not there.

    Raises:
        SpecError: another word.

    """
    return _read(table, "direction", DIRECTIONS)


def read_flow(table: Table) -> int:
    """Read the key `flow`: 1 for in, -1 for out, 0 where it is not there.

    Raises:
        SpecError: another word.

    """
    return _read(table, "flow", FLOWS)


def _read(table: Table, name: str, words: dict[str, int]) -> int:
    value = table.text(name, "")
    if value and value not in words:
        raise SpecError(f"{table.key(name)}: expected {' or '.join(words)}, found {value!r}.")
    return words.get(value, 0)

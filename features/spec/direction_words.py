"""The words by which a spec states directions; what they mean: `features.spec.directions`."""

from collections.abc import Mapping
from dataclasses import replace

from features.errors import SpecError
from features.spec.contract import RfmGroup, Spec
from features.spec.toml_table import Table

DIRECTIONS = {"up": 1, "down": -1}
FLOWS = {"in": 1, "out": -1}
_SECTIONS = {"attributes": ("direction",), "rfm": ("direction", "flow")}


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


def with_directions(spec: Spec, root: Table) -> Spec:
    """Return the spec with what its table `directions` says of attributes and groups: one block to paste.

    Raises:
        SpecError: it names what the spec has not, or says again what a table says itself.

    """
    block = root.table("directions", optional=True)
    block.allow(_SECTIONS)
    attributes, groups = (_stated(root, block, section) for section in _SECTIONS)
    return replace(
        spec,
        attributes=tuple(replace(a, direction=attributes.get(a.name, (a.direction, 0))[0]) for a in spec.attributes),
        groups=tuple(_directed(group, groups.get(group.name)) for group in spec.groups),
    )


def _directed(group: RfmGroup, stated: tuple[int, int] | None) -> RfmGroup:
    return group if stated is None else replace(group, direction=stated[0], flow=stated[1] or group.flow)


def _stated(root: Table, block: Table, section: str) -> Mapping[str, tuple[int, int]]:
    """Return by name the direction and the flow that the block states in a section."""
    named, tables = block.table(section, optional=True), root.table(section, optional=True)
    found = {}
    for name in named.values:
        keys = named.table(name)
        keys.allow(_SECTIONS[section])
        if name not in tables.values:
            raise SpecError(f"{keys.path}: the spec has no table [{tables.key(name)}].")
        doubled = [key for key in keys.values if key in tables.table(name).values]
        if doubled:
            raise SpecError(f"{keys.key(doubled[0])}: stands in [{tables.key(name)}], too. Leave one of them out.")
        keys.text("direction")
        found[name] = read_direction(keys), read_flow(keys)
    return found


def _read(table: Table, name: str, words: dict[str, int]) -> int:
    value = table.text(name, "")
    if value and value not in words:
        raise SpecError(f"{table.key(name)}: expected {' or '.join(words)}, found {value!r}.")
    return words.get(value, 0)

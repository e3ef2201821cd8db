"""The parts of a spec that say how files are written where they are not as the product would write them."""

from features.dialect import Dialect, declared
from features.errors import SpecError
from features.toml_table import Table


def read_csv(root: Table, version: int) -> Dialect:
    """Read `csv`: separator and encoding of CSV files; comma and UTF-8 where they are not stated.

    Raises:
        SpecError: a key is wrong, or the spec is of version 1, which knows none of them; names the key.

    """
    table = root.table("csv", optional=True)
    if table.values and version < 2:
        raise SpecError("csv: is known from spec_version 2 on. Set spec_version = 2, or pass --separator, --encoding.")
    table.allow(["separator", "encoding"])
    separator, encoding = (table.text(key) if key in table.values else None for key in ("separator", "encoding"))
    try:
        return declared(separator, encoding, Dialect())
    except SpecError as error:
        raise SpecError(table.key(str(error))) from error


def csv_lines(dialect: Dialect) -> list[str]:
    """Return the lines that declare a dialect in a spec; none for comma and UTF-8."""
    if dialect == Dialect():
        return []
    separator = "tab" if dialect.separator == "\t" else dialect.separator
    return ["[csv]", f'separator = "{separator}"', f'encoding = "{dialect.encoding}"']

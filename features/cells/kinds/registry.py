"""All attribute kinds. Drafting asks them in this order."""

from features.cells.kinds.boolean import Boolean
from features.cells.kinds.category import Category
from features.cells.kinds.dates import Date
from features.cells.kinds.duration import Duration
from features.cells.kinds.kind import Kind
from features.cells.kinds.listing import Listing
from features.cells.kinds.money import Money
from features.cells.kinds.number import Integer, Number
from features.cells.kinds.percent import Percent
from features.cells.kinds.text import Text
from features.spec.contract import Attribute

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(Date(), Number(), Integer(), Money(), Percent(), Duration(), Boolean(), Listing(), Category(), Text()),
    )
}


def kind_of(attribute: Attribute) -> Kind:
    """Return the kind of an attribute."""
    return KINDS[attribute.kind]

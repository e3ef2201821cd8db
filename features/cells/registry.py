"""All attribute kinds. Drafting asks them in this order."""

from features.cells.boolean import Boolean
from features.cells.category import Category
from features.cells.dates import Date
from features.cells.duration import Duration
from features.cells.kind import Kind
from features.cells.listing import Listing
from features.cells.money import Money
from features.cells.number import Integer, Number
from features.cells.percent import Percent
from features.cells.text import Text
from features.spec import Attribute

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(Date(), Number(), Integer(), Money(), Percent(), Duration(), Boolean(), Listing(), Category(), Text()),
    )
}


def kind_of(attribute: Attribute) -> Kind:
    """Return the kind of an attribute."""
    return KINDS[attribute.kind]

"""The RFM groups of a spec: kinds of events, windows, and what is measured of them."""

from features.errors import SpecError
from features.spec.contract import Monetary, RfmGroup
from features.spec.direction_words import read_direction, read_flow
from features.spec.toml_table import Table

LONGEST_WINDOW_DAYS = 36_500
_KEYS = ("kinds", "windows_days", "description", "unit", "recency", "frequency", "monetary", "trend_days")
_KEYS_OF_2 = ("direction", "flow")


def read_group(name: str, table: Table, known: tuple[str, ...], version: int) -> RfmGroup:
    """Read one table of `rfm`; `known` are the kinds that events.kinds declares.

    Raises:
        SpecError: a key is wrong, or the group measures nothing; names the key.

    """
    table.allow([*_KEYS, *(_KEYS_OF_2 if version > 1 else ())])
    kinds = table.texts("kinds")
    unknown = [kind for kind in kinds if kind not in known]
    if not kinds or unknown:
        found = f"{', '.join(unknown)} is not there" if unknown else "found none"
        raise SpecError(f"{table.key('kinds')}: expected kinds that events.kinds declares, {found}.")
    windows = table.integers("windows_days")
    if not windows or len(set(windows)) != len(windows) or not all(0 < w <= LONGEST_WINDOW_DAYS for w in windows):
        raise SpecError(f"{table.key('windows_days')}: expected different numbers of days, 1 to {LONGEST_WINDOW_DAYS}.")
    group = RfmGroup(
        name=name,
        kinds=tuple(dict.fromkeys(kinds)),
        windows_days=tuple(sorted(windows)),
        description=table.text("description", ""),
        unit=table.text("unit", ""),
        recency=table.flag("recency", default=False),
        frequency=table.flag("frequency", default=False),
        monetary=_monetary(table),
        trend_days=_trend(table, windows),
        direction=read_direction(table),
        flow=read_flow(table),
    )
    if not (group.recency or group.frequency or group.monetary or group.trend_days):
        raise SpecError(f"{table.path}: measures nothing. Set recency, frequency, monetary or trend_days.")
    return group


def _monetary(table: Table) -> tuple[Monetary, ...]:
    names = table.texts("monetary", ())
    for name in names:
        if name not in list(Monetary):
            raise SpecError(f"{table.key('monetary')}: expected some of {', '.join(Monetary)}, found {name!r}.")
    return tuple(member for member in Monetary if member in names)


def _trend(table: Table, windows: tuple[int, ...]) -> tuple[int, int] | None:
    days = table.integers("trend_days", ())
    if not days:
        return None
    if len(days) != 2 or days[0] >= days[1] or not set(days) <= set(windows):
        raise SpecError(f"{table.key('trend_days')}: expected [shorter, longer], both from windows_days.")
    return days[0], days[1]

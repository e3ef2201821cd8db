"""Dates and local instants in a draft: recognised, written with their form, or asked for where they say two things."""

from datetime import date, timedelta

import polars as pl
import pytest

from features.draft.document import Draft, Tables, draft_spec
from features.errors import SpecError
from features.matrix import build_features
from features.spec.file import parse_spec

DAYS = [date(2001, 1, 1) + timedelta(days=i) for i in range(400)]
COLUMNS = {
    "opened": [f"{d:%d.%m.%Y}" for d in DAYS[:-9]] + ["01.01.1900"] * 9,
    "since": [f"{d:%b-%Y}" for d in DAYS],
    "first_loan": [f"{d.month}/{d.day}/{d.year}" for d in DAYS],
    "last_visit": [f"{d:%Y-%m-%d} 00:00:00.000000" for d in DAYS],
    "delivered": [f"{d:%d%b%Y}".upper() for d in DAYS],
    "stamp": [f"{d:%Y%m%d}" for d in DAYS],
    "either_way": [f"{d.day % 12 + 1:02}/{d.month:02}/{d.year}" for d in DAYS],
    "two_digits": [f"{d:%d-%b-%y}" for d in DAYS],
    "birth_date": [f"{d:%d.%m.%Y}" for d in DAYS],
}
FORMS = {
    "opened": "%d.%m.%Y",
    "since": "%b-%Y",
    "first_loan": "%m/%d/%Y",
    "last_visit": "iso",
    "delivered": "%d%b%Y",
    "stamp": "%Y%m%d",
}


def tables(as_of: str = "%d.%m.%Y", occurred_at: str = "%d.%m.%Y") -> tuple[pl.DataFrame, pl.DataFrame]:
    ids = [f"C{i}" for i in range(len(DAYS))]
    moments = [date(2026, 1, 1) + timedelta(days=i % 90) for i in range(len(DAYS))]
    own = pl.DataFrame(
        {"application_id": ids, "customer_id": ids, "as_of": [f"{m:{as_of}}" for m in moments], **COLUMNS}
    )
    occurred = [f"{m - timedelta(days=9):{occurred_at}}" for m in moments]
    events = pl.DataFrame({"customer_id": ids, "occurred_at": occurred, "kind": "payment", "amount": "1.00"})
    return own, events


def drafted(own: pl.DataFrame, events: pl.DataFrame) -> Draft:
    return draft_spec(Tables.of(own, events))


def test_dates_are_drafted_with_their_form_and_lose_no_cell() -> None:
    own, events = tables()
    spec = parse_spec(_chosen(drafted(own, events).text))
    assert {a.name: dict(a.options)["format"] for a in spec.attributes} == FORMS
    built = build_features(own, events, spec)
    assert built.rejects.is_empty()
    assert built.dirt.rows() == [("applications", "opened", "missing_token", 9)]
    assert built.matches.matched_applications == len(DAYS)


def _chosen(text: str) -> str:
    return "\n".join(line.removeprefix("# ") if line.startswith("# classes = ") else line for line in text.split("\n"))


def test_what_a_draft_leaves_out_says_why_and_how_to_take_it_in() -> None:
    looks = {look.split(":")[0]: look for look in drafted(*tables()).looks}
    assert "01.01.1900 (9 cells) is taken as no date" in looks["opened"]
    assert "day and month may be either way round: %d/%m/%Y or %m/%d/%Y" in looks["either_way"]
    assert "years of two digits. Say with pivot" in looks["two_digits"]
    assert "its lines are in the draft, commented out" in looks["birth_date"]
    text = drafted(*tables()).text
    assert '# [attributes."birth_date"]\n# kind = "date"' in text
    assert '# format = "%d/%m/%Y"' in text


def test_local_instants_are_declared_and_a_zone_is_asked_for() -> None:
    text = _chosen(drafted(*tables(as_of="%d.%m.%Y %H:%M", occurred_at="%m/%d/%Y %H:%M:%S")).text)
    with pytest.raises(SpecError, match=r"as_of_format: .* has a time of day and no zone"):
        parse_spec(text)
    spec = parse_spec(text.replace('# time_zone = "+01:00"', 'time_zone = "+01:00"'))
    assert spec.instants.as_of == "%d.%m.%Y %H:%M"
    assert spec.instants.occurred_at == "%m/%d/%Y %H:%M:%S"
    assert spec.instants.utc_offset_minutes == 60


def test_instants_that_may_be_either_way_round_are_asked_for() -> None:
    own, events = tables()
    own = own.with_columns(as_of=pl.lit("03/04/2026"))
    draft = drafted(own, events)
    assert '# as_of_format = "%d/%m/%Y"\n# as_of_format = "%m/%d/%Y"' in draft.text
    assert any("as_of is written in a form of which day and month may be either way round" in x for x in draft.looks)

"""Following the link to a bundle: nothing ends it, a refusal is said once, and the contract of a door stays."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import BundleError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from scoring.message import check_same_contract
from serving.bundle_watch import BundleWatch
from tests.waiting import wait_until


class Said:
    """What the watch did and told."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.refusals: list[str] = []
        self.agreed = 0
        self.fault: Exception | None = None

    def change(self, folder: Path) -> None:
        self.changes.append(folder.name)
        if self.fault is not None:
            raise self.fault

    def bundle_refused(self, why: str) -> None:
        self.refusals.append(why)

    def bundle_agreed(self) -> None:
        self.agreed += 1


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def link(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("a")
    return tmp_path / "current"


@pytest.fixture
def watch(said: Said, link: Path) -> Iterator[BundleWatch]:
    made = BundleWatch(link, link.resolve(), said.change, said)
    made.start()
    yield made
    made.stop()


def lead(link: Path, name: str) -> None:
    part = link.with_name("part")
    part.symlink_to(name)
    part.replace(link)


def test_what_a_link_leads_to_is_gone_over_to_once(link: Path, said: Said, watch: BundleWatch) -> None:
    for name in ("b", "a"):
        lead(link, name)
        watch.look_now()
        assert wait_until(lambda: said.changes[-1:] == [name])  # noqa: B023
    watch.look_now()
    watch.stop()
    assert said.changes == ["b", "a"]
    assert said.refusals == []


@pytest.mark.parametrize("fault", [BundleError("it does not verify"), OSError("disk"), ZeroDivisionError("a fault")])
def test_a_refusal_is_said_once_and_whatever_it_was_the_watch_goes_on(
    fault: Exception, link: Path, said: Said, watch: BundleWatch
) -> None:
    said.fault = fault
    lead(link, "b")
    for tried in (1, 2, 3):
        watch.look_now()
        assert wait_until(lambda: len(said.changes) >= tried)  # noqa: B023
    assert wait_until(lambda: len(said.refusals) == 1)
    said.fault = None
    watch.look_now()
    assert wait_until(lambda: said.agreed == 1)
    assert len(said.refusals) == 1


def test_a_link_that_leads_in_a_circle_ends_nothing(link: Path, said: Said, watch: BundleWatch) -> None:
    lead(link, "current")
    watch.look_now()
    assert wait_until(lambda: bool(said.refusals))
    lead(link, "a")
    watch.look_now()
    assert wait_until(lambda: said.agreed == 1)


def other(spec: Spec, pattern: str, text: str) -> Spec:
    changed = re.sub(pattern, text, spec.text, count=1, flags=re.MULTILINE)
    assert changed != spec.text
    return parse_spec(changed)


def test_a_contract_is_what_clients_rely_on_and_no_more(spec: Spec) -> None:
    check_same_contract(spec, spec)
    check_same_contract(spec, other(spec, r"^name = .*$", 'name = "another"'))
    check_same_contract(spec, other(spec, r"^windows_days = \[90, 365\]", "windows_days = [80, 90, 365]"))
    check_same_contract(spec, other(spec, r'^description = "time with.*$', 'description = "since when"'))


@pytest.mark.parametrize(
    ("pattern", "text", "place"),
    [
        (r'^unit = "months"', 'unit = "years"', "attributes.months_employed.unit"),
        (r"^range = \[0, 600\]", "range = [0, 500]", "attributes.months_employed.range"),
        (r"^range = \[0, 600\]", "range = [0, 600]\nrequired = true", "application.attributes.required"),
        (r'^code = "EUR"', 'code = "CHF"', "attributes.annual_income.currency"),
        (r"^ignored = .*$", "ignored = []", "application.events.items.kind.enum"),
        (r"^\[attributes.loans\]", '[attributes.more]\nkind = "number"\n\n[attributes.loans]', "attributes.more"),
    ],
)
def test_another_contract_is_refused_and_its_place_said(spec: Spec, pattern: str, text: str, place: str) -> None:
    with pytest.raises(BundleError) as refused:
        check_same_contract(spec, other(spec, pattern, text))
    assert place in str(refused.value)


def test_other_classes_are_another_contract(spec: Spec) -> None:
    text = spec.text.replace('"Standard"', '"Middling"').replace("Standard =", "Middling =")
    text = text.replace("costs.Standard", "costs.Middling")
    with pytest.raises(BundleError, match="credit_class"):
        check_same_contract(spec, parse_spec(text))

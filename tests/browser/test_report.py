"""The report: one page from the bundle's own figures, read as a browser reads it."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cli.explain.explain_page import explain_page
from recipes.dataset import Dataset
from scoring.bundle.folder import canonical_json, read_bundle
from scoring.explanation import explain_application
from scoring.scorer import Scorer
from tests.chromium import Page, headless
from tests.conftest import Credit
from training.report.files import content_of
from training.report.page import render

PHONE, DESKTOP = 360, 1200


class Elements(HTMLParser):
    """Collects start tags and checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(bundle: Path) -> str:
    return (bundle / "report.html").read_text()


@pytest.fixture(scope="module")
def elements(text: str) -> Elements:
    parser = Elements()
    parser.feed(text)
    assert parser.open == []
    return parser


@pytest.mark.slow
def test_the_report_and_the_card_come_from_the_bundle_again_to_the_byte(
    bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    done = credit("report", bundle, "--out", tmp_path / "new/report.html", "--card", tmp_path / "card.md")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new/report.html").read_bytes() == (bundle / "report.html").read_bytes()
    assert (tmp_path / "card.md").read_bytes() == (bundle / "model_card.md").read_bytes()


def test_the_report_holds_what_a_validator_asks_for(text: str, elements: Elements) -> None:
    ids = [attributes.get("id") for tag, attributes in elements.found if tag == "section"]
    assert ids == [
        *("purpose", "data", "metrics", "ranking", "policy", "thresholds", "calibration", "scores", "importance"),
        *("reasons", "directions", "months", "slices", "fairness", "leaks", "tuning", "parity"),
    ]
    for said in ("Not for", "Confusion matrix", "majority class", "argmax", "Leak", "adversarial", "by month"):
        assert said.lower() in text.lower(), said
    table = text.partition("How good it is</h2>")[2].partition("</table>")[0]
    for label in (
        "Good called Poor",
        "AUC of Good against the rest",
        "AUC of better than Poor",
        "precision of Standard",
    ):
        assert f">{label}</th>" in table, label
    assert "<code>credit report BUNDLE --data DIR --groups FILE</code>" in text
    drawn = {str(a["aria-label"]).split(".")[0] for t, a in elements.found if t == "svg"}
    assert len(drawn) >= 15


def test_the_page_loads_nothing_and_every_plot_has_a_text(text: str, elements: Elements) -> None:
    assert not re.search(r"<script|<iframe|@import|url\((?!#)", text)
    addresses = {v for _, attributes in elements.found for k, v in attributes.items() if k in ("href", "src")}
    assert all(str(a).startswith(("#", "data:")) for a in addresses)
    for tag, attributes in elements.found:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert len(str(attributes["aria-label"])) > 40
    ids = Counter(attributes["id"] for _, attributes in elements.found if "id" in attributes)
    assert max(ids.values()) == 1
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
    assert used <= set(ids)
    assert not re.search(r"#0\d0\w0\w", text), "a colour that follows the page was left out"


@pytest.mark.slow
def test_same_figures_same_bytes(bundle: Path) -> None:
    content = content_of(read_bundle(bundle))
    assert render(content) == render(content)
    assert not re.search(r"20\d\d-\d\d-\d\dT", render(content)), "no clock"


def test_the_bundle_holds_no_customer(bundle: Path, dataset: Dataset) -> None:
    content = b"".join(p.read_bytes() for p in bundle.rglob("*") if p.is_file())
    for column in ("application_id", "customer_id"):
        for value in dataset.applications[column].drop_nulls().unique().to_list():
            assert not value or value.encode() not in content


def test_the_model_card_says_what_is_known_and_what_only_the_owner_knows(bundle: Path) -> None:
    card = (bundle / "model_card.md").read_text()
    for heading in ("Purpose", "Design", "Data", "Performance", "Fairness", "Limits", "Monitoring plan", "Versions"):
        assert re.search(rf"^## {heading}.*\[SR 26-2: .*; annex IV .*\]$", card, flags=re.MULTILINE), heading
    assert "it claims compliance with neither" in card.replace("\n", " ")
    spec = read_bundle(bundle).spec
    for stated in (spec.about.owner, spec.about.purpose, spec.about.limits, spec.about.monitoring):
        assert stated
        assert stated in card
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    precision = manifest["evaluation"]["held_out_customers"]["policy"]["metrics"]["precision_Good"]["value"]
    assert f"{precision:.4f}" in card


@pytest.mark.slow
def test_hostile_names_stay_text(bundle: Path) -> None:
    content = content_of(read_bundle(bundle))
    content.facts["name"] = '<script>alert("x")</script>'
    content.figures["slices"][0]["values"] = "<img src=x onerror=alert(1)> & | co"
    first = content.figures["importance"]["features"][0]
    first["description"] = "<img src=x onerror=alert(1)> and more words than fit into one line of a cell"
    first["feature"] = content.figures["importance"]["dependence"][0]["feature"] = "<img> $x$ \u6536\u5165"
    page = render(content)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img&gt; $x$ \u6536\u5165</text>" in page, "a name is drawn as it is, in any script"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with headless(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def test_a_browser_shows_it_without_a_complaint(bundle: Path, page: Page, tmp_path: Path) -> None:
    page.complaints.clear()
    page.requests.clear()
    for width, dark in ((DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)):
        page.open(bundle / "report.html", width, dark=dark)
        shot = page.screenshot()
        assert len(shot) > 100_000, "not blank"
        keep = (
            Path(os.environ.get("CREDIT_SCREENSHOTS", tmp_path)) / f"report-{width}-{'dark' if dark else 'light'}.png"
        )
        keep.write_bytes(shot)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing reaches beyond the screen"
    assert page.complaints == []
    assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in page.requests) == 4, "the page alone, each time"


def test_the_page_of_an_explanation_fits_a_phone(scorer: Scorer, dataset: Dataset, page: Page, tmp_path: Path) -> None:
    explanation = explain_application(scorer, dataset.applications, dataset.events, "A7-0000001")
    (tmp_path / "why.html").write_text(explain_page(explanation, scorer.bundle.spec, "en"))
    page.open(tmp_path / "why.html", PHONE)
    beyond = "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert page.evaluate(beyond) == [0, 0], "both tables are read without scrolling sideways"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, "nothing reaches beyond the screen"


def test_dark_mode_turns_the_page_and_its_plots(bundle: Path, page: Page) -> None:
    colours = []
    for dark in (False, True):
        page.open(bundle / "report.html", DESKTOP, dark=dark)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        colours.append((_light(paper), _light(ink)))
    (paper, ink), (dark_paper, dark_ink) = colours
    assert paper > 0.9
    assert ink < 0.3
    assert dark_paper < 0.2
    assert dark_ink > 0.7


def _light(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / (3 * 255)


def test_plots_are_readable_on_a_phone_and_the_page_prints(bundle: Path, page: Page) -> None:
    page.open(bundle / "report.html", PHONE)
    heights = page.evaluate(
        "[...document.querySelectorAll('svg.plot text')].map(t => t.getBoundingClientRect().height).filter(h => h > 0)"
    )
    assert len(heights) > 100
    assert sorted(heights)[len(heights) // 10] >= 8, "nine of ten labels are at least 8 pixels high"
    page.open(bundle / "report.html", DESKTOP, medium="print", dark=True)
    assert _light(page.evaluate("getComputedStyle(document.body).backgroundColor")) == 1, "paper is white"
    assert len(page.pdf()) > 50_000


def test_a_console_error_would_be_seen(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<script>nothing.there()</script><img src='missing.png'>")
    page.complaints.clear()
    page.open(tmp_path / "bad.html", DESKTOP)
    assert page.complaints
    page.complaints.clear()


def test_figures_that_changed_are_refused(bundle: Path, credit: Credit, tmp_path: Path) -> None:
    figures = json.loads((bundle / "figures.json").read_bytes())
    assert canonical_json(figures) == (bundle / "figures.json").read_bytes()
    done = credit("report", tmp_path, "--out", tmp_path / "r.html")
    assert done.returncode == 2
    done = credit("report", bundle, "--out", tmp_path / "r.html", "--groups", tmp_path / "groups.csv")
    assert done.returncode == 2
    assert "--groups needs --data" in done.stderr
    assert not (tmp_path / "r.html").exists()
    inside = credit("report", bundle, "--out", bundle / "other.html")
    assert inside.returncode == 2
    assert "Choose another place" in inside.stderr
    assert not (bundle / "other.html").exists()

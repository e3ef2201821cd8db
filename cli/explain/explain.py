"""`credit explain`: why one application was decided as it was, as a letter and as figures."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from batch import read_inputs
from cli.console import note, say, say_table, stages
from cli.data.spec_files import read_dictionary
from cli.explain.explain_page import explain_page
from cli.options import Applications, BundleOption, DictionaryOption, Encoding, Events, Separator, csv_dialect
from features.errors import SettingsError
from features.reason_codes import complete_reasons
from features.spec.contract import Spec
from scoring.decisions import decision_lines, decision_schema
from scoring.explanation import Explanation, explain_application
from scoring.reasons import Explainer
from scoring.scorer import Scorer
from storage.durable import replace_files
from storage.targets import prepare_folder, refuse_overwriting

if TYPE_CHECKING:
    from training.evaluate.local_lime import LimeComparison

app = typer.Typer()
_SHOWN = 10


@app.command(
    epilog="Example: credit explain --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv --application-id A2-0000000"
)
def explain(  # noqa: PLR0917 - typer takes options by name
    bundle: BundleOption,
    applications: Applications,
    application_id: Annotated[
        str, typer.Option("--application-id", help="The application to explain.", show_default=False)
    ],
    events: Events = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one offline page.", show_default=False)] = None,
    dictionary: DictionaryOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lime: Annotated[
        bool, typer.Option("--lime", help="Compare with LIME (not on the page); needs the extras train and lime.")
    ] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Print an application's decision, its reasons as the applicant reads them, and what moved it most."""
    if html is not None:
        for source in (applications, *([events] if events else []), bundle):
            refuse_overwriting(source, [html])
        prepare_folder(html)
    with stages("Explaining", 3) as stage:
        stage("read")
        scorer = Scorer.open(bundle)
        explainer = scorer.bundle.explainer if dictionary is None else _in_other_words(scorer, dictionary)
        spec = scorer.bundle.spec
        own, account = read_inputs(applications, events, spec, csv_dialect(separator, encoding, spec.csv), note)
        stage("explain")
        explanation = explain_application(scorer, own, account, application_id.strip(), explainer)
        compared = _with_lime(scorer, explanation) if lime else None
        if html is not None:
            page = explain_page(explanation, scorer.bundle.spec, explainer.book.language)
            replace_files({html: page.encode()})
    if as_json:
        say(json.dumps(_record(explanation, scorer.bundle.spec, compared), indent=2, ensure_ascii=False))
        return
    _say(explanation, scorer.bundle.spec)
    if compared is not None:
        _say_lime(compared)
    if html is not None:
        say()
        say(str(html))


def _record(explanation: Explanation, spec: Spec, compared: "LimeComparison | None") -> dict[str, Any]:
    record: dict[str, Any] = {
        "decision": _as_the_doors_write_it(explanation.decision, spec),
        "classes": explanation.classes,
        "unit": explanation.unit,
        "features": explanation.features,
    }
    return record if compared is None else {**record, "lime": asdict(compared)}


def _as_the_doors_write_it(decision: dict[str, Any], spec: Spec) -> Any:
    (line,) = decision_lines(pl.DataFrame([decision], schema=decision_schema(spec)))
    return json.loads(line)


def _in_other_words(scorer: Scorer, dictionary: Path) -> Explainer:
    """Return the bundle's explainer with the dictionary's texts; codes, order and contributions stay."""
    spec = read_dictionary(dictionary, scorer.bundle.spec)
    old = scorer.bundle.explainer
    entries = tuple(
        replace(entry, **asdict(reason.texts))
        for entry, reason in zip(old.book.entries, complete_reasons(spec), strict=True)
    )
    return Explainer(old.tables, replace(old.book, language=spec.language, entries=entries))


def _with_lime(scorer: Scorer, explanation: Explanation) -> "LimeComparison":
    try:
        from training.evaluate.local_lime import compare_with_lime
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--lime needs the library {error.name}. Install the extras: pip install '.[train,lime]'."
        ) from error
    return compare_with_lime(scorer.bundle, explanation)


def _say_lime(compared: "LimeComparison") -> None:
    from training.evaluate.local_lime import REPEATS, TOP

    rows = [
        (f"{r['shap']:+.3f}", f"{r['lime']:+.3f}", f"{r['deviation']:.3f}", f"{r['in_top']} of {REPEATS}", r["feature"])
        for r in compared.features
    ]
    say()
    say(f"LIME beside SHAP, log-odds, {REPEATS} seeds")
    say_table(("SHAP", "LIME, mean", "its deviation", f"among LIME's top {TOP}", "feature"), rows)
    say(compared.sentence())


def _say(explanation: Explanation, spec: Spec) -> None:
    decision = explanation.decision
    say(f"Application {decision['application_id']} as of {decision['as_of']:%Y-%m-%d %H:%M} UTC")
    chances = ", ".join(
        f"{name} {decision[column]:.3f}" for name, column in zip(spec.classes, spec.probability_columns, strict=True)
    )
    say(f"Decision    {decision['credit_class']}, {decision['credit_score']} points ({chances})")
    say()
    say("Reasons, as the applicant reads them")
    for number, reason in enumerate(decision["reasons"], start=1):
        weak = " (weak: nothing spoke against the applicant)" if reason["weak"] else ""
        say(f"  {number}. {reason['text']}  [{reason['code']} {reason['contribution']:+.3f}]{weak}")
    if not decision["reasons"]:
        say(f"  none: {decision['credit_class']} is the best class")
    worse, best = explanation.classes
    say()
    say(f"What moved it most, in {explanation.unit} of {worse} against {best}: + speaks against the applicant")
    rows = [
        (f"{r['contribution']:+.3f}", r["code"], r["feature"], _value(r), _median(r), r["unit"])
        for r in explanation.features[:_SHOWN]
    ]
    say_table(("contribution", "code", "feature", "value", "median", "unit"), rows)
    rest = explanation.features[_SHOWN:]
    if rest:
        say(f"{sum(r['contribution'] for r in rest):+.3f} together from {len(rest)} other features")


def _value(record: dict[str, object]) -> str:
    return "missing" if record["value"] is None else str(record["text"])


def _median(record: dict[str, object]) -> str:
    return "none" if record["median"] is None else f"{record['median']:g}"

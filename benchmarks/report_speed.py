"""The report for 100,000 evaluated applications: seconds of each stage, one process.

    python -m benchmarks.report_speed

A model of 5,000 synthetic customers is judged on 50,000 others (about 100,000 applications, 1.6 million events), as
`credit report BUNDLE --data DIR` does after it has read the files.
"""

import tempfile
import time
from itertools import pairwise
from pathlib import Path

from features.spec.file import parse_spec
from model_export.export import export
from recipes.synthetic import synthetic
from scoring.bundle.folder import read_bundle
from training.data import TrainingData
from training.evaluate.rejudge import content_on, rejudge
from training.report.card import render_card
from training.report.page import render
from training.run import train


def main() -> None:
    """Print the seconds."""
    known, new = synthetic(5000, seed=1), synthetic(50_000, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(TrainingData(known.applications, known.events, known.labels), parse_spec(known.spec_text))
        bundle = read_bundle(export(trained, Path(folder)))
        marks = [time.perf_counter()]
        rejudged = rejudge(bundle, TrainingData(new.applications, new.events, new.labels))
        marks.append(time.perf_counter())
        content = content_on(bundle, rejudged, None)
        marks.append(time.perf_counter())
        page, card = render(content), render_card(content)
        marks.append(time.perf_counter())
    seconds = [b - a for a, b in pairwise(marks)]
    names = ("features and probabilities", "figures and intervals", "page and card")
    count = len(rejudged.judged.examples)
    print(f"{count:,} evaluated applications, {new.events.height:,} events, page of {len(page) // 1000} kB")  # noqa: T201
    for name, value in zip(names, seconds, strict=True):
        print(f"  {name:28} {value:6.2f} s")  # noqa: T201
    print(f"  {'together':28} {sum(seconds):6.2f} s, without features {sum(seconds[1:]):.2f} s; {len(card)}")  # noqa: T201


if __name__ == "__main__":
    main()

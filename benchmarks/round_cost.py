"""What one round of scoring costs by its size: messages of 30 events in, answers out; one thread, core time.

    python -m benchmarks.round_cost [--folder /tmp/credit-bench] [--seconds 2]

The messages are of different applications of the synthetic lender, dirt included. A round is what the stream and the
REST door make of the messages that wait at one moment: `MessageScorer.answer`. Stages are cut by calling the parts one
after the other; what is left to `answer` is putting answers together.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.score_end_to_end import make_model
from benchmarks.stream_setup import messages_of_30_events
from features.matrix import build_carried, list_features
from scoring.decisions import decide
from scoring.message.decision_lines import write_lines
from scoring.message.decoder import MessageDecoder
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

SIZES = (1, 4, 16, 64, 512)


def rounds(messages: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Cut the messages into rounds, again and again."""
    return itertools.cycle([messages[i : i + size] for i in range(0, len(messages) - size + 1, size)])


def core_us(call: Callable[[Sequence[bytes]], object], some: Iterator[Sequence[bytes]], seconds: float) -> float:
    """Return the median microseconds of core time of one call, after a warm-up."""
    taken: list[float] = []
    for _ in range(3):
        call(next(some))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 5:
        messages = next(some)
        began = time.thread_time()
        call(messages)
        taken.append(time.thread_time() - began)
    return 1e6 * statistics.median(taken)


def stages(scorer: Scorer) -> dict[str, Callable[[Sequence[bytes]], object]]:
    """Return calls that do all the work up to the end of each stage."""
    decoder, rules, model = MessageDecoder(scorer.bundle.spec), scorer._rules, scorer._model  # noqa: SLF001

    def built(messages: Sequence[bytes]) -> object:
        return build_carried(decoder.decode(messages).carried, scorer.bundle.spec)

    def inferred(messages: Sequence[bytes]) -> object:
        return model.probabilities(built(messages).matrix)  # type: ignore[attr-defined]

    def decided(messages: Sequence[bytes]) -> object:
        table = built(messages)
        return decide(table, model.probabilities(table.matrix), rules)  # type: ignore[attr-defined, arg-type]

    def written(messages: Sequence[bytes]) -> object:
        return write_lines(decided(messages))  # type: ignore[arg-type]

    return {
        "decode": decoder.decode,
        "features": built,
        "model": inferred,
        "decisions": decided,
        "lines": written,
        "answer": MessageScorer(scorer).answer,
    }


def main(folder: Path, seconds: float) -> dict[str, dict[int, int]]:
    """Measure each stage at each size; figures add up to the stage's end."""
    scorer = Scorer.open((make_model(folder) / "bundle").resolve())
    messages = [message for _, message in messages_of_30_events(2000)]
    sys.stderr.write(f"{len(messages)} messages, {len(list_features(scorer.bundle.spec))} features\n")
    return {
        name: {size: round(core_us(call, rounds(messages, size), seconds)) for size in SIZES}
        for name, call in stages(scorer).items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    figures = main(options.folder, options.seconds)
    for stage, by_size in figures.items():
        sys.stderr.write(f"{stage:10}" + "".join(f"{us:8}" for us in by_size.values()) + "\n")
    sys.stdout.write(json.dumps(figures) + "\n")

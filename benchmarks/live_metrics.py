"""What live metrics add to a round of scoring, and what Prometheus' question costs; one thread, core time.

    python -m benchmarks.live_metrics [--folder /tmp/credit-bench]

Both ways answer the same messages of 30 events in rounds, as the REST door does. Decisions are counted in one go once
64 of them wait, so figures are means over all rounds.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.score_end_to_end import make_model
from benchmarks.stream_setup import messages_of_30_events
from features.matrix import FeatureTable
from monitoring.live.door_metrics import RestMetrics
from monitoring.live.live import Live
from scoring.decisions import Decided
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

SIZES = (1, 16, 256)


def core_us(scorer: Scorer, messages: Sequence[bytes], size: int, metrics: RestMetrics) -> tuple[float, float]:
    """Return the microseconds of core time that an application costs, and those of the metrics among them."""
    spent = 0.0

    def observe(decided: Decided, table: FeatureTable) -> None:
        nonlocal spent
        began = time.thread_time()
        metrics.observe(decided, table)
        spent += time.thread_time() - began

    answer = MessageScorer(scorer, observe).answer
    start_of_all = time.thread_time()
    for start in range(0, len(messages) - size + 1, size):
        answers = answer(messages[start : start + size])
        began = time.thread_time()
        metrics.round(answers)
        spent += time.thread_time() - began
    done = len(messages) // size * size
    return 1e6 * (time.thread_time() - start_of_all) / done, 1e6 * spent / done


def measure(scorer: Scorer, messages: Sequence[bytes]) -> dict[str, object]:
    """Measure each size of round, with live metrics and without."""
    result: dict[str, object] = {}
    live = RestMetrics(Live(scorer.bundle, 5000))
    for size in SIZES:
        some = messages[:3000] if size == 1 else messages
        core_us(scorer, some[: 64 * size], size, live)  # warm up
        whole, plain = core_us(scorer, some, size, RestMetrics())
        _, counted = core_us(scorer, some, size, live)
        result[f"rounds of {size}"] = {
            "microseconds an application without": round(whole, 1),
            "more with live metrics": round(counted - plain, 2),
            "share": f"{(counted - plain) / whole:.2%}",
        }
    began = time.thread_time()
    text = live.text()
    result["milliseconds of /metrics"] = round(1e3 * (time.thread_time() - began), 2)
    result["bytes of /metrics"] = len(text)
    return result


def main(folder: Path) -> dict[str, object]:
    """Measure on the benchmark's model."""
    scorer = Scorer.open((make_model(folder) / "bundle").resolve())
    return measure(scorer, [message for _, message in messages_of_30_events(6000)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    sys.stdout.write(json.dumps(main(parser.parse_args().folder), indent=1) + "\n")

"""`credit stream`: applications from a Kafka topic to decisions, and what goes with it."""

import logging
import signal
import sys

import typer

from cli.settings import takes_settings
from stream.settings import StreamSettings

app = typer.Typer(no_args_is_help=True, help="Score applications from Kafka, each exactly once.")


def log_to_standard_error() -> None:
    """Let the parts of the product say what they do."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


@app.command(epilog="Example: credit stream run --bundle demo/bundles/current --brokers 127.0.0.1:9092")
@takes_settings
def run(settings: StreamSettings) -> None:
    """Score what arrives until SIGTERM. Exit codes: 4 brokers, 5 watchdog, 6 circuit breaker."""
    from scoring.messages import MessageScorer
    from scoring.scorer import Scorer
    from stream.service import Control, run_worker
    from stream.watchdog import Watchdog

    log_to_standard_error()
    scorer = Scorer.open(settings.bundle)
    control = Control(Watchdog(settings.deadline_seconds))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: control.stop())
    run_worker(settings, MessageScorer(scorer).answer, scorer.bundle.bundle_id, control)

"""When the estimates before outcomes hold, and whether they do: never more than the data can say."""

from dataclasses import dataclass
from enum import StrEnum

from monitoring.nightly.estimate import LEAST_ROWS
from monitoring.nightly.finding import WHOLE, Finding, Kind
from scoring.bundle import Reference

_SIGMAS = 3.0


class State(StrEnum):
    """What is known about the estimates."""

    UNCHECKED = "unchecked"
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The state and its sentences."""

    state: State
    sentences: tuple[str, ...]


_CONDITION = (
    "The estimates take the calibrated probabilities at their word. They hold while the same inputs lead to the same "
    "outcomes as at training (no concept drift) and the probabilities are calibrated for the applicants who come now."
)


def statement(reference: Reference, concept: list[Finding], ranking: list[Finding]) -> Statement:
    """Say when the estimates hold, and what outcomes, calibration at training and drift say about it."""
    contradicted = [finding.where for finding in concept if finding.alarm]
    rows = max([finding.rows for finding in concept if finding.where == WHOLE], default=0)
    state = State.CONTRADICTED if contradicted else State.CONFIRMED if rows >= LEAST_ROWS else State.UNCHECKED
    known = (
        f"Only {rows} matured outcomes of this window are known"
        if rows
        else "No matured outcome of this window is known"
    )
    sentences = {
        State.UNCHECKED: f"{known}, so nobody can say yet whether they hold ({LEAST_ROWS} are needed to judge): no "
        "statistic of inputs and probabilities alone can show concept drift.",
        State.CONFIRMED: f"{rows:,} matured outcomes came true as the probabilities stated, within chance and 2 "
        "points: for these the estimates held. For decisions without an outcome this is a sign and no proof.",
        State.CONTRADICTED: "They do not hold here: matured outcomes differ from what the probabilities stated "
        f"({', '.join(contradicted)}). Do not rely on the estimates until the model is trained or calibrated again.",
    }
    return Statement(state=state, sentences=(_CONDITION, sentences[state], *_doubts(reference, ranking)))


def _doubts(reference: Reference, ranking: list[Finding]) -> list[str]:
    found = []
    pairs = zip(reference.outputs.gaps, reference.outputs.gap_errors, strict=True)
    if any(abs(gap) > _SIGMAS * error for gap, error in pairs if error > 0):
        found.append(
            "Even on the held-out customers of training a class came true more or less often than stated, by more than "
            "chance: calibrate again before relying on estimates."
        )
    moved = [f.name for f in ranking if f.alarm and f.kind is not Kind.CONCEPT]
    if moved:
        found.append(
            f"Inputs moved ({', '.join(dict.fromkeys(moved[:5]))}): the model is asked about applicants of whom it saw "
            "few, and calibration is least certain there."
        )
    return found

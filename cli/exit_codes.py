"""The exit codes of all commands, once: for --help, README.md and docs/in-production.md, which a test compares."""

from typing import NamedTuple


class Ending(NamedTuple):
    """How a command may end: the code, in short, in full, and what comes of starting it again in the same way."""

    code: int
    short: str
    meaning: str
    again: str


_SAME = "ends in the same way, until a person corrects it"
ENDINGS = (
    Ending(0, "done", "done; doors: asked to end, or all is read", "as you like"),
    Ending(
        1, "input unusable", "a file, record or id cannot be used; `credit log consume`: a record is no receipt", _SAME
    ),
    Ending(2, "usage, settings or bundle", "usage, settings, topics that do not fit, a bundle", _SAME),
    Ending(
        3,
        "too many rejects, too few matches or a column gone",
        "an upstream release went wrong: too many rejects, events that match nobody, a column that mattered is gone",
        _SAME,
    ),
    Ending(
        4,
        "output failed",
        "disk, brokers or network: no answer, too slow, a transaction that nobody ends",
        "is safe and may help (`credit stream publish`: with --resume)",
    ),
    Ending(5, "watchdog", "a step of the stream's worker took too long and was ended", "is safe and may help"),
    Ending(
        6,
        "circuit breaker",
        "so many messages were refused that a producer's release went wrong",
        "a person must look first",
    ),
    Ending(7, "the doors or a replay differ", "the doors, a replay, or live and night differ", _SAME),
    Ending(8, "monitoring alarm", "`credit monitor` says alarm", "says so again"),
    Ending(
        9,
        "a person must decide first (stream)",
        "an offset is gone, the topic was made anew, decisions without an offset, a history that neither store nor "
        "receipt holds, a batch that cannot be unpacked, a record "
        "too large for its topic, a login, right or setting that the brokers refuse for ever",
        "ends in the same way, until a person has decided",
    ),
)


def epilog() -> str:
    """Return the codes in one sentence."""
    return "Exit codes: " + ", ".join(f"{e.code} {e.short}" for e in ENDINGS) + "."


def exit_table() -> str:
    """Return the codes as a table in Markdown."""
    rows = [f"| {e.code} | {e.meaning} | {e.again} |" for e in ENDINGS]
    return "\n".join(["| code | meaning | starting again |", "| --- | --- | --- |", *rows]) + "\n"

"""The doors in one table. Receipts, monitoring and `credit verify` read it, so a further door is a further line."""

from dataclasses import dataclass

__all__ = ["DOORS", "REQUEST", "REST", "STREAM", "Door"]


@dataclass(frozen=True, slots=True)
class Source:
    """What a receipt says of where its application came from: some of its columns, and what the first looks like."""

    columns: tuple[str, ...]
    form: str


FILE = Source(("input_sha256", "row"), r"^[0-9a-f]{64}\z")
RECORD = Source(("topic", "partition", "offset"), r"^[A-Za-z0-9._-]{1,249}\z")
REQUEST = Source(("request_id", "row"), r"^[A-Za-z0-9._-]{1,128}\z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A place where applications come in. `name`: as receipts have it.

    `asked`: the ways in which `credit verify` asks it, all of which must give the same bits. `live`: it is always on
    and writes its receipts as lines of JSON; then its metrics begin with `credit_<name>_`, and `refusals` ends the one
    that counts messages without a decision.
    """

    name: str
    source: Source
    asked: tuple[str, ...]
    live: bool = True
    refusals: str = "refusals_total"

    def metric(self, ending: str) -> str:
        """Return the name of one of its metrics."""
        return f"credit_{self.name}_{ending}"


BATCH = Door(name="batch", source=FILE, asked=("batch",), live=False)
STREAM = Door(name="stream", source=RECORD, asked=("stream",), refusals="dead_letters_total")
REST = Door(name="rest", source=REQUEST, asked=("FastAPI", "Flask"))
DOORS = {door.name: door for door in (BATCH, STREAM, REST)}

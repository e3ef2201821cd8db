"""What the watch over standing partitions makes of answers that are not complete."""

from collections.abc import Collection

from stream.client.records import Target
from stream.position.standstill import Standstill


def test_a_partition_whose_leader_goes_away_between_two_questions_ends_no_worker() -> None:
    def ends(targets: Collection[Target], *, committed: bool) -> dict[Target, int]:
        return {target: 5 for target in targets if committed or target[1] == 0}

    Standstill("applications", ends, 60).look([0, 1], lambda _: 5)

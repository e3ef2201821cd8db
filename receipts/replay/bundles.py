"""The bundles that made the decisions of a log, found by their ids."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from features.errors import BundleError
from receipts.log.read import Segment

_NAMED = 5


def find_bundles(bundles: Path, segments: Iterable[Segment]) -> dict[str, Path]:
    """Return the folder of each bundle that segments name; `bundles` holds them, or is the only one.

    Raises:
        BundleError: some are not there; names them with the number of their receipts.

    """
    counts: Counter[str] = Counter()
    for segment in segments:
        counts[segment.bundle_id] += segment.rows
    return bundle_folders(bundles, counts)


def bundle_folders(bundles: Path, counts: Mapping[str, int]) -> dict[str, Path]:
    """Return the folder of each bundle that made so many decisions; see `find_bundles`.

    Raises:
        BundleError: some are not there.

    """
    found = {name: bundles / name if (bundles / name).is_dir() else bundles.resolve() for name in counts}
    missing = [name for name, path in found.items() if path.name != name or not path.is_dir()]
    if missing:
        named = "; ".join(f"{name}, which made {counts[name]:,} of the decisions" for name in missing[:_NAMED])
        rest = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise BundleError(
            f"{bundles}: lacks the bundle {named}{rest}. Put it there under its id, or choose receipts of others."
        )
    return found

"""How a run's output lies in an object store: `decisions.run.json`, which names what lies in `decisions.runs/ID/`.

The manifest is the one commit point. Whatever no manifest names was not delivered.
"""

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from features.errors import InputError

if TYPE_CHECKING:
    from storage.remote.objects import Listed, Store

_RUN = re.compile(r"([^/]+)\.runs/[^/]+/[^/]+")


def manifest_name(stem: str) -> str:
    """Return the name of the manifest of an output of this stem."""
    return f"{stem}.run.json"


def rejects_name(stem: str) -> str:
    """Return the name of the rejects of an output of this stem."""
    return f"{stem}.rejects.csv"


def runs_folder(stem: str) -> str:
    """Return the name of the folder of runs of an output of this stem."""
    return f"{stem}.runs"


def outputs_of(content: bytes) -> list[str]:
    """Return the names of the outputs that a manifest names; none where it is no manifest."""
    try:
        return [str(name) for name in json.loads(content)["outputs"]]
    except (ValueError, KeyError, TypeError):
        return []


def delivered(store: "Store", items: "list[Listed]") -> "list[Listed] | None":
    """Return what the manifest names of decisions, where these objects are the output of a run; else None.

    Raises:
        InputError: runs lie there, and no manifest that names one, or several outputs.

    """
    stems = sorted({match[1] for item in items if (match := _RUN.fullmatch(item.name))})
    if not stems:
        return None
    named = {item.name: item for item in items}
    found = [stem for stem in stems if manifest_name(stem) in named]
    if len(found) != 1:
        what = "outputs of several runs" if found else "parts of a run that no run manifest names, so it did not end"
        raise InputError(
            f"{store.address.text}: holds {what}. Expected the output of one finished run; give its address, as in "
            f"{store.address.text}/{stems[0]}.parquet."
        )
    return _named(store, found[0], store.read(named[manifest_name(found[0])]), named)


def delivered_as(store: "Store", name: str) -> "list[Listed]":
    """Return what a run that ended delivered under a name, such as decisions.parquet; nothing where none did."""
    stem = PurePosixPath(name).stem
    manifest = store.head(manifest_name(stem)) if stem else None
    if manifest is None:
        return []
    items = {item.name: item for item in store.items(runs_folder(stem))}
    return _named(store, stem, store.read(manifest), items)


def _named(store: "Store", stem: str, manifest: bytes, items: "dict[str, Listed]") -> "list[Listed]":
    wanted = [name for name in outputs_of(manifest) if PurePosixPath(name).name != rejects_name(stem)]
    lacking = [name for name in wanted if name not in items]
    if lacking or not wanted:
        raise InputError(
            f"{store.address.text}/{manifest_name(stem)}: names {', '.join(lacking) or 'no output'}, which is not "
            "there. Expected the output of a finished run: run it again."
        )
    return [items[name] for name in wanted]

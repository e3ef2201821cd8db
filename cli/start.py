"""Where the installed `credit` begins: nothing of ours is imported before it is known to be ours.

The packages bear short names (`api`, `batch`, `cli` ...), which another program in the same environment may bear.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    *("api", "batch", "cli", "compare", "features", "history", "metrics", "model_export", "monitoring", "pages"),
    *("receipts", "recipes", "registry", "scoring", "serving", "storage", "stream", "training", "verify"),
)
_USAGE = 2  # as `SettingsError`, which may itself be somebody else's here


def main() -> None:
    """Run the command line, if all packages lie where this one does."""
    for name in PACKAGES:
        found = _place(name)
        if found != _HOME / name:
            sys.stderr.write(
                f"error: the package '{name}' is that of another program ({found or 'not found'}), "
                f"expected {_HOME / name}. Install credit-scoring in an environment of its own, as pipx or the image "
                f"does, and start it outside of folders that hold a '{name}'.\n"
            )
            sys.exit(_USAGE)
    from cli.main import main as run  # not before

    run()


_HOME = Path(__file__).resolve().parents[1]


def _place(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except ValueError:  # it was imported without saying from where
        return None
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


if __name__ == "__main__":
    main()
